use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::group::{Held, Level};
use super::mounts::Version;
use super::{CgroupError, Controller, GroupReading, knob};

/// Tells whose limit it was when the kernel kills a process for want of memory: its own group's, or one further up that other
/// workers filled too.
///
/// v2 counts in `memory.events.local` of a level how often that level's cap could not be kept (`oom`); v1 signals a level and everything below
/// it, so a level's own are those that the level above was not signalled of. Counts begin when the watch does.
#[derive(Debug)]
pub struct OomWatch {
    held: Arc<Held>,
    /// The instance's kills when the watch began.
    kills: u64,
    /// The instance's first, the tenant's last.
    levels: Vec<Watched>,
}

/// A level, and how it tells.
#[derive(Debug)]
enum Watched {
    /// v1: a counter that the kernel raises.
    Signalled(OwnedFd),
    /// v2: what `oom` was when the watch began.
    Counted { events: PathBuf, before: u64 },
}

/// Whose limit it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomCulprit {
    /// Of which level.
    pub whose: WhoseLimit,
    /// The group, below the slice; that of the tenant where it was beyond.
    pub group: PathBuf,
    /// The cap of that level, bytes; `None` where it is not ours.
    pub cap: Option<u64>,
    /// The most that level ever held, bytes.
    pub peak: Option<u64>,
}

/// A level that ran out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhoseLimit {
    /// One of ours.
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

    /// Whose limit it was, when the kernel has killed a process of the group since the watch began; `None` when it has not, or does
    /// not say.
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
                    // Put back, so that asking again says the same.
                    Ok(_) => match rustix::io::write(counter, &count) {
                        Ok(_) | Err(_) => u64::from_ne_bytes(count),
                    },
                    Err(Errno::AGAIN) | Err(_) => 0,
                }
            }
        }
    }
}
