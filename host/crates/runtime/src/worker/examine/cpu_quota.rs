use std::thread;
use std::time::{Duration, Instant};

use super::examination::{Examination, in_full, shown};
use sage_machine::cgroup::{Cgroups, Controller};
use sage_machine::{CpuShare, Tier, thread_cpu_time};

/// The CPU share of the fallback, in 1/10,000, and the duration of its test: several of its periods of 20 ms.
const SHARE: u32 = 2_500;
const WHILE: Duration = Duration::from_millis(160);
/// The largest part of a CPU that the test accepts. A fifth may have been saved up, and wake-ups are late on a
/// busy machine. Half of the time is still far from all of it.
const AT_MOST: f64 = 0.5;

/// Runs a process that never yields in a cgroup. Without cgroups, a thread sleeps to stay within its share.
pub(super) fn examine(cgroups: &Cgroups) -> Examination {
    let control = &cgroups.controls().cpu;
    let examined = |found, mechanism: &str, detail, hint| Examination {
        name: "CPU quota",
        found,
        needed: Tier::Hard,
        mechanism: mechanism.to_owned(),
        detail,
        hint,
    };
    let (why, hint) = match cgroups.breach(Controller::Cpu) {
        Ok(breach) => {
            let detail = format!("{} ({})", breach.seen, shown(breach.took));
            return examined(Tier::Hard, &control.mechanism, detail, None);
        }
        Err(error) => (control.why_not.clone().unwrap_or_else(|| in_full(&error)), control.hint.clone()),
    };
    match thread::spawn(spin).join() {
        Ok(used) if used <= WHILE.mul_f64(AT_MOST) => {
            let detail = format!(
                "no group: {why}; without one a busy thread with 0.25 of a CPU used {} of {}; this limits \
                 guests, but not the worker's own threads",
                shown(used),
                shown(WHILE)
            );
            examined(Tier::Cooperative, "duty cycle", detail, hint)
        }
        Ok(used) => {
            let used = shown(used);
            let detail =
                format!("no group: {why}; and a busy thread with 0.25 of a CPU used {used} of {}", shown(WHILE));
            examined(Tier::None, "nothing", detail, hint)
        }
        // The panic hook has already reported the panic.
        Err(_) => examined(Tier::None, "nothing", format!("no group: {why}"), hint),
    }
}

/// Behaves like a lane that never yields: works, asks its share, and sleeps as long as told. Returns its CPU
/// time.
fn spin() -> Duration {
    let mut share = CpuShare::new(SHARE);
    let (started, before) = (Instant::now(), thread_cpu_time());
    while started.elapsed() < WHILE {
        if let Some(sleep) = share.pace() {
            thread::sleep(sleep.min(WHILE.saturating_sub(started.elapsed())));
        }
    }
    thread_cpu_time().saturating_sub(before)
}
