use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sage_test_support::{Need, skip};

/// A program of Prometheus's package; `None` if `make prometheus` has not got it, which is reported as a skip.
pub(crate) fn program_of_prometheus(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let program = home.join(".cache/sage-host/prometheus/usr/bin").join(name);
    if program.exists() {
        return Some(program);
    }
    skip(Need::Prometheus, "make prometheus has not got it");
    None
}

/// Checks a text in Prometheus's format with promtool. Complaints about style that concern today's names are known.
pub(crate) fn check_exposition(text: &str) {
    let Some(promtool) = program_of_prometheus("promtool") else { return };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    // 1: not the format. 3: the format, with complaints about names.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}\n{text}");
    let known = |line: &str| line.contains("should not have \"quantile\" label");
    let complaints: Vec<&str> = said.lines().filter(|line| !known(line)).collect();
    assert_eq!(complaints, Vec::<&str>::new(), "{text}");
}
