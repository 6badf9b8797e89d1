//! The files that `make install` installs: all of them are there, valid, and removed again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn succeeded(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    stdout
}

fn install(root: &Path, prefix: &str) {
    let mut command = Command::new(repository().join("dist/install.sh"));
    command.args(["install", env!("CARGO_BIN_EXE_sage-host")]).arg(root).arg(prefix);
    succeeded(&command.output().unwrap());
}

/// Files and folders below a folder, relative to it, sorted.
fn tree(folder: &Path) -> Vec<String> {
    let found =
        succeeded(&Command::new("find").arg(folder).args(["-mindepth", "1", "-printf", "%P\\n"]).output().unwrap());
    let mut paths: Vec<String> = found.lines().map(str::to_owned).collect();
    paths.sort();
    paths
}

/// Runs a program that may not be installed. `None` means that it is not.
fn maybe(program: &str, words: &[&str], file: &Path) -> Option<Output> {
    let output = Command::new(program).args(words).arg(file).output().ok();
    if output.is_none() {
        println!("skipped: {program} is not installed");
    }
    output
}

#[test]
fn everything_is_installed_in_its_place_and_removed_again() {
    let root = tempfile::tempdir().unwrap();
    // The files of others stay.
    let other = root.path().join("usr/local/share/man/man1/other.1");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "").unwrap();
    let before = tree(root.path());
    install(root.path(), "/usr/local");
    for file in [
        "bin/sage-host",
        "lib/systemd/system/sage-host@.service",
        "share/bash-completion/completions/sage-host",
        "share/doc/sage-host/grafana/sage-host.json",
        "share/doc/sage-host/host.toml",
        "share/doc/sage-host/prometheus/sage-host.rules.yml",
        "share/fish/vendor_completions.d/sage-host.fish",
        "share/man/man1/sage-host-run.1",
        "share/man/man1/sage-host.1",
        "share/zsh/site-functions/_sage-host",
    ] {
        let path = root.path().join("usr/local").join(file);
        assert!(fs::metadata(&path).is_ok_and(|found| found.len() > 0), "{file} is missing or empty");
    }
    for document in ["LICENSE", "NOTICE"] {
        let installed = root.path().join("usr/local/share/doc/sage-host").join(document);
        assert_eq!(installed.exists(), repository().join(document).exists(), "{document}");
    }
    let unit = fs::read_to_string(root.path().join("usr/local/lib/systemd/system/sage-host@.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/local/bin/sage-host run "), "{unit}");

    let mut command = Command::new(repository().join("dist/install.sh"));
    succeeded(&command.arg("uninstall").arg(root.path()).arg("/usr/local").output().unwrap());
    assert_eq!(tree(root.path()), before);
}

#[test]
fn shells_accept_their_completions() {
    let root = tempfile::tempdir().unwrap();
    install(root.path(), "/usr");
    let share = root.path().join("usr/share");
    for (shell, words, file) in [
        ("bash", &["-n"][..], "bash-completion/completions/sage-host"),
        ("zsh", &["-n"], "zsh/vendor-completions/_sage-host"),
        ("fish", &["--no-execute"], "fish/vendor_completions.d/sage-host.fish"),
    ] {
        if let Some(output) = maybe(shell, words, &share.join(file)) {
            succeeded(&output);
        }
    }
}

#[test]
fn systemd_accepts_the_unit() {
    let root = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(repository().join("dist/sage-host@.service")).unwrap();
    // `verify` wants the programs of the unit to exist.
    let unit = unit.replace("/usr/bin/sage-host", env!("CARGO_BIN_EXE_sage-host"));
    let file = root.path().join("sage-host@verify.service");
    fs::write(&file, unit).unwrap();
    let Some(output) = maybe("systemd-analyze", &["verify", "--man=no"], &file) else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("sage-host@"), "{said}");
}

#[test]
fn the_options_of_the_unit_are_options_of_run() {
    let unit = fs::read_to_string(repository().join("dist/sage-host@.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("made-up.toml");
    fs::write(
        &pipeline,
        "[[source]]\nname = \"made-up\"\ngenerate = { count = 10 }\n\n\
         [[sink]]\nname = \"out\"\ninput = \"made-up\"\ndiscard = {}\n",
    )
    .unwrap();
    let words = line
        .replace("/etc/sage-host/%i.toml", pipeline.to_str().unwrap())
        .replace("%C", folder.path().to_str().unwrap())
        .replace(" $OPTIONS", "");
    let ran = Command::new(env!("CARGO_BIN_EXE_sage-host"))
        .args(words.split(' ').skip(1))
        .args(["--allow-unenforced", "--host"])
        .arg(repository().join("dist/host.toml"))
        .args(["--explain", "--lease-folder"])
        .arg(folder.path().join("leases"))
        .output()
        .unwrap();
    // The machine may have less than the example gives away, but both files are valid.
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!([Some(0), Some(3)].contains(&ran.status.code()), "{said}");
}

#[test]
fn messages_are_json_objects_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("pipeline.toml"),
        "[[source]]\nname = \"made-up\"\ngenerate = { count = 10 }\n\n\
         [[sink]]\nname = \"out\"\ninput = \"made-up\"\ndiscard = {}\n",
    )
    .unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_sage-host"))
        .args(["run", "pipeline.toml", "--quiet", "--log-format", "json", "--lease-folder", "leases"])
        // An old target of a message: the program warns about it.
        .env("SAGE_LOG", "warn,sage_host::engine=debug")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr.clone()).unwrap();
    assert!(ran.status.success(), "{said}");
    assert!(!said.is_empty(), "the run has no message");
    for line in said.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(message["level"].is_string() && message["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn the_licences_of_all_dependencies_are_found() {
    let Ok(output) = Command::new("python3").arg(repository().join("dist/licences.py")).output() else {
        println!("skipped: python3 is not installed");
        return;
    };
    let text = succeeded(&output);
    for part in ["\nwasmtime 48.", "\nserde 1.", "\nclap_mangen ", "Apache License", "MIT"] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(!text.contains("\nsage-"), "only the crates of others are listed");
    assert!(!text.contains("\ninsta "), "crates that only tests use are not in the program");
}
