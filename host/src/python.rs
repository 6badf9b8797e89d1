use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::failure::Failure;

/// The variable that names the interpreter with the package `sage_host`.
const VARIABLE: &str = "SAGE_HOST_PYTHON";

/// The folder of a Python operator, and the interpreter that makes its component.
#[derive(Debug)]
pub(super) struct PythonProject {
    folder: PathBuf,
}

/// The answer of `python -m sage_host build --output json`.
#[derive(Deserialize)]
struct Made {
    component: PathBuf,
}

impl PythonProject {
    /// The project at `path`, if it is a folder of Python and not of Rust.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let is = path.join("pyproject.toml").is_file() && !path.join("Cargo.toml").is_file();
        is.then(|| Self { folder: path.to_owned() })
    }

    /// Makes the component, beside the project file.
    pub(super) fn build(&self) -> Result<PathBuf, Failure> {
        let mut command = self.command(&["-m", "sage_host", "build", "--output", "json"]);
        let ended = command.arg(&self.folder).stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
        let ended = ended.and_then(std::process::Child::wait_with_output).map_err(|error| unstarted(&error))?;
        if !ended.status.success() {
            return Err(Failure::invalid(format!("the component is not made ({})", ended.status))
                .hint(format!("the interpreter needs the package sage_host; {VARIABLE} names another one")));
        }
        let answer = String::from_utf8_lossy(&ended.stdout);
        let last = answer.lines().last().unwrap_or_default();
        let made: Made = serde_json::from_str(last)
            .map_err(|error| Failure::fault(format!("python -m sage_host build printed no answer: {error}")))?;
        Ok(made.component)
    }

    /// Runs the tests of the project natively.
    pub(super) fn test(&self, more: &[String]) -> Result<(), Failure> {
        let mut command = self.command(&["-m", "pytest"]);
        let status = command.args(more).current_dir(&self.folder).status().map_err(|error| unstarted(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::invalid(format!("pytest failed ({status})"))
            .hint(format!("the tests need pytest and sage_host; {VARIABLE} names another interpreter")))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(interpreter());
        command.args(arguments);
        command
    }
}

/// The interpreter: the one that is named, the one beside this program (a wheel puts both into one folder), or the
/// one of the search path.
fn interpreter() -> OsString {
    let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty());
    let beside = || {
        let folder = std::env::current_exe().ok()?;
        let path = folder.parent()?.join("python3");
        path.is_file().then(|| path.into_os_string())
    };
    named.or_else(beside).unwrap_or_else(|| OsString::from("python3"))
}

fn unstarted(error: &std::io::Error) -> Failure {
    Failure::invalid(format!("cannot start {}: {error}", interpreter().display()))
        .hint(format!("install Python 3.11 or newer, or name an interpreter with {VARIABLE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_rust_is_no_project_of_python() {
        let folder = tempfile::tempdir().unwrap();
        assert!(PythonProject::at(folder.path()).is_none());
        std::fs::write(folder.path().join("pyproject.toml"), "").unwrap();
        assert!(PythonProject::at(folder.path()).is_some());
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert!(PythonProject::at(folder.path()).is_none());
    }
}
