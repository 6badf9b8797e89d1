use super::attempt::{listed, went_through};
use super::canary::Heard;
use super::examination::{Examination, shown};
use sage_machine::Tier;

/// The far side of a ring tries to write memory that it may only read, and to change sizes. Then both sides
/// wake each other.
pub(super) fn examine(heard: Result<&Heard, &str>) -> Examination {
    let examined = |found, detail, hint| Examination {
        name: "shared memory",
        found,
        needed: Tier::Hard,
        mechanism: "sealed memfd, eventfd".to_owned(),
        detail,
        hint,
    };
    let heard = match heard {
        Ok(heard) => heard,
        Err(error) => return examined(Tier::None, error.to_owned(), None),
    };
    match went_through(&heard.report.seals) {
        Some(through) => {
            let hint = "run Linux 5.1 or newer, which knows F_SEAL_FUTURE_WRITE";
            examined(Tier::None, format!("the far side was not refused: {through}"), Some(hint.to_owned()))
        }
        None => {
            let (tried, time) = (listed(&heard.report.seals), shown(heard.round_trip));
            examined(Tier::Hard, format!("the far side was refused: {tried}; there and back in {time}"), None)
        }
    }
}
