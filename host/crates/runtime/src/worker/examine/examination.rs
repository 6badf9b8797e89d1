use std::error::Error;
use std::time::Duration;

use serde::Serialize;

use sage_machine::Tier;

/// The test of a feature that process isolation needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// The name of the feature: `memory`, `CPU quota`.
    pub name: &'static str,
    /// The enforcement tier that was found.
    pub found: Tier,
    /// The weakest tier with which `--isolation process` keeps its promise; [`Tier::None`] if the feature is
    /// not needed.
    pub needed: Tier,
    /// The mechanism that enforces it.
    pub mechanism: String,
    /// The observation.
    pub detail: String,
    /// A hint for the user about a missing feature.
    pub hint: Option<String>,
}

impl Examination {
    /// Returns `true` if `--isolation process` keeps its promise with this result.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.found <= self.needed
    }
}

/// An error and its causes, in one line.
pub(super) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let below = error.to_string();
        if !text.contains(&below) {
            text = format!("{text}: {}", below.to_lowercase());
        }
        cause = error.source();
    }
    text
}

/// A measured time, as text for people.
pub(super) fn shown(time: Duration) -> String {
    if time < Duration::from_millis(1) {
        return format!("{} µs", time.as_micros());
    }
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_suffices_when_it_holds_as_hard_as_is_needed_or_harder() {
        let examined = |found, needed| {
            let (mechanism, detail, hint) = (String::new(), String::new(), None);
            Examination { name: "memory", found, needed, mechanism, detail, hint }.suffices()
        };
        for (found, needed, suffices) in [
            (Tier::Hard, Tier::Hard, true),
            (Tier::Cooperative, Tier::Hard, false),
            (Tier::None, Tier::Hard, false),
            (Tier::Hard, Tier::Cooperative, true),
            (Tier::None, Tier::Cooperative, false),
            (Tier::None, Tier::None, true),
        ] {
            assert_eq!(examined(found, needed), suffices, "{found:?} where {needed:?} is needed");
        }
    }
}
