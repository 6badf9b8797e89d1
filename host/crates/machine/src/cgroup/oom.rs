use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::held::Held;
use super::level::Level;
use super::mounts::Version;
use super::{CgroupError, Controller, GroupReading, knob};

/// A watch that finds the exceeded limit when the kernel kills a process for lack of memory: the limit of the
/// process's own group, or one further up, whose memory other workers use too.
///
/// v2 counts in `memory.events.local` of a level how often that level's cap was exceeded (`oom`). v1 signals
/// a level and everything below it, so a level's own events are those that were not signalled to the level
/// above. Counts begin when the watch begins.
#[derive(Debug)]
pub struct OomWatch {
    held: Arc<Held>,
    /// The instance's kills when the watch began.
    kills: u64,
    /// The instance's level first, the tenant's last.
    levels: Vec<Watched>,
}

/// A level, and the source of its events.
#[derive(Debug)]
enum Watched {
    /// v1: a counter that the kernel raises.
    Signalled(OwnedFd),
    /// v2: the value of `oom` when the watch began.
    Counted { events: PathBuf, before: u64 },
}

/// The exceeded limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomCulprit {
    /// Level of the limit.
    pub whose: WhoseLimit,
    /// The group, below the slice. If the limit is beyond the slice, the tenant's group.
    pub group: PathBuf,
    /// The cap of that level in bytes; `None` if the limit is beyond the slice.
    pub cap: Option<u64>,
    /// The highest memory use of that level, in bytes.
    pub peak: Option<u64>,
}

/// The level that ran out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhoseLimit {
    /// A level of sage-host.
    Level(Level),
    /// The slice, a group above it, or the machine.
    Beyond,
}

impl OomWatch {
    pub(super) fn begin(held: &Arc<Held>) -> Result<Self, CgroupError> {
        let kills = GroupReading::of(held).oom_kills.unwrap_or(0);
        let mut levels = Vec::new();
        if let Some(branch) = held.tree.branch_of(Controller::Memory) {
            for level in held.levels() {
                levels.push(Watched::begin(branch.version, &branch.slice.join(&level.below))?);
            }
        }
        Ok(Self { held: Arc::clone(held), kills, levels })
    }

    /// The exceeded limit, if the kernel has killed a process of the group since the watch began; `None` if
    /// it has not, or does not report it.
    #[must_use]
    pub fn culprit(&self) -> Option<OomCulprit> {
        if GroupReading::of(&self.held).oom_kills? <= self.kills {
            return None;
        }
        let counts: Vec<u64> = self.levels.iter().map(Watched::count).collect();
        let own = counts.iter().enumerate().map(|(index, count)| match self.levels.get(index) {
            Some(Watched::Signalled(_)) => count.saturating_sub(counts.get(index + 1).copied().unwrap_or(0)),
            _ => *count,
        });
        let hit = self.held.levels().zip(own).find_map(|(level, own)| (own > 0).then_some(level));
        Some(match hit {
            Some(level) => {
                let GroupReading { memory_max, memory_peak, .. } = GroupReading::of(level);
                let whose = WhoseLimit::Level(level.level);
                OomCulprit { whose, group: level.below.clone(), cap: memory_max, peak: memory_peak }
            }
            None => {
                let group = self.held.levels().last().map(|top| top.below.clone()).unwrap_or_default();
                OomCulprit { whose: WhoseLimit::Beyond, group, cap: None, peak: None }
            }
        })
    }
}

impl Watched {
    fn begin(version: Version, group: &Path) -> Result<Self, CgroupError> {
        if version == Version::V2 {
            let events = group.join("memory.events.local");
            let before = knob::entry(&events, "oom").unwrap_or(0);
            return Ok(Self::Counted { events, before });
        }
        let failed = |cause| CgroupError::Watch { path: group.to_owned(), cause };
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let path = group.join("memory.oom_control");
        let source = File::open(&path).map_err(|cause| CgroupError::Read { path, cause })?;
        let order = format!("{} {}", counter.as_raw_fd(), source.as_raw_fd());
        knob::write(&group.join("cgroup.event_control"), &order)?;
        Ok(Self::Signalled(counter))
    }

    fn count(&self) -> u64 {
        match self {
            Self::Counted { events, before } => knob::entry(events, "oom").unwrap_or(0).saturating_sub(*before),
            Self::Signalled(counter) => {
                let mut count = [0; 8];
                match rustix::io::read(counter, &mut count) {
                    // The count is written back, so that the next call gives the same answer.
                    Ok(_) => match rustix::io::write(counter, &count) {
                        Ok(_) | Err(_) => u64::from_ne_bytes(count),
                    },
                    Err(Errno::AGAIN) | Err(_) => 0,
                }
            }
        }
    }
}
