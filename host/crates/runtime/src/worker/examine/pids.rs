use super::canary::Heard;
use super::examination::{Examination, in_full, shown};
use sage_machine::Tier;
use sage_machine::cgroup::{Cgroups, Controller};

/// A process in a full cgroup forks. Without cgroups, a worker forks.
pub(super) fn examine(cgroups: &Cgroups, heard: Result<&Heard, &str>) -> Examination {
    let control = &cgroups.controls().pids;
    let examined = |found, mechanism: &str, detail, hint| Examination {
        name: "pids",
        found,
        needed: Tier::Hard,
        mechanism: mechanism.to_owned(),
        detail,
        hint,
    };
    let (why, hint) = match cgroups.breach(Controller::Pids) {
        Ok(breach) => {
            let detail = format!("{} ({})", breach.seen, shown(breach.took));
            return examined(Tier::Hard, &control.mechanism, detail, None);
        }
        Err(error) => (control.why_not.clone().unwrap_or_else(|| in_full(&error)), control.hint.clone()),
    };
    match heard.map(|heard| heard.report.forking.is_forbidden()) {
        Ok(true) => {
            let detail = format!("no group: {why}; without one a worker cannot fork, and its threads are not counted");
            examined(Tier::Cooperative, "syscall filter", detail, hint)
        }
        Ok(false) => examined(Tier::None, "nothing", format!("no group: {why}; and a worker could fork"), hint),
        Err(error) => examined(Tier::None, "nothing", format!("no group: {why}; and {error}"), hint),
    }
}
