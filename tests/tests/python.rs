//! The Python package: its tests that make no components, and its types. `make python-test` runs all of its tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sage_test_support::{Need, skip};
use sage_tests::{operator, program};

/// The interpreter with the tools.
fn interpreter() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".cache/sage-host/python-tools/bin/python3");
    path.exists().then_some(path)
}

fn succeeds(mut command: Command) {
    let ended = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}\n{said}");
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python").canonicalize().unwrap()
}

#[test]
fn the_tests_of_the_python_package_pass() {
    let Some(python) = interpreter() else { return skip(Need::PythonTools, "make python-tools has not installed it") };
    assert!(operator("json_celsius").exists());
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not componentize and not wheel"])
        .current_dir(package())
        .env("PYTHONPATH", package().join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SAGE_HOST_PROGRAM", program());
    succeeds(command);
}

#[test]
fn the_types_of_the_python_package_are_sound() {
    let Some(python) = interpreter() else { return skip(Need::PythonTools, "make python-tools has not installed it") };
    let mut command = Command::new(python);
    command.args(["-m", "mypy", "--cache-dir=/dev/null"]).current_dir(package()).env("MYPYPATH", "src");
    succeeds(command);
}
