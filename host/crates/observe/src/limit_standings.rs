use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// The current enforcement tier of each limit of a run. A tier begins as in the enforcement report and only
/// goes down.
#[derive(Debug)]
pub struct LimitStandings {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    standings: Vec<LimitStanding>,
    lost: Vec<LostLimit>,
}

/// A limit of an operator, with its current tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStanding {
    /// Name of the operator.
    pub operator: String,
    /// Name of the resource or limit in the pipeline file.
    pub resource: String,
    /// Name of the tier, and its number: 2 hard, 1 cooperative, 0 none.
    pub tier: (&'static str, u8),
}

/// A limit that fell below its tier in the enforcement report during the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostLimit {
    /// Name of the operator.
    pub operator: String,
    /// Name of the resource or limit.
    pub resource: String,
    /// Name of the tier before.
    pub was: &'static str,
    /// Name of the tier from then on.
    pub tier: &'static str,
    /// Seconds from the start of the run until the loss was noticed.
    pub after_seconds: f64,
    /// Description of the cause.
    pub message: String,
}

impl Default for LimitStandings {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl LimitStandings {
    /// The tiers of the enforcement report.
    #[must_use]
    pub fn new(standings: Vec<LimitStanding>) -> Self {
        Self { began: Instant::now(), state: Mutex::new(State { standings, lost: Vec::new() }) }
    }

    /// Lowers the tier of a limit. Returns the recorded loss, or `None` if the tier was not higher before or
    /// the limit is unknown.
    pub fn lower(&self, operator: &str, resource: &str, tier: (&'static str, u8), message: &str) -> Option<LostLimit> {
        let mut state = self.lock();
        let mut standings = state.standings.iter_mut();
        let standing = standings.find(|one| one.operator == operator && one.resource == resource)?;
        if standing.tier.1 <= tier.1 {
            return None;
        }
        let (was, _) = std::mem::replace(&mut standing.tier, tier);
        let lost = LostLimit {
            operator: operator.to_owned(),
            resource: resource.to_owned(),
            was,
            tier: tier.0,
            after_seconds: self.began.elapsed().as_secs_f64(),
            message: message.to_owned(),
        };
        state.lost.push(lost.clone());
        Some(lost)
    }

    /// The current tier of every limit.
    #[must_use]
    pub fn standings(&self) -> Vec<LimitStanding> {
        self.lock().standings.clone()
    }

    /// The limits that were lowered, in the order in which the losses were noticed.
    #[must_use]
    pub fn lost(&self) -> Vec<LostLimit> {
        self.lock().lost.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_only_goes_down_and_each_step_is_noted_once() {
        const HARD: (&str, u8) = ("hard", 2);
        const COOPERATIVE: (&str, u8) = ("cooperative", 1);
        const NONE: (&str, u8) = ("none", 0);
        let standing = LimitStanding { operator: "a".to_owned(), resource: "num_cpus".to_owned(), tier: HARD };
        let limits = LimitStandings::new(vec![standing]);
        assert!(limits.lower("a", "memory", NONE, "not a limit of this run").is_none());
        for (tier, message, noted) in [
            (HARD, "as it was", false),
            (COOPERATIVE, "first", true),
            (COOPERATIVE, "again", false),
            (NONE, "second", true),
            (COOPERATIVE, "back", false),
        ] {
            assert_eq!(limits.lower("a", "num_cpus", tier, message).is_some(), noted, "{message}");
        }
        let lost: Vec<_> = limits.lost().into_iter().map(|lost| (lost.was, lost.tier, lost.message)).collect();
        let expected = [("hard", "cooperative", "first".to_owned()), ("cooperative", "none", "second".to_owned())];
        assert_eq!(lost, expected);
        assert_eq!(limits.standings()[0].tier, NONE);
    }
}
