use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

use super::failure::Failure;
use super::wasm_target::{self, WASM_TARGET};

/// Without SIMD, loops over bytes in a component ran five times slower.
const SIMD: &str = "-Ctarget-feature=+simd128";

/// Cargo, started in the folder of a crate or workspace.
#[derive(Debug)]
pub(super) struct Cargo {
    folder: PathBuf,
}

impl Cargo {
    /// For the crate or workspace at `path`, which is its folder or its Cargo.toml.
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        let folder = if path.file_name() == Some(OsStr::new("Cargo.toml")) {
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        } else {
            path
        };
        if !folder.join("Cargo.toml").is_file() {
            return Err(Failure::invalid(format!("no crate at {}: it has no Cargo.toml", folder.display()))
                .hint("name the crate's folder, or make one with `sage-host new NAME --kind map`"));
        }
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Reports a missing target early and with the remedy, instead of a long compiler error.
    pub(super) fn require_wasm_target(&self) -> Result<(), Failure> {
        let found = wasm_target::libraries(Some(&self.folder), Stdio::inherit());
        match found.map_err(|error| not_started(&wasm_target::rustc(), &error))? {
            Some(_) => Ok(()),
            None => {
                Err(Failure::invalid(format!("the Rust target {WASM_TARGET} is not installed")).hint(wasm_target::HINT))
            }
        }
    }

    /// Compiles to WebAssembly. Returns the components, in cargo's order.
    pub(super) fn build(&self, debug: bool, more: &[String]) -> Result<Vec<PathBuf>, Failure> {
        let (cargo, mut command) = self.command("build");
        command.args(["--target", WASM_TARGET, "--message-format", "json-render-diagnostics"]);
        if !debug {
            command.arg("--release");
        }
        self.turn_simd_on(&mut command);
        let mut child =
            command.args(more).stdout(Stdio::piped()).spawn().map_err(|error| not_started(&cargo, &error))?;
        let read = child.stdout.take().map_or(Ok(Vec::new()), |stdout| components(BufReader::new(stdout)));
        let status = child.wait().map_err(|error| Failure::fault(format!("cannot wait for cargo: {error}")))?;
        succeeded("build", status)?;
        read
    }

    /// Runs the crate's tests natively.
    pub(super) fn test(&self, more: &[String]) -> Result<(), Failure> {
        let (cargo, mut command) = self.command("test");
        let status = command.args(more).status().map_err(|error| not_started(&cargo, &error))?;
        succeeded("test", status)
    }

    /// Cargo runs in the crate's folder, because it looks for `.cargo/config.toml` there.
    fn command(&self, verb: &str) -> (OsString, Command) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(&cargo);
        command.arg(verb).current_dir(&self.folder);
        (cargo, command)
    }

    /// Adds the SIMD flag in a place that cargo reads: flags in the environment hide those of configuration
    /// files. If the crate's own configuration has the flag, nothing is added, so that a plain `cargo build`
    /// and this command share their build results.
    fn turn_simd_on(&self, command: &mut Command) {
        if let Some(encoded) = std::env::var_os("CARGO_ENCODED_RUSTFLAGS") {
            command.env("CARGO_ENCODED_RUSTFLAGS", joined(encoded, "\u{1f}"));
        } else if let Some(flags) = std::env::var_os("RUSTFLAGS") {
            command.env("RUSTFLAGS", joined(flags, " "));
        } else if !self.configures_simd() {
            command.arg("--config").arg(format!("target.{WASM_TARGET}.rustflags=[\"{SIMD}\"]"));
        }
    }

    fn configures_simd(&self) -> bool {
        std::fs::read_to_string(self.folder.join(".cargo/config.toml"))
            .ok()
            .and_then(|text| text.parse::<toml::Table>().ok())
            .and_then(|config| {
                let flags = config.get("target")?.get(WASM_TARGET)?.get("rustflags")?;
                Some(flags.to_string().contains("simd128"))
            })
            .unwrap_or(false)
    }
}

fn joined(mut flags: OsString, separator: &str) -> OsString {
    if !flags.is_empty() {
        flags.push(separator);
    }
    flags.push(SIMD);
    flags
}

fn not_started(program: &OsStr, error: &io::Error) -> Failure {
    Failure::invalid(format!("cannot start {}: {error}", program.display()))
        .hint("install Rust from https://rustup.rs, and see that ~/.cargo/bin is in PATH")
}

fn succeeded(verb: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(Failure::invalid(format!("cargo {verb} failed ({status})"))) }
}

/// The used fields of cargo's messages. Cargo may add kinds and fields, so unknown ones are accepted.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    kind: Vec<String>,
}

/// Finds the .wasm files of libraries in cargo's messages, one JSON object for each line.
fn components(messages: impl io::BufRead) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for line in messages.lines() {
        let line = line.map_err(|error| Failure::fault(format!("cannot read what cargo says: {error}")))?;
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        let library = message.target.is_some_and(|target| target.kind.iter().any(|kind| kind == "cdylib"));
        if message.reason == "compiler-artifact" && library {
            found.extend(message.filenames.into_iter().filter(|file| file.extension() == Some(OsStr::new("wasm"))));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wasm_of_libraries_counts_as_a_component() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"]},"filenames":["/t/libserde.rlib"]}
{"reason":"compiler-artifact","target":{"kind":["cdylib","rlib"]},"filenames":["/t/a.wasm","/t/liba.rlib"],"fresh":true}
{"reason":"compiler-artifact","target":{"kind":["bin"]},"filenames":["/t/tool.wasm"]}
not json at all
{"reason":"build-finished","success":true}
"#;
        assert_eq!(components(messages.as_bytes()).unwrap(), [PathBuf::from("/t/a.wasm")]);
    }

    #[test]
    fn flags_in_the_environment_are_kept() {
        assert_eq!(joined(OsString::from("-Copt-level=3"), " "), "-Copt-level=3 -Ctarget-feature=+simd128");
        assert_eq!(joined(OsString::new(), " "), SIMD);
    }

    #[test]
    fn a_folder_without_a_crate_is_said_to_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Cargo::at(folder.path()).unwrap_err();
        assert!(failure.text().contains("it has no Cargo.toml"), "{}", failure.text());
    }
}
