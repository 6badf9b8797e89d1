use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::group::Held;
use super::mounts::Version;
use super::{Controller, knob};

/// What the kernel has counted for a group since it was made. `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupReading {
    /// The cap in force at this level, bytes; `None` also where there is none.
    pub memory_max: Option<u64>,
    /// Bytes charged now, those of the groups in it included.
    pub memory_current: Option<u64>,
    /// The most bytes there ever were.
    pub memory_peak: Option<u64>,
    /// Processes of this group itself that the kernel killed for want of memory, whichever level's it was. More
    /// than none is what counts: where all of a group go together (v2), the kernel counts the first of them twice.
    pub oom_kills: Option<u64>,
    /// How often the group was about to exceed its own cap; most often the kernel then finds memory to take back.
    pub memory_limit_hits: Option<u64>,
    /// CPU time used.
    pub cpu_time: Option<Duration>,
    /// Periods of the quota in which anything ran.
    pub periods: Option<u64>,
    /// Those in which it had to stand still.
    pub throttled_periods: Option<u64>,
    /// How long it stood still.
    pub throttled_time: Option<Duration>,
    /// Processes and threads now.
    pub pids_current: Option<u64>,
    /// How often one could not be started for `pids_max`.
    pub pids_limit_hits: Option<u64>,
    /// Waiting for CPU.
    pub cpu_pressure: Option<Pressure>,
    /// Waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// Waiting for disks.
    pub io_pressure: Option<Pressure>,
}

/// How much some of the group's tasks waited for something (the kernel's PSI, its line `some`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// In all.
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
            // Where v2 carries no controller it still counts time.
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
            // With both caps the same, the one of memory and swap together is the one that is hit.
            let hits = |name| knob::number(&group.join(name));
            reading.memory_limit_hits = match (hits("memory.failcnt"), hits("memory.memsw.failcnt")) {
                (None, None) => None,
                (alone, with_swap) => Some(alone.unwrap_or(0).saturating_add(with_swap.unwrap_or(0))),
            };
            // Newer kernels (6.18, say) have the files and leave them at 0: a group that was full has been there at least once.
            let full = reading.memory_max.zip(reading.memory_peak).is_some_and(|(max, peak)| peak >= max);
            reading.memory_limit_hits = reading.memory_limit_hits.filter(|hits| *hits > 0 || !full);
        }
        Version::V2 => {
            reading.memory_max = knob::number(&group.join("memory.max"));
            reading.memory_current = knob::number(&group.join("memory.current"));
            reading.memory_peak = knob::number(&group.join("memory.peak"));
            // `.local`: of this group itself, not of those in it.
            let events = group.join("memory.events.local");
            reading.oom_kills = knob::entry(&events, "oom_kill");
            reading.memory_limit_hits = knob::entry(&events, "max");
        }
    }
}

/// v1 has no word for no limit but a number of pages that no machine has.
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

/// The line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, microseconds.
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
