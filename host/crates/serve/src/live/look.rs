use sage_jobs::{JobState, JobStatus};
use serde::{Deserialize, Serialize};

use super::StageRates;

/// The rates of a job between two looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Number of the look, from 1.
    pub seq: u64,
    /// Time of the look, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// What the attempt does; `None` if its process did not answer.
    pub state: Option<JobState>,
    /// Why there is no answer.
    pub silent: Option<String>,
    /// Seconds since the look before, from which the rates are.
    pub seconds: Option<f64>,
    /// Sources, operators and sinks, upstream before downstream; empty while the job starts.
    pub stages: Vec<StageRates>,
}

impl Look {
    /// What happened between two answers. Answers of two attempts have nothing between them.
    #[must_use]
    pub fn between(earlier: Option<&JobStatus>, now: &JobStatus) -> Self {
        let earlier = earlier.filter(|earlier| earlier.attempt == now.attempt && earlier.at < now.at);
        let seconds = earlier.map(|earlier| (now.at - earlier.at) as f64 / 1000.0);
        let stage = |stage: &sage_jobs::JobStage| {
            let before = earlier.and_then(|earlier| earlier.stages.iter().find(|other| other.name == stage.name));
            StageRates::between(before, stage, seconds.unwrap_or(0.0))
        };
        Self {
            seq: 0,
            at: now.at,
            attempt: now.attempt,
            state: Some(now.state),
            silent: None,
            seconds,
            stages: now.stages.iter().map(stage).collect(),
        }
    }

    /// A look without an answer.
    #[must_use]
    pub fn silent(attempt: u32, why: String, now: u64) -> Self {
        Self { seq: 0, at: now, attempt, state: None, silent: Some(why), seconds: None, stages: Vec::new() }
    }

    /// Whether it has rates: a job that starts, or does not answer, has none to wait for.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.seconds.is_some() || self.stages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use sage_jobs::JobStage;

    use super::*;

    fn status(attempt: u32, at: u64, records_in: u64) -> JobStatus {
        let stage = JobStage { name: "a".to_owned(), kind: "map".to_owned(), records_in, ..JobStage::default() };
        JobStatus {
            version: 1,
            id: "x".to_owned(),
            attempt,
            program: "0".to_owned(),
            at,
            state: JobState::Running,
            since: 0,
            stages: vec![stage],
        }
    }

    #[test]
    fn two_answers_of_one_attempt_give_rates_and_those_of_two_attempts_do_not() {
        let rate = |earlier: &JobStatus, now: &JobStatus| {
            let look = Look::between(Some(earlier), now);
            (look.seconds, look.stages[0].records_per_second)
        };
        assert_eq!(rate(&status(1, 1000, 10), &status(1, 3000, 30)), (Some(2.0), Some(10.0)));
        assert_eq!(rate(&status(1, 1000, 10), &status(2, 3000, 5)), (None, None));
        assert_eq!(rate(&status(1, 1000, 10), &status(1, 1000, 30)), (None, None));
    }
}
