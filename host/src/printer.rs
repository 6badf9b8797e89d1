use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;
use sage_runtime::connector::require_output;

/// The format of a command's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object on stdout, also for errors.
    Json,
}

/// Writes results to stdout and everything else to stderr.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer {
    format: OutputFormat,
}

impl Printer {
    /// A printer for one format.
    pub(super) fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    /// The requested format.
    pub(super) fn format(self) -> OutputFormat {
        self.format
    }

    /// Whether the result is JSON.
    pub(super) fn is_json(self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Prints the result of a command: as text, or as one line of JSON.
    pub(super) fn result(self, text: impl FnOnce() -> String, value: &impl Serialize) -> Result<(), Failure> {
        let mut out = match self.format {
            OutputFormat::Text => text(),
            OutputFormat::Json => serde_json::to_string(value)
                .map_err(|error| Failure::fault(format!("cannot write the result as JSON: {error}")))?,
        };
        if out.is_empty() {
            return Ok(());
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
        // The standard library reports success even if standard output is closed.
        require_output().map_err(|error| Failure::invalid(format!("cannot write the result: {}", error.in_full())))?;
        written(io::stdout().lock().write_all(out.as_bytes()))
    }

    /// Prints a failure: text on stderr, and with JSON the object on stdout.
    pub(super) fn failure(self, failure: &Failure) {
        // If these writes fail, no reader is left to inform. The exit code still reports the failure.
        let _ = io::stderr().lock().write_all(failure.text().as_bytes());
        if self.format == OutputFormat::Json && !failure.is_in_result() {
            let _ = writeln!(io::stdout().lock(), "{}", failure.json());
        }
    }
}

/// A reader that closed the pipe (`| head`) has read enough, so this is not an error.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::fault(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
