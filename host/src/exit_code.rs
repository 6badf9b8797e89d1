use std::fmt::Write as _;

/// What the program's exit says. Stable: scripts may rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done: every record ended where it should.
    Done = 0,
    /// The host itself is at fault: a bug, or a machine that fails under it. Worth a report.
    InternalFault = 1,
    /// The command line, the pipeline file, a component or a crate is not valid. Nothing was run.
    InvalidUsage = 2,
    /// The pipeline is valid, but this machine cannot give or enforce what it asks for. Nothing was run.
    Refused = 3,
    /// The pipeline failed, while it ran or while its operators started.
    PipelineFailed = 4,
    /// Signals stopped the pipeline before all its input was taken care of (128 + SIGINT, as shells count).
    Interrupted = 130,
}

impl ExitCode {
    /// All of them, rising.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::InternalFault, Self::InvalidUsage, Self::Refused, Self::PipelineFailed, Self::Interrupted];

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::InternalFault => "internal fault",
            Self::InvalidUsage => "invalid usage or file",
            Self::Refused => "refused by admission or enforcement",
            Self::PipelineFailed => "pipeline failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The list that `--help` ends with.
    pub(super) fn help() -> String {
        let mut text = String::from("Exit codes:");
        for code in Self::ALL {
            let _ = write!(text, "\n  {:>3}  {}", code.number(), code.meaning());
        }
        text
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!(ExitCode::ALL.map(ExitCode::number), [0, 1, 2, 3, 4, 130]);
    }
}
