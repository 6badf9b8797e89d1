/// Reason why something could not be measured.
pub(crate) type Problem = Box<dyn std::error::Error>;

/// Length of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Less than three minutes; published figures come from this mode.
    Full,
    /// Less than half a minute; a quick look.
    Quick,
}

impl Effort {
    /// Chooses the value for this mode.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) target: Option<Target>,
    pub(crate) found: Result<Spread, String>,
}

/// Target of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// Median, minimum and maximum of some rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// The spread of `rounds`; `None` if there are none.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        Some(Self { median: *rounds.get(rounds.len() / 2)?, least: *rounds.first()?, most: *rounds.last()? })
    }
}

impl Figure {
    /// A figure from the results of `rounds`.
    pub(crate) fn of(name: impl Into<String>, unit: &'static str, rounds: impl IntoIterator<Item = f64>) -> Self {
        let found = Spread::of(rounds).ok_or_else(|| "nothing was measured".to_owned());
        Self { name: name.into(), unit, target: None, found }
    }

    /// A figure that could not be measured, with the reason.
    pub(crate) fn skipped(name: &str, problem: &Problem) -> Self {
        Self { name: name.to_owned(), unit: "", target: None, found: Err(problem.to_string()) }
    }

    /// Sets the target.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Whether the figure meets its target; `None` without a target or a result.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let (target, found) = (self.target?, self.found.as_ref().ok()?);
        Some(match target {
            Target::AtMost(most) => found.median <= most,
            Target::AtLeast(least) => found.median >= least,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_held_against_the_median() {
        let figure = || Figure::of("f", "ns", [3.0, 1.0, 100.0]);
        assert_eq!(figure().found, Ok(Spread { median: 3.0, least: 1.0, most: 100.0 }));
        let cases = [(Target::AtMost(3.0), true), (Target::AtMost(2.9), false), (Target::AtLeast(3.1), false)];
        for (target, met) in cases {
            assert_eq!(figure().target(target).is_met(), Some(met), "{target:?}");
        }
        assert_eq!(figure().is_met(), None);
        assert_eq!(Figure::of("f", "ns", []).target(Target::AtMost(1.0)).is_met(), None);
    }
}
