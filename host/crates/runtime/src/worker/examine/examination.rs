use std::error::Error;
use std::time::Duration;

use serde::Serialize;

use sage_machine::Tier;

/// One thing that process isolation needs, as it was found by trying it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// What was tried: `memory`, `CPU quota`.
    pub name: &'static str,
    /// How hard it holds here.
    pub found: Tier,
    /// The weakest with which `--isolation process` keeps what it promises; [`Tier::None`] where it does without.
    pub needed: Tier,
    /// By what it holds.
    pub mechanism: String,
    /// What was seen.
    pub detail: String,
    /// What to do about what is missing.
    pub hint: Option<String>,
}

impl Examination {
    /// Whether `--isolation process` keeps its promise with this.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.found <= self.needed
    }
}

/// An error and what caused it, in one line.
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

/// A time that was measured, as people read it.
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
