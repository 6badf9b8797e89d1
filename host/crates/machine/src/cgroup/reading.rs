use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::held::Held;
use super::mounts::Version;
use super::{Controller, knob};

/// The kernel's counts for a group since it was made. `None` if the kernel does not report a count.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupReading {
    /// The cap at this level in bytes; also `None` if there is no cap.
    pub memory_max: Option<u64>,
    /// Bytes charged now, including those of the groups in it.
    pub memory_current: Option<u64>,
    /// The highest number of bytes charged so far.
    pub memory_peak: Option<u64>,
    /// Processes of this group itself that the kernel killed for lack of memory, by the limit of any level.
    /// Only test for more than zero: if all processes of a group are killed together (v2), the kernel counts
    /// the first twice.
    pub oom_kills: Option<u64>,
    /// Number of times that the group was about to exceed its own cap. Most often the kernel then finds
    /// memory to reclaim.
    pub memory_limit_hits: Option<u64>,
    /// CPU time used.
    pub cpu_time: Option<Duration>,
    /// Periods of the quota in which a process of the group ran.
    pub periods: Option<u64>,
    /// Periods in which the group was throttled.
    pub throttled_periods: Option<u64>,
    /// Time for which the group was throttled.
    pub throttled_time: Option<Duration>,
    /// Processes and threads now.
    pub pids_current: Option<u64>,
    /// Number of forks that failed because of `pids_max`.
    pub pids_limit_hits: Option<u64>,
    /// Waiting for CPU.
    pub cpu_pressure: Option<Pressure>,
    /// Waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// Waiting for disks.
    pub io_pressure: Option<Pressure>,
}

/// The time for which some tasks of the group waited for a resource (the line `some` of the kernel's PSI).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Total time.
    pub total: Duration,
}

impl GroupReading {
    pub(super) fn of(held: &Held) -> Self {
        let mut reading = Self::default();
        for (controller, read) in [
            (Controller::Memory, memory as fn(&mut Self, Version, &Path)),
            (Controller::Cpu, cpu),
            (Controller::Pids, pids),
        ] {
            if let Some(branch) = held.tree.branch_of(controller) {
                read(&mut reading, branch.version, &branch.slice.join(&held.below));
            }
        }
        if let Some(branch) = held.tree.unified() {
            let pressure =
                |name| fs::read_to_string(branch.slice.join(&held.below).join(name)).ok().and_then(|text| some(&text));
            reading.cpu_pressure = pressure("cpu.pressure");
            reading.memory_pressure = pressure("memory.pressure");
            reading.io_pressure = pressure("io.pressure");
            // v2 counts CPU time even if it carries no controller.
            let usage = || knob::entry(&branch.slice.join(&held.below).join("cpu.stat"), "usage_usec");
            reading.cpu_time = reading.cpu_time.or_else(|| usage().map(Duration::from_micros));
        }
        reading
    }
}

fn memory(reading: &mut GroupReading, version: Version, group: &Path) {
    match version {
        Version::V1 => {
            reading.memory_max = knob::number(&group.join("memory.limit_in_bytes")).filter(|max| *max < UNLIMITED);
            reading.memory_current = knob::number(&group.join("memory.usage_in_bytes"));
            reading.memory_peak = knob::number(&group.join("memory.max_usage_in_bytes"));
            reading.oom_kills = knob::entry(&group.join("memory.oom_control"), "oom_kill");
            // If both caps are equal, the cap of memory and swap together is the one that is hit.
            let hits = |name| knob::number(&group.join(name));
            reading.memory_limit_hits = match (hits("memory.failcnt"), hits("memory.memsw.failcnt")) {
                (None, None) => None,
                (alone, with_swap) => Some(alone.unwrap_or(0).saturating_add(with_swap.unwrap_or(0))),
            };
            // Newer kernels (for example 6.18) have the files and leave them at 0. A group that was full has
            // hit its limit at least once.
            let full = reading.memory_max.zip(reading.memory_peak).is_some_and(|(max, peak)| peak >= max);
            reading.memory_limit_hits = reading.memory_limit_hits.filter(|hits| *hits > 0 || !full);
        }
        Version::V2 => {
            reading.memory_max = knob::number(&group.join("memory.max"));
            reading.memory_current = knob::number(&group.join("memory.current"));
            reading.memory_peak = knob::number(&group.join("memory.peak"));
            // `.local` counts events of this group itself, without the groups in it.
            let events = group.join("memory.events.local");
            reading.oom_kills = knob::entry(&events, "oom_kill");
            reading.memory_limit_hits = knob::entry(&events, "max");
        }
    }
}

/// v1 writes no limit as a number of pages that no machine has.
pub(super) const UNLIMITED: u64 = 1 << 62;

fn cpu(reading: &mut GroupReading, version: Version, group: &Path) {
    let Ok(text) = fs::read_to_string(group.join("cpu.stat")) else { return };
    reading.periods = knob::value_of(&text, "nr_periods");
    reading.throttled_periods = knob::value_of(&text, "nr_throttled");
    match version {
        Version::V1 => reading.throttled_time = knob::value_of(&text, "throttled_time").map(Duration::from_nanos),
        Version::V2 => {
            reading.throttled_time = knob::value_of(&text, "throttled_usec").map(Duration::from_micros);
            reading.cpu_time = knob::value_of(&text, "usage_usec").map(Duration::from_micros);
        }
    }
}

fn pids(reading: &mut GroupReading, _: Version, group: &Path) {
    reading.pids_current = knob::number(&group.join("pids.current"));
    reading.pids_limit_hits = knob::entry(&group.join("pids.events"), "max");
}

/// Parses the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, with microseconds.
fn some(text: &str) -> Option<Pressure> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let value = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    Some(Pressure { avg10: value("avg10")?.parse().ok()?, total: Duration::from_micros(value("total")?.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_from_its_line_or_not_at_all() {
        let text =
            "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(some(text), Some(Pressure { avg10: 1.5, total: Duration::from_millis(2500) }));
        for text in ["", "some avg10=x total=1", "full avg10=0.00 total=0", "some avg10=1.00"] {
            assert_eq!(some(text), None, "{text}");
        }
    }
}
