use std::thread;

use super::canary::Heard;
use super::examination::{Examination, in_full, shown};
use sage_machine::cgroup::{Cgroups, Controller};
use sage_machine::{CpuSet, ResourceError, Tier, counted, pin_current_thread};

/// Pins a thread to each CPU in turn and reads the result back. A worker tries to move to another CPU, and so
/// does a process in a cgroup.
pub(super) fn examine(cgroups: &Cgroups, heard: Result<&Heard, &str>) -> Examination {
    let examined = |found, mechanism: String, detail, hint| Examination {
        name: "CPU pinning",
        found,
        needed: Tier::Hard,
        mechanism,
        detail,
        hint,
    };
    let affinity = || "affinity".to_owned();
    let pinned = match thread::spawn(on_each).join() {
        Ok(Ok(cpus)) => format!("a thread ran on each of {}", counted(cpus, "CPU")),
        Ok(Err(error)) => {
            return examined(Tier::None, affinity(), in_full(&error), error.hint().map(str::to_owned));
        }
        Err(_) => return examined(Tier::None, affinity(), "the thread to be pinned panicked".to_owned(), None),
    };
    let stays = heard.is_ok_and(|heard| heard.report.moving.is_forbidden());
    let control = &cgroups.controls().cpuset;
    match cgroups.breach(Controller::Cpuset) {
        Ok(breach) => {
            let detail = format!("{pinned}; {} ({})", breach.seen, shown(breach.took));
            examined(Tier::Hard, format!("affinity, {}", control.mechanism), detail, None)
        }
        Err(error) => {
            let why = control.why_not.clone().unwrap_or_else(|| in_full(&error));
            let (found, mechanism, how) = if stays {
                (Tier::Hard, "affinity, syscall filter".to_owned(), "and a worker may not move")
            } else {
                (Tier::Cooperative, affinity(), "but a worker can move")
            };
            examined(found, mechanism, format!("{pinned}, {how}; no group: {why}"), control.hint.clone())
        }
    }
}

fn on_each() -> Result<u32, ResourceError> {
    let allowed = CpuSet::allowed()?;
    for cpu in allowed.iter() {
        pin_current_thread(&[cpu].into_iter().collect())?;
    }
    Ok(allowed.count())
}
