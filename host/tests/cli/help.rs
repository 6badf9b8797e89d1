use std::path::Path;

use crate::program::sage_host;

#[test]
fn every_command_teaches_how_it_is_used() {
    let commands = [
        "",
        "run",
        "validate",
        "inspect",
        "build",
        "new",
        "test",
        "doctor",
        "devices",
        "devices revoke",
        "cache",
        "state",
        "state inspect",
        "state verify",
        "state rm",
        "serve",
        "submit",
        "ps",
        "logs",
        "events",
        "stop",
        "start",
        "restart",
        "rm",
        "top",
        "explain",
        "token",
        "token new",
        "token ls",
        "token rm",
        "secret",
        "secret set",
        "secret ls",
        "secret rm",
        "tenant",
        "tenant ls",
        "tenant show",
        "context",
        "context add",
        "context use",
        "context ls",
        "context rm",
        "audit",
    ];
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
    let commands = [
        "run", "validate", "inspect", "build", "new", "test", "doctor", "devices", "cache", "state", "serve", "submit",
        "ps", "logs", "events", "stop", "start", "restart", "rm", "top", "explain", "token", "secret", "tenant",
        "context", "audit",
    ];
    for command in commands {
        assert!(all.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not listed:\n{all}");
    }
}

#[test]
fn the_short_version_is_the_packages() {
    let ran = sage_host(Path::new("."), &["-V"]);
    assert_eq!(ran.stdout, format!("sage-host {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_long_version_names_commit_features_runtime_and_contract() {
    let ran = sage_host(Path::new("."), &["--version"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ran.stdout);
    assert_eq!(lines[0], format!("sage-host {}", env!("CARGO_PKG_VERSION")));
    let value = |line: &str, name: &str| line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).trim().to_owned();
    let commit = value(lines[1], "commit ");
    let is_hash = commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
    assert!(commit == "unknown" || is_hash, "{commit}");
    let features = value(lines[2], "features ");
    assert!(["none", "tract", "onnxruntime", "tract, onnxruntime"].contains(&features.as_str()), "{features}");
    assert_eq!(value(lines[3], "wasmtime "), sage_sandbox::WASMTIME_VERSION);
    assert_eq!(value(lines[4], "contract "), format!("sage:operator@{}", sage_sandbox::WIT_VERSION));
}
