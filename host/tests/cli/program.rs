use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The result of one run of the program.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in `folder`, without a terminal.
pub(crate) fn sage_host(folder: &Path, words: &[&str]) -> Ran {
    Ran::of(command(folder, words).output().unwrap())
}

/// The program in `folder`, with a width of 100 columns, without colour, and with caches and leases of its
/// own.
pub(crate) fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sage-host"));
    command
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env("XDG_CACHE_HOME", folder)
        .env("SAGE_HOST_LEASE_FOLDER", folder.join("leases"))
        .env_remove("RUST_BACKTRACE");
    command
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exit code and both streams, for a snapshot.
    pub(crate) fn transcript(&self) -> String {
        format!(
            "exit code: {}\n--- stdout\n{}--- stderr\n{}",
            self.code.map_or("none".to_owned(), |code| code.to_string()),
            self.stdout,
            self.stderr
        )
    }

    /// The error object of `--output json`.
    pub(crate) fn error(&self) -> serde_json::Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        let value: serde_json::Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", self.transcript()));
        value["error"].clone()
    }
}
