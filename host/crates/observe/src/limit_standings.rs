use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// How hard each limit of a run's ledger holds at this moment. It begins as the ledger said, and only goes down.
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

/// One limit of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStanding {
    /// The operator.
    pub operator: String,
    /// The resource or limit, as the pipeline file calls it.
    pub resource: String,
    /// The tier's word, and its number: 2 hard, 1 cooperative, 0 none.
    pub tier: (&'static str, u8),
}

/// A limit that ceased to hold as hard as the ledger said, while the run went on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostLimit {
    /// The operator.
    pub operator: String,
    /// The resource or limit.
    pub resource: String,
    /// The tier before.
    pub was: &'static str,
    /// The tier from then on.
    pub tier: &'static str,
    /// How long after the run began that was noticed.
    pub after_seconds: f64,
    /// What happened.
    pub message: String,
}

impl Default for LimitStandings {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl LimitStandings {
    /// As the ledger says.
    #[must_use]
    pub fn new(standings: Vec<LimitStanding>) -> Self {
        Self { began: Instant::now(), state: Mutex::new(State { standings, lost: Vec::new() }) }
    }

    /// Lowers the tier of a limit; what is noted of it, or `None` where it held no harder before.
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

    /// All of them as they are now.
    #[must_use]
    pub fn standings(&self) -> Vec<LimitStanding> {
        self.lock().standings.clone()
    }

    /// Those that were lowered, in the order in which that was noticed.
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
