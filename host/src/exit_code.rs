use std::fmt::Write as _;

/// The program's exit codes. The numbers are stable: scripts may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Success: every record ended where it should.
    Done = 0,
    /// The host itself is at fault: a bug, or a failing machine. Please report it.
    InternalFault = 1,
    /// The command line, the pipeline file, a component or a crate is not valid. Nothing was run.
    InvalidUsage = 2,
    /// The pipeline is valid, but this machine cannot provide or enforce its resources. Nothing was run.
    Refused = 3,
    /// The pipeline failed, during the run or during the start of its operators.
    PipelineFailed = 4,
    /// Another process is the same job. Only the process of a job ends so, and nothing of the job has changed.
    AlreadyRuns = 5,
    /// Signals stopped the pipeline before all its input was processed (128 + SIGINT, by the convention of
    /// shells).
    Interrupted = 130,
}

impl ExitCode {
    /// All exit codes of commands, in rising order.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::InternalFault, Self::InvalidUsage, Self::Refused, Self::PipelineFailed, Self::Interrupted];

    /// The exit code's number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The meaning in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::InternalFault => "internal fault",
            Self::InvalidUsage => "invalid usage or file",
            Self::Refused => "refused by admission or enforcement",
            Self::PipelineFailed => "pipeline failed",
            Self::AlreadyRuns => "already runs",
            Self::Interrupted => "interrupted",
        }
    }

    /// The list of exit codes at the end of `--help`.
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
