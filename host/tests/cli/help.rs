use std::path::Path;

use crate::program::sage_host;

#[test]
fn every_command_teaches_how_it_is_used() {
    let commands =
        ["", "run", "validate", "inspect", "build", "new", "test", "doctor", "devices", "devices revoke", "cache"];
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ran = sage_host(Path::new("."), &words);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        assert_eq!(ran.stderr, "");
        assert!(ran.stdout.contains("Example"), "{command} has no example:\n{}", ran.stdout);
        let name = if command.is_empty() { "help".to_owned() } else { format!("help_{}", command.replace(' ', "_")) };
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn help_lists_every_command_there_is() {
    let all = sage_host(Path::new("."), &["--help"]).stdout;
    for command in ["run", "validate", "inspect", "build", "new", "test", "doctor", "devices", "cache"] {
        assert!(all.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not listed:\n{all}");
    }
}

#[test]
fn the_version_is_the_packages() {
    let ran = sage_host(Path::new("."), &["--version"]);
    assert_eq!(ran.stdout, format!("sage-host {}\n", env!("CARGO_PKG_VERSION")));
}
