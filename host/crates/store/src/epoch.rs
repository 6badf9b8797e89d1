use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::catalog::Entry;
use crate::current::Listed;
use crate::epoch_info::EpochInfo;
use crate::error::{StoreError, failed};
use crate::fault_point::{fault_point, is_asked_for};
use crate::frame::{Frame, FrameKind};
use crate::header::{Header, RecordKind};
use crate::segment::{SegmentHead, segment_name};
use crate::store::{Growing, Store, base_of};
use crate::whole::Whole;

/// Longest manifest, in bytes.
const LONGEST_MANIFEST: usize = 64 << 20;

/// An epoch that is being written. Until [`Epoch::whole`] has returned it does not count, and when it is dropped before
/// nothing is left of it.
#[must_use = "an epoch counts when it is whole"]
pub struct Epoch<'s> {
    store: &'s mut Store,
    number: u64,
    is_base: bool,
    /// `None` when the epoch is whole.
    growing: Option<Growing>,
    /// Whether the segment begins with this epoch.
    is_new: bool,
    start: u64,
    /// The byte of the segment where the buffer goes.
    at: u64,
    buffer: Vec<u8>,
    frames: u64,
    digest: Xxh3,
}

impl Store {
    /// Begins the next epoch, which holds whole states or the changes since the last epoch.
    ///
    /// # Errors
    /// [`StoreError::NoBase`] for changes without whole states before them; [`StoreError::Undecided`] after
    /// [`Store::open_despite_damage`] without a choice; [`StoreError::Poisoned`] after a failure; errors of the disk,
    /// which poison the store.
    pub fn begin(&mut self, is_base: bool) -> Result<Epoch<'_>, StoreError> {
        self.check_poison()?;
        self.check_decided()?;
        if !is_base && base_of(&self.entries).is_none() {
            return Err(StoreError::NoBase);
        }
        self.prune()?;
        let number = self.next;
        let segment = self.settings.segment;
        let (growing, is_new) = match self.growing.take() {
            Some(growing) if !is_base && growing.end < segment && self.continues(&growing) => {
                let growing = self.without_rest(growing).map_err(|error| self.poisoned(error))?;
                (growing, false)
            }
            other => {
                self.growing = other;
                (self.new_segment(number).map_err(|error| self.poisoned(error))?, true)
            }
        };
        let (start, at) = if is_new { (growing.end, 0) } else { (growing.end, growing.end) };
        let buffer = if is_new { SegmentHead { first: number, seed: growing.seed }.encode() } else { Vec::new() };
        let (frames, digest) = (0, Xxh3::new());
        Ok(Epoch { store: self, number, is_base, growing: Some(growing), is_new, start, at, buffer, frames, digest })
    }

    /// Numbers in a segment follow each other without a gap.
    fn continues(&self, growing: &Growing) -> bool {
        self.entries
            .last()
            .is_some_and(|last| last.segment == growing.first && last.number.checked_add(1) == Some(self.next))
    }

    /// Cuts what an epoch left that did not become whole. Otherwise its bytes could survive a crash among those of the
    /// next epoch.
    fn without_rest(&self, mut growing: Growing) -> Result<Growing, StoreError> {
        if growing.has_rest {
            let path = self.disk.path(&segment_name(growing.first));
            growing.file.truncate(growing.end).map_err(failed("cut", &path))?;
            growing.file.sync().map_err(failed("sync", &path))?;
            growing.has_rest = false;
        }
        Ok(growing)
    }

    fn new_segment(&self, first: u64) -> Result<Growing, StoreError> {
        let name = segment_name(first);
        let file = self.disk.create(&name).map_err(failed("make", self.disk.path(&name)))?;
        let (seed, end) = (self.disk.random(), SegmentHead::LENGTH as u64);
        Ok(Growing { file, first, seed, end, has_rest: false })
    }
}

impl Epoch<'_> {
    /// The number of this epoch.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Appends a frame. Frames are restored in the order in which they were put.
    ///
    /// # Errors
    /// [`StoreError::TooLong`], [`StoreError::Misplaced`]: nothing was written, and the epoch can go on. Errors of the
    /// disk poison the store.
    pub fn put(&mut self, frame: Frame<'_>, body: &[u8]) -> Result<(), StoreError> {
        let Frame { kind, stage, instance, lane } = frame;
        if (kind == FrameKind::Base && !self.is_base) || (kind == FrameKind::Changes && self.is_base) {
            return Err(StoreError::Misplaced { kind, is_base: self.is_base });
        }
        limit("name of a stage", stage.len(), Frame::LONGEST_STAGE)?;
        limit("body of a frame", body.len(), Frame::LONGEST_BODY)?;
        let header = Header {
            kind: RecordKind::Put(kind),
            epoch: self.number,
            instance,
            lane,
            stage: u16::try_from(stage.len()).unwrap_or(u16::MAX),
            body: body.len() as u64,
        };
        let checksum = self.append(&header, stage.as_bytes(), &[body])?;
        self.frames += 1;
        self.digest.update(&checksum.to_le_bytes());
        Ok(())
    }

    /// Ends the epoch: when this returns, the epoch is on the disk, and restorable whatever happens. Returns its
    /// number.
    ///
    /// `ended` says that the run came to its end.
    ///
    /// # Errors
    /// Errors of the disk, which poison the store. It is then unknown whether the epoch is whole, until the folder is
    /// opened anew.
    pub fn whole(mut self, manifest: &[u8], ended: bool) -> Result<u64, StoreError> {
        limit("manifest", manifest.len(), LONGEST_MANIFEST)?;
        let last = self.store.entries.last().map(|entry| entry.number);
        let kept = self.store.infos.len().saturating_add(1).saturating_sub(self.store.keep);
        let whole = Whole {
            follows: last.filter(|_| !self.is_base),
            oldest: self.store.infos.get(kept).map_or(self.number, |info| info.number).max(self.store.oldest),
            wall_ms: self.store.disk.now_ms(),
            frames: self.frames,
            digest: self.digest.digest(),
            ended,
        };
        let header = Header::own(RecordKind::Whole, self.number, Whole::LENGTH + manifest.len());
        self.append(&header, &[], &[&whole.encode(), manifest])?;
        self.flush()?;
        let Some(mut growing) = self.growing.take() else { return Ok(self.number) };
        let name = segment_name(growing.first);
        let path = self.store.disk.path(&name);
        let synced = fault_point("store.before_sync")
            .and_then(|()| growing.file.sync())
            .and_then(|()| fault_point("store.after_sync"));
        synced.map_err(failed("sync", &path)).map_err(|error| self.store.poisoned(error))?;
        growing.end = self.at;
        self.store.next = self.number.saturating_add(1);
        let info = EpochInfo { number: self.number, wall_ms: whole.wall_ms, ended, manifest: manifest.to_vec() };
        self.store.infos.push(info);
        self.store.forget_old();
        if self.is_new {
            self.list_segment()?;
        }
        let entry = Entry {
            number: self.number,
            segment: growing.first,
            start: self.start,
            end: self.at,
            is_base: self.is_base,
        };
        self.store.entries.push(entry);
        self.store.growing = Some(growing);
        if let Err(error) = self.store.prove_last() {
            // The epoch is whole. Only the next one is not written any more.
            self.store.poisoned(error);
        }
        Ok(self.number)
    }

    /// Names the new segment in CURRENT. The one before it grows no more.
    fn list_segment(&mut self) -> Result<(), StoreError> {
        let mut current = self.store.current.clone();
        if let (Some(last), Some(before)) = (current.segments.last_mut(), &self.store.growing) {
            last.length = Some(before.end);
        }
        current.segments.push(Listed { first: self.number, length: None });
        self.store.replace_current(current)
    }

    /// Appends a frame to the buffer and returns its checksum. Long bodies are not copied.
    fn append(&mut self, header: &Header, stage: &[u8], body: &[&[u8]]) -> Result<u64, StoreError> {
        let Some(growing) = &self.growing else { return Ok(0) };
        let header = header.encode(growing.seed, self.at + self.buffer.len() as u64);
        let mut hash = Xxh3::with_seed(growing.seed);
        hash.update(&header);
        hash.update(stage);
        self.buffer.extend_from_slice(&header);
        self.buffer.extend_from_slice(stage);
        for part in body {
            hash.update(part);
            if part.len() < self.store.settings.buffer {
                self.buffer.extend_from_slice(part);
            } else {
                self.flush()?;
                self.write(part)?;
            }
        }
        let checksum = hash.digest();
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
        if self.buffer.len() >= self.store.settings.buffer {
            self.flush()?;
        }
        Ok(checksum)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = if buffer.is_empty() { Ok(()) } else { self.write(&buffer) };
        buffer.clear();
        self.buffer = buffer;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(growing) = &mut self.growing else { return Ok(()) };
        growing.has_rest = true;
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        let written = fault_point("store.before_write")
            .and_then(|()| match is_asked_for("store.half_frame") {
                true => growing.file.write_at(half, self.at).and_then(|()| fault_point("store.half_frame")),
                false => Ok(()),
            })
            .and_then(|()| growing.file.write_at(bytes, self.at));
        self.at += bytes.len() as u64;
        written.map_err(|error| {
            let path = self.store.disk.path(&segment_name(growing.first));
            self.store.poisoned(failed("write", path)(error))
        })
    }
}

impl fmt::Debug for Epoch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch").field("number", &self.number).field("is_base", &self.is_base).finish_non_exhaustive()
    }
}

impl Drop for Epoch<'_> {
    fn drop(&mut self) {
        let Some(growing) = self.growing.take() else { return };
        if self.is_new {
            // A file that stays is not listed, so it does not count.
            let _ = self.store.disk.remove(&segment_name(growing.first));
        } else {
            self.store.growing = Some(growing);
        }
    }
}

fn limit(what: &'static str, length: usize, limit: usize) -> Result<(), StoreError> {
    if length > limit { Err(StoreError::TooLong { what, length, limit }) } else { Ok(()) }
}
