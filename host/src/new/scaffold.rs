use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::crate_name::CrateName;
use super::python_template;
#[cfg(sdk_embedded)]
use super::sdk::{self, SdkFile};
use super::template::{self, Dependency};
use crate::args::{Language, NewArguments};
use crate::failure::Failure;
use crate::printer::Printer;

/// Folder of the SDK's copy in a crate.
#[cfg(sdk_embedded)]
const VENDOR: &str = "vendor/sage-guest";

/// Paths and contents of files.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// The command `new`: writes the crate.
pub(crate) fn new(arguments: &NewArguments, printer: Printer) -> Result<(), Failure> {
    let name = CrateName::parse(&arguments.name)?;
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    if folder.symlink_metadata().is_ok() {
        return Err(Failure::invalid(format!("{} is there already", folder.display()))
            .hint("choose another name, or another folder with --path"));
    }
    let files = match arguments.lang {
        Language::Rust => crate_files(&name, arguments)?,
        Language::Python if arguments.sdk.is_some() => {
            return Err(Failure::invalid("--sdk is the guest SDK of Rust, and the operator is in Python"));
        }
        Language::Python => {
            let files = python_template::files(&name, arguments.kind)?;
            files.into_iter().map(|(path, text)| (PathBuf::from(path), text.into_bytes())).collect()
        }
    };
    write(&folder, &files).map_err(|error| {
        Failure::invalid(format!("cannot make {}: {error}", folder.display())).hint("choose another folder with --path")
    })?;
    printer.result(|| next_steps(&folder, arguments), &serde_json::json!({ "crate": folder }))
}

/// The files of a crate of Rust.
fn crate_files(name: &CrateName, arguments: &NewArguments) -> Result<Files, Failure> {
    let (dependency, vendored) = match &arguments.sdk {
        Some(path) => (Dependency::Elsewhere(sdk_at(path)?), Vec::new()),
        None => own_sdk()?,
    };
    let mut files: Files = template::files(name, arguments.kind, &dependency)
        .into_iter()
        .map(|(path, text)| (PathBuf::from(path), text.into_bytes()))
        .collect();
    files.extend(vendored);
    Ok(files)
}

/// The SDK in this program, and the files of its copy in the crate.
#[cfg(sdk_embedded)]
fn own_sdk() -> Result<(Dependency, Files), Failure> {
    let files = sdk::vendored()?.into_iter().map(|SdkFile { path, bytes }| (Path::new(VENDOR).join(path), bytes));
    Ok((Dependency::Vendored(VENDOR), files.collect()))
}

/// The published SDK of this program's version: the package of this program does not contain the SDK's sources.
#[cfg(not(sdk_embedded))]
fn own_sdk() -> Result<(Dependency, Files), Failure> {
    Ok((Dependency::Published(env!("CARGO_PKG_VERSION")), Vec::new()))
}

/// The SDK's folder as an absolute path, so that the crate can be moved.
fn sdk_at(path: &Path) -> Result<String, Failure> {
    let refused = |why: String| Failure::invalid(format!("no guest SDK at {}: {why}", path.display()));
    let manifest =
        fs::read_to_string(path.join("Cargo.toml")).map_err(|error| refused(format!("Cargo.toml: {error}")))?;
    let package = manifest
        .parse::<toml::Table>()
        .ok()
        .and_then(|table| Some(table.get("package")?.get("name")?.as_str()?.to_owned()));
    if package.as_deref() != Some("sage-guest") {
        return Err(refused(format!("the crate there is {}", package.as_deref().unwrap_or("not named")))
            .hint("the SDK is the folder guest-sdk of sage-host's repository"));
    }
    let absolute = path.canonicalize().map_err(|error| refused(error.to_string()))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| refused("its path is not UTF-8".to_owned()))
}

/// Writes beside the folder and then renames, so that an incomplete crate is never visible.
fn write(folder: &Path, files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let draft = tempfile::Builder::new().prefix(".sage-host-new-").tempdir_in(parent)?;
    let root = draft.path().join("crate");
    for (path, bytes) in files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    fs::rename(&root, folder)
}

fn next_steps(folder: &Path, arguments: &NewArguments) -> String {
    let kind = arguments.kind;
    let folder = folder.display();
    let test = match arguments.lang {
        Language::Rust => "cargo test    ",
        Language::Python => "sage-host test",
    };
    format!(
        "made {folder}: a {kind} operator\n\nnext:\n  cd {folder}\n  \
         {test}                 # its native test\n  \
         sage-host build                # to a component\n  sage-host run pipeline.toml    # run it\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("made");
        // A file in a place where a folder is needed.
        let files = [(PathBuf::from("a"), vec![1]), (PathBuf::from("a/b"), vec![2])];
        assert!(write(&target, &files).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
