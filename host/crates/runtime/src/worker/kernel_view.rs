use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sage_machine::cgroup::{Group, GroupEntry, GroupReading, Level, OomCulprit, OomWatch, WhoseLimit};
use sage_observe::{KernelNumbers, KernelReading};
use sage_text::short_size;

/// The cgroup of an instance, and the kernel's counters of it. They remain readable after the cgroup is
/// removed.
#[derive(Debug)]
pub(super) struct KernelView(Mutex<State>);

#[derive(Debug)]
struct State {
    group: Option<Group>,
    last: KernelNumbers,
}

impl KernelView {
    pub(super) fn new(group: Group) -> Self {
        Self(Mutex::new(State { group: Some(group), last: KernelNumbers::default() }))
    }

    /// The entry through which the next worker joins the cgroup.
    pub(super) fn entry(&self) -> io::Result<Option<GroupEntry>> {
        self.lock().group.as_ref().map(Group::entry).transpose().map_err(io::Error::other)
    }

    /// Starts to watch for a memory shortage of the worker that is started next.
    pub(super) fn watch_oom(&self) -> Option<OomWatch> {
        let state = self.lock();
        let watch = state.group.as_ref()?.watch_oom();
        watch.inspect_err(|error| tracing::warn!(%error, "an out-of-memory kill cannot be detected")).ok()
    }

    /// If the kernel killed the worker because memory ran out: the message, and the name of the limit.
    pub(super) fn out_of_memory(&self, watch: &OomWatch) -> Option<(String, &'static str)> {
        watch.culprit().map(|culprit| (tell(&culprit), limit_of(culprit.whose)))
    }

    /// Removes the cgroup after the end of the last worker, and keeps its last counters.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if let Some(group) = state.group.take() {
            state.last = numbers(&group.reading());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KernelReading for KernelView {
    fn read(&self) -> KernelNumbers {
        let state = self.lock();
        state.group.as_ref().map_or(state.last, |group| numbers(&group.reading()))
    }
}

fn numbers(reading: &GroupReading) -> KernelNumbers {
    KernelNumbers {
        memory: reading.memory_current,
        memory_peak: reading.memory_peak,
        memory_max: reading.memory_max,
        oom_kills: reading.oom_kills,
        throttled_periods: reading.throttled_periods,
        throttled: reading.throttled_time,
        memory_pressure: reading.memory_pressure.map(|pressure| pressure.avg10),
        cpu_pressure: reading.cpu_pressure.map(|pressure| pressure.avg10),
    }
}

fn limit_of(whose: WhoseLimit) -> &'static str {
    match whose {
        WhoseLimit::Level(Level::Instance) => "worker_memory",
        WhoseLimit::Level(Level::Pipeline) => "pipeline_memory",
        WhoseLimit::Level(Level::Tenant) => "tenant_memory",
        WhoseLimit::Beyond => "host_memory",
    }
}

fn tell(culprit: &OomCulprit) -> String {
    let OomCulprit { whose, group, cap, peak } = culprit;
    let amount = |amount: &Option<u64>| amount.map_or_else(|| "an unknown amount".to_owned(), short_size);
    let (cap, peak, group) = (amount(cap), amount(peak), group.display());
    match whose {
        WhoseLimit::Level(Level::Instance) => format!(
            "the kernel killed the worker process at the instance's limit: {cap} of memory for everything it \
             needs, {peak} at its peak"
        ),
        WhoseLimit::Level(Level::Pipeline) => format!(
            "the kernel killed the worker process at the pipeline's limit: {cap} for all of {group}, {peak} at its peak"
        ),
        WhoseLimit::Level(Level::Tenant) => format!(
            "the kernel killed the worker process at the tenant's limit: {cap} for all of {group}, {peak} at its peak"
        ),
        WhoseLimit::Beyond => {
            "the kernel killed the worker process because the machine or a cgroup around sage-host ran out of \
             memory"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_for_lack_of_memory_says_whose_limit_it_was_and_how_much() {
        let culprit = |whose| OomCulprit {
            whose,
            group: "acme/flights/embed-0".into(),
            cap: Some(64 << 20),
            peak: Some(64 << 20),
        };
        for (whose, told) in [
            (WhoseLimit::Level(Level::Instance), "the instance's limit: 64MiB"),
            (WhoseLimit::Level(Level::Pipeline), "the pipeline's limit: 64MiB for all of acme/flights/embed-0"),
            (WhoseLimit::Level(Level::Tenant), "the tenant's limit: 64MiB"),
            (WhoseLimit::Beyond, "the machine or a cgroup around sage-host"),
        ] {
            let text = tell(&culprit(whose));
            assert!(text.contains(told), "{text}");
        }
    }
}
