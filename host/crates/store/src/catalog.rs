use crate::current::{Current, Listed};
use crate::disk::Disk;
use crate::epoch_info::EpochInfo;
use crate::error::{Damage, StoreError, failed};
use crate::proof::{Proof, SYNCED};
use crate::scan::{Extent, ScannedEpoch, SeenFrame, Tail, scan};
use crate::segment::segment_name;

/// An epoch that can be restored, and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// The first epoch of its segment.
    pub(crate) segment: u64,
    /// Its first byte in the segment, and the byte behind its end.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_base: bool,
}

/// The segments of a folder, as they were read.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) segments: Vec<Segment>,
    /// All epochs that can be read back to a base, in rising order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) infos: Vec<EpochInfo>,
    /// The oldest epoch that stays restorable.
    pub(crate) oldest: u64,
    /// The first damage.
    pub(crate) damage: Option<Damage>,
}

/// A segment that was read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) seed: u64,
    /// The byte behind its last whole epoch.
    pub(crate) end: u64,
    /// Its whole epochs, restorable or not.
    pub(crate) epochs: u64,
    /// Whether its last epoch is known to have been synced.
    pub(crate) is_proven: bool,
    /// Bytes of an epoch that was never synced.
    pub(crate) unfinished: u64,
}

impl Catalog {
    /// Reads all segments that are listed, and checks all their bytes.
    pub(crate) fn read(
        disk: &dyn Disk,
        current: &Current,
        seen: &mut dyn FnMut(&SeenFrame<'_>),
    ) -> Result<Self, StoreError> {
        let mut catalog = Self { oldest: current.oldest, ..Self::default() };
        let mut chain = Chain::default();
        let proof = Proof::load(disk).map_err(failed("read", disk.path(SYNCED)))?;
        for listed in &current.segments {
            catalog.read_segment(disk, *listed, &proof, &mut chain, seen)?;
        }
        let oldest = catalog.oldest;
        catalog.infos.retain(|info| info.number >= oldest);
        let whole = catalog.infos.iter().map(|info| info.number).collect();
        if let Some(damage) = &mut catalog.damage {
            damage.whole = whole;
        }
        Ok(catalog)
    }

    fn read_segment(
        &mut self,
        disk: &dyn Disk,
        listed: Listed,
        proof: &Proof,
        chain: &mut Chain,
        seen: &mut dyn FnMut(&SeenFrame<'_>),
    ) -> Result<(), StoreError> {
        let name = segment_name(listed.first);
        let path = disk.path(&name);
        let file = match disk.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.found(&name, disk, 0, "the segment is missing");
                chain.is_broken = true;
                return Ok(());
            }
            Err(error) => return Err(failed("open", path)(error)),
        };
        let extent = listed.length.map_or(Extent::Growing(proof), Extent::Sealed);
        let found = scan(&*file, listed.first, extent, seen).map_err(failed("read", &path))?;
        let unfinished = if let Tail::Unfinished(bytes) = found.tail { bytes } else { 0 };
        self.segments.push(Segment {
            first: listed.first,
            seed: found.seed,
            end: found.end,
            epochs: found.epochs.len() as u64,
            is_proven: found.is_proven,
            unfinished,
        });
        for epoch in found.epochs {
            self.oldest = self.oldest.max(epoch.whole.oldest);
            if chain.takes(&epoch) {
                self.add(listed.first, epoch);
            } else if self.damage.is_none() {
                self.found(&name, disk, epoch.start, "an epoch does not continue the epoch before it");
            }
        }
        match found.tail {
            Tail::Clean | Tail::Unfinished(_) => {}
            Tail::Damaged { byte, reason } => {
                self.found(&name, disk, byte, reason);
                chain.is_broken = true;
            }
            Tail::Newer(what) => return Err(StoreError::Newer { path, what }),
        }
        Ok(())
    }

    fn add(&mut self, segment: u64, epoch: ScannedEpoch) {
        let ScannedEpoch { number, start, end, whole, manifest } = epoch;
        self.entries.push(Entry { number, segment, start, end, is_base: whole.follows.is_none() });
        self.infos.push(EpochInfo { number, wall_ms: whole.wall_ms, ended: whole.ended, manifest });
    }

    fn found(&mut self, name: &str, disk: &dyn Disk, byte: u64, reason: &str) {
        self.damage.get_or_insert_with(|| Damage {
            path: disk.path(name),
            byte,
            reason: reason.to_owned(),
            whole: Vec::new(),
        });
    }
}

/// Whether each epoch continues the one before it, back to a base.
#[derive(Debug)]
struct Chain {
    last: Option<u64>,
    is_broken: bool,
}

impl Default for Chain {
    fn default() -> Self {
        Self { last: None, is_broken: true }
    }
}

impl Chain {
    fn takes(&mut self, epoch: &ScannedEpoch) -> bool {
        self.is_broken = match epoch.whole.follows {
            None => false,
            follows => self.is_broken || follows != self.last,
        };
        self.last = Some(epoch.number);
        !self.is_broken
    }
}
