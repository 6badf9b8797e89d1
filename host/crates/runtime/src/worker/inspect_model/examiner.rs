use std::path::PathBuf;

use super::reply;
use crate::worker::one_shot_run::{OneShotFailure, OneShotRun};
use sage_models::{ExamineElsewhere, ExamineLimits, Examined, ModelError, Trial};
use sage_text::plain_text;

/// Examines each model in a one-shot process, which is killed at its timeout.
#[derive(Debug, Clone)]
pub struct OneShotInspector {
    program: PathBuf,
}

impl OneShotInspector {
    /// Makes the inspector. Processes are started as `program examine-model MEMORY CPU_SECONDS PARENT
    /// [--try-out]`, which must call [`examine_one`](super::examine_one). For `sage-host` itself, `program` is
    /// `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

impl ExamineElsewhere for OneShotInspector {
    fn examine(&self, model: &[u8], trial: Trial, limits: ExamineLimits) -> Result<Examined, ModelError> {
        let arguments: &[&str] = if trial == Trial::Wanted { &["--try-out"] } else { &[] };
        let run = OneShotRun {
            program: &self.program,
            subcommand: "examine-model",
            arguments,
            environment: &[],
            memory: limits.memory,
            threads: 1,
            timeout: limits.timeout,
            longest_reply: reply::LONGEST,
        };
        let reply = run.reply_to("sage-model", model).map_err(|failure| match failure {
            OneShotFailure::Unavailable(why) => ModelError::Unavailable(why),
            OneShotFailure::TimedOut => ModelError::TimedOut(limits.timeout),
            OneShotFailure::OutOfMemory => ModelError::OutOfMemory(limits.memory),
            OneShotFailure::LongReply => {
                let most = reply::LONGEST;
                ModelError::Refused(format!("its names and metadata have more than {most} bytes"))
            }
            OneShotFailure::Died(how) => ModelError::Died(how),
        })?;
        let found = reply::read(&reply).ok_or_else(|| ModelError::Died("sent an invalid reply".to_owned()))?;
        found.map_err(|reason| ModelError::Refused(plain_text(&reason).into_owned()))
    }
}
