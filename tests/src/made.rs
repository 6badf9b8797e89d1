use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `sage-host` program. This package has a target for its `main.rs`, so that Cargo keeps it up to date.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| existing(profile_folder().join("sage-host-under-test")))
}

/// Path of a guest of `tests/guests/examples`, by the stem of its file name. The first call builds all
/// guests.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let workspace = repository().join("tests/guests");
    BUILT.get_or_init(|| {
        let mut cargo = guest_cargo(&workspace);
        build(cargo.arg("--examples"), "the guests");
    });
    existing(workspace.join(format!("target/wasm32-wasip2/release/examples/{name}.wasm")))
}

/// Path of a sample operator of `operators/`, by the name of its crate. The first call builds all operators.
pub fn operator(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let workspace = repository().join("operators");
    BUILT.get_or_init(|| build(&mut guest_cargo(&workspace), "the sample operators"));
    existing(workspace.join(format!("target/wasm32-wasip2/release/{name}.wasm")))
}

/// Names of all guests.
pub fn guest_names() -> Vec<String> {
    let folder = repository().join("tests/guests/examples");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Folder of this build's programs: `target/debug` or `target/release`, wherever the target folder is. It is
/// the folder of this test executable, without `deps`.
pub(crate) fn profile_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("a test knows its own path");
    executable
        .ancestors()
        .find(|folder| folder.ends_with("deps"))
        .expect("tests live in deps")
        .parent()
        .unwrap()
        .to_owned()
}

/// Cargo for a workspace of guests. The target folder and flags are its own; settings for
/// the host in the environment do not apply.
fn guest_cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked"]).current_dir(workspace);
    cargo.arg("--target-dir").arg(workspace.join("target"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    cargo
}

fn build(cargo: &mut Command, what: &str) {
    let built = cargo.output().unwrap_or_else(|e| panic!("cannot run cargo for {what}: {e}"));
    assert!(
        built.status.success(),
        "cannot build {what} (if the target is missing: rustup target add wasm32-wasip2)\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} was built but is not there", path.display());
    path
}
