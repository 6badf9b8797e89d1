use super::attempts::HOARD;
use super::canary::Heard;
use super::canary_report::DATA;
use super::examination::{Examination, in_full, shown};
use sage_machine::Tier;
use sage_machine::cgroup::{Cgroups, Controller};
use sage_text::short_size;

/// A process in a cgroup takes more memory than the limit of the cgroup. Without cgroups, a process takes more
/// than its own limit.
pub(super) fn examine(cgroups: &Cgroups, heard: Result<&Heard, &str>) -> Examination {
    let control = &cgroups.controls().memory;
    let examined = |found, mechanism: String, detail, hint: Option<String>| Examination {
        name: "memory",
        found,
        needed: Tier::Hard,
        mechanism,
        detail,
        hint,
    };
    let (why, hint) = match cgroups.breach(Controller::Memory) {
        Ok(breach) => {
            let detail = format!("{} ({})", breach.seen, shown(breach.took));
            return examined(Tier::Hard, control.mechanism.clone(), detail, None);
        }
        Err(error) => (control.why_not.clone().unwrap_or_else(|| in_full(&error)), control.hint.clone()),
    };
    let (wanted, limit) = (short_size(u64::try_from(HOARD).unwrap_or(u64::MAX)), short_size(DATA));
    match heard.map(|heard| heard.report.hoarding.refused.is_some()) {
        Ok(true) => examined(
            Tier::Cooperative,
            "memory limiter, RLIMIT_DATA".to_owned(),
            format!(
                "no group: {why}; without one a process was refused {wanted} at {limit} of private memory; shared \
                 memory and file pages are not counted"
            ),
            hint,
        ),
        Ok(false) => {
            let detail = format!("no group: {why}; and a process had {wanted} with RLIMIT_DATA at {limit}");
            examined(Tier::None, "nothing".to_owned(), detail, hint)
        }
        Err(error) => examined(Tier::None, "nothing".to_owned(), format!("no group: {why}; and {error}"), hint),
    }
}
