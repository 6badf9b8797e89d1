use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of the program left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in `folder`, with nobody at the terminal.
pub(crate) fn sage_host(folder: &Path, words: &[&str]) -> Ran {
    Ran::of(command(folder, words).output().unwrap())
}

/// The program in `folder`: as wide as a terminal of 100 columns, without colour, and with caches and leases of its own.
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

    /// Everything, for a snapshot.
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
