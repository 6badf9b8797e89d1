use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::sage_host;

/// The man pages of the program, by file name.
fn pages(folder: &Path) -> Vec<(String, String)> {
    let ran = sage_host(folder, &["man", "pages/man1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    let mut pages: Vec<(String, String)> = fs::read_dir(folder.join("pages/man1"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    pages.sort();
    pages
}

#[test]
fn each_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages(folder.path());
    let help = sage_host(Path::new("."), &["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help");
    let mut expected: Vec<String> = listed.map(|name| format!("sage-host-{name}.1")).collect();
    let inner = [
        "",
        "-context-add",
        "-context-ls",
        "-context-rm",
        "-context-use",
        "-devices-revoke",
        "-secret-ls",
        "-secret-rm",
        "-secret-set",
        "-state-inspect",
        "-state-rm",
        "-state-savepoint",
        "-state-verify",
        "-tenant-ls",
        "-tenant-show",
        "-token-ls",
        "-token-new",
        "-token-rm",
    ];
    expected.extend(inner.map(|name| format!("sage-host{name}.1")));
    expected.sort();
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected);
    for (name, text) in &pages {
        for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"] {
            assert!(text.contains(section), "{name} has no {section}:\n{text}");
        }
        let title = format!(
            ".TH {} 1 \"\" \"sage-host {}\" \"sage-host\"\n",
            name.trim_end_matches(".1"),
            env!("CARGO_PKG_VERSION")
        );
        assert!(text.starts_with(&title), "{name} has another title:\n{text}");
    }
    let run = &pages.iter().find(|(name, _)| name == "sage-host-run.1").unwrap().1;
    assert!(run.contains("drain\\-timeout") && run.contains("Exit codes:"), "{run}");
}

#[test]
fn the_pages_have_no_error_that_a_formatter_reports() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages(folder.path());
    let formatters: [&[&str]; 2] = [&["man", "--warnings", "-E", "UTF-8", "-l"], &["mandoc", "-Tlint", "-Werror"]];
    for words in formatters {
        for (name, _) in &pages {
            let page = folder.path().join("pages/man1").join(name);
            let output = Command::new(words[0]).args(&words[1..]).arg(page).env("MANWIDTH", "100").output();
            let Ok(output) = output else {
                println!("skipped: {} is not installed", words[0]);
                break;
            };
            let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), lint(words[0], &output.stdout));
            assert!(output.status.success() && said.is_empty(), "{} of {name}: {said}", words[0]);
        }
    }
}

/// The complaints on stdout. `man` prints the page there.
fn lint(formatter: &str, stdout: &[u8]) -> String {
    if formatter == "mandoc" { String::from_utf8_lossy(stdout).into_owned() } else { String::new() }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let ran = sage_host(folder.path(), &["man", "file/pages"]);
    assert_eq!(ran.code, Some(2), "{}", ran.transcript());
    assert!(ran.stderr.contains("cannot write man pages to file/pages"), "{}", ran.transcript());
}
