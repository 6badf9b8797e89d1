//! Tells the crate two facts about its build: the commit of its sources, for `sage-host --version`, and
//! whether the sources of the guest SDK lie beside it, for `sage-host new`.
//!
//! The SDK lies beside the crate in the workspace, and not in a package from a registry. Cargo runs this script
//! again if one of the files that it reads has changed, and not on every build.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files and folders of the SDK that `sage-host new` copies into a crate.
const SDK: [&str; 6] = ["Cargo.toml", "README.md", "src", "wit", "macros/Cargo.toml", "macros/src"];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(sdk_embedded)");
    let vcs_info = package.join(".cargo_vcs_info.json");
    let workspace = package.parent().filter(|root| !vcs_info.exists() && is_workspace(root));
    let commit = match workspace {
        Some(root) => {
            println!("cargo::rustc-cfg=sdk_embedded");
            println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
            for part in SDK {
                println!("cargo::rerun-if-changed={}", root.join("guest-sdk").join(part).display());
            }
            commit_of_repository(root)
        }
        None => fs::read_to_string(&vcs_info).ok().and_then(|text| commit_of_package(&text)),
    };
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=SAGE_HOST_COMMIT={commit}");
}

/// Whether the folder is the workspace of this repository.
fn is_workspace(root: &Path) -> bool {
    let sdk = fs::read_to_string(root.join("guest-sdk/Cargo.toml")).unwrap_or_default();
    sdk.contains("name = \"sage-guest\"") && root.join("Cargo.toml").is_file()
}

/// The commit that is checked out, if the workspace is the root of a git repository.
fn commit_of_repository(root: &Path) -> Option<String> {
    if !root.join(".git").exists() {
        return None;
    }
    // A commit or a checkout changes these files. Cargo runs the script on every build if a file is missing.
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(root, &["rev-parse", "HEAD"])
}

/// The commit that `cargo package` wrote into the package: `{"git": {"sha1": "…"}, …}`.
fn commit_of_package(vcs_info: &str) -> Option<String> {
    let (_, after) = vcs_info.split_once("\"sha1\"")?;
    let commit = after.split('"').nth(1)?;
    commit.chars().all(|digit| digit.is_ascii_hexdigit()).then(|| commit.to_owned())
}

fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).current_dir(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
