use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;
use sage_runtime::connector::require_output;

/// How a command's result is written.
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
    /// A printer of one format.
    pub(super) fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    /// The format asked for.
    pub(super) fn format(self) -> OutputFormat {
        self.format
    }

    /// The result of a command: as text, or as one line of JSON.
    pub(super) fn result(self, text: impl FnOnce() -> String, value: &impl Serialize) -> Result<(), Failure> {
        let mut out = match self.format {
            OutputFormat::Text => text(),
            OutputFormat::Json => serde_json::to_string(value)
                .map_err(|error| Failure::fault(format!("cannot write the result as JSON: {error}")))?,
        };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        // Where nobody gets it, the standard library says that all is well.
        require_output().map_err(|error| Failure::invalid(format!("cannot write the result: {}", error.in_full())))?;
        written(io::stdout().lock().write_all(out.as_bytes()))
    }

    /// A failure: words on stderr, and with JSON the object on stdout.
    pub(super) fn failure(self, failure: &Failure) {
        // Nobody is left to tell when these writes fail; the exit code still says it.
        let _ = io::stderr().lock().write_all(failure.text().as_bytes());
        if self.format == OutputFormat::Json && !failure.is_in_result() {
            let _ = writeln!(io::stdout().lock(), "{}", failure.json());
        }
    }
}

/// A reader that has gone away (`| head`) is content with what it got.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::fault(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
