//! Commands that only this program and its packaging start: no user meets their names.

use std::path::Path;

use crate::program::sage_host;

/// The commands, each with a part of its name that a user might type.
const INTERNAL: [(&str, &str); 6] = [
    ("worker", "worke"),
    ("device", "devic"),
    ("canary", "canar"),
    ("compile", "comple"),
    ("examine-model", "examine-mode"),
    ("man", "ma"),
];

/// Whether the text has the name of an internal command as a word.
fn has_word(text: &str, name: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').any(|word| word == name)
}

#[test]
fn a_mistyped_command_never_suggests_an_internal_one() {
    for (name, typed) in INTERNAL {
        let ran = sage_host(Path::new("."), &[typed]);
        assert_eq!(ran.code, Some(2), "{}", ran.transcript());
        assert!(ran.stderr.contains(&format!("unrecognized subcommand '{typed}'")), "{}", ran.transcript());
        assert!(!has_word(&ran.stderr, name), "{}", ran.transcript());
    }
    let ran = sage_host(Path::new("."), &["comple"]);
    assert!(ran.stderr.contains("'completions'"), "a command for users is suggested: {}", ran.transcript());
}

#[test]
fn help_does_not_know_an_internal_command() {
    let help = sage_host(Path::new("."), &["--help"]).stdout;
    for (name, _) in INTERNAL {
        let listed = help.lines().any(|line| line.split_whitespace().next() == Some(name));
        assert!(!listed, "{name} is listed:\n{help}");
        let ran = sage_host(Path::new("."), &["help", name]);
        assert_eq!(ran.code, Some(2), "{}", ran.transcript());
    }
}

#[test]
fn completions_contain_no_internal_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sage_host(Path::new("."), &["completions", shell]).stdout;
        assert!(script.contains("validate") && script.contains("doctor"), "{shell}: {script}");
        for (name, _) in INTERNAL.iter().filter(|(name, _)| *name != "man") {
            assert!(!script.contains(&format!("sage__host__{name}")), "{shell} completes {name}");
            for quoted in [format!("'{name}'"), format!("\"{name}\""), format!("{name}:")] {
                assert!(!script.contains(&quoted), "{shell} completes {name}");
            }
        }
        assert!(!script.contains("Started by"), "{shell} has the description of an internal command");
    }
}
