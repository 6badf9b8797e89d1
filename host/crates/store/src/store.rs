use std::path::Path;

use crate::catalog::{Catalog, Entry, Segment};
use crate::current::{CURRENT, CURRENT_NEW, Current, Listed, NoCurrent};
use crate::disk::{Disk, DiskFile};
use crate::epoch_info::EpochInfo;
use crate::error::{Damage, StoreError, failed};
use crate::fault_point::fault_point;
use crate::locked_folder::{FolderLock, lock, make};
use crate::proof::{Proof, SYNCED, rewrite};
use crate::scan::{Extent, scan};
use crate::segment::{segment_name, segment_number};

/// One folder of checkpoints, locked while it is open.
///
/// A checkpoint is an *epoch*: frames of states, positions and prepared outputs, ended by a manifest. Epochs are
/// appended to segments by one writer, one epoch at a time, with one `fdatasync` each. A base epoch holds whole
/// states and begins a segment; other epochs hold the changes since the epoch before.
///
/// An error of a write poisons the store: nothing more is written through it, because it is unknown what the disk
/// holds. The folder is then opened anew.
#[derive(Debug)]
pub struct Store {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) settings: Settings,
    /// The content of the file CURRENT.
    pub(crate) current: Current,
    /// All epochs that can be read, in rising order.
    pub(crate) entries: Vec<Entry>,
    /// Those of them that stay restorable.
    pub(crate) infos: Vec<EpochInfo>,
    /// The segment that grows.
    pub(crate) growing: Option<Growing>,
    /// The file with the proof that the last epoch was synced.
    proof: Option<Box<dyn DiskFile>>,
    /// The number of the next epoch.
    pub(crate) next: u64,
    pub(crate) oldest: u64,
    pub(crate) keep: usize,
    /// The failure of an earlier write.
    pub(crate) poison: Option<String>,
    /// Whether damage was found, and no epoch to go on from was chosen since.
    is_undecided: bool,
    /// Released last.
    _lock: Option<FolderLock>,
}

/// Sizes of a store, which tests make small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Size from which on a segment is followed by another.
    pub(crate) segment: u64,
    /// Changes that are too few to write whole states again.
    pub(crate) few_changes: u64,
    /// Epochs of changes after which whole states are written again, which bounds the time of a restore.
    pub(crate) most_epochs: usize,
    /// Bytes that are collected before they are written.
    pub(crate) buffer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment: 64 << 20, few_changes: 4 << 20, most_epochs: 4096, buffer: 256 << 10 }
    }
}

/// The segment that epochs are appended to.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) first: u64,
    pub(crate) seed: u64,
    /// The byte behind the last whole epoch.
    pub(crate) end: u64,
    /// Whether an epoch that did not become whole may have left bytes behind the end.
    pub(crate) has_rest: bool,
}

/// The treatment of damaged checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDamage {
    Refuse,
    KeepWhole,
}

/// Epochs that stay restorable unless [`Store::keep`] says otherwise.
const KEEP: usize = 3;

impl Store {
    /// Opens a folder of checkpoints and locks it. A missing folder is made, with mode 0700. All bytes that count are
    /// read and checked. The rest of an epoch that did not become whole is cut off.
    ///
    /// # Errors
    /// - [`StoreError::InUse`]: another process has the folder open.
    /// - [`StoreError::Owner`], [`StoreError::OpenToOthers`]: the folder is another user's, or others may write to it.
    /// - [`StoreError::ReadOnly`]: the folder cannot be written.
    /// - [`StoreError::NotCheckpoints`]: the folder has other files and no checkpoints.
    /// - [`StoreError::Damaged`]: bytes that were synced are not what they were. The error names the place and the
    ///   epochs that are whole; [`Store::open_despite_damage`] gives access to these.
    /// - [`StoreError::Newer`]: a newer version of this program wrote the folder.
    ///
    /// Except for the lock's file, a folder that is refused is not changed.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_folder(folder, OnDamage::Refuse)
    }

    /// Opens a folder like [`Store::open`], also if it is damaged. Only epochs that are whole in spite of the damage
    /// can be restored, and [`Store::go_on_from`] must choose one before the first new epoch.
    ///
    /// # Errors
    /// Like [`Store::open`], without [`StoreError::Damaged`].
    pub fn open_despite_damage(folder: &Path) -> Result<Self, StoreError> {
        Self::open_folder(folder, OnDamage::KeepWhole)
    }

    fn open_folder(folder: &Path, on_damage: OnDamage) -> Result<Self, StoreError> {
        make(folder)?;
        let (disk, lock) = lock(folder)?;
        let store = Self::open_disk(Box::new(disk), Settings::default(), on_damage)?;
        Ok(Self { _lock: Some(lock), ..store })
    }

    pub(crate) fn open_disk(disk: Box<dyn Disk>, settings: Settings, on_damage: OnDamage) -> Result<Self, StoreError> {
        let (current, damage) = read_current(&*disk)?;
        let mut catalog = Catalog::read(&*disk, &current, &mut |_| {})?;
        let is_undecided = damage.is_some() || catalog.damage.is_some();
        if on_damage == OnDamage::Refuse
            && let Some(damage) = damage.or(catalog.damage.take())
        {
            return Err(Box::new(damage).into());
        }
        let next = next_epoch(&*disk, &current, &catalog)?;
        let growing = if is_undecided { None } else { prepare_growing(&*disk, &current, &catalog)? };
        let mut store = Self {
            disk,
            settings,
            current,
            entries: catalog.entries,
            infos: catalog.infos,
            growing,
            proof: None,
            next,
            oldest: catalog.oldest,
            keep: KEEP,
            poison: None,
            is_undecided,
            _lock: None,
        };
        if !is_undecided {
            // These make room for the list. No list ever named them.
            store.remove_segments(|first| first >= next)?;
            // A process that was killed may have replaced the list without making that durable.
            store.replace_current(store.current.clone())?;
            store.remove_unlisted()?;
            store.prove_last()?;
        }
        Ok(store)
    }

    /// Whether damage was found, so that [`Store::go_on_from`] has to choose an epoch.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.is_undecided
    }

    /// The epochs that can be restored, in rising order.
    #[must_use]
    pub fn epochs(&self) -> &[EpochInfo] {
        &self.infos
    }

    /// Chooses the epoch that the next one continues: the later epochs, or all of them with `None`, are dropped for
    /// good. They are gone from the disk when this returns, also after a loss of power. Their numbers are not used
    /// again.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEpoch`]; errors of the disk, which poison the store.
    pub fn go_on_from(&mut self, epoch: Option<u64>) -> Result<(), StoreError> {
        self.check_poison()?;
        let kept = match epoch {
            Some(number) => Some(self.entry(number)?),
            None => None,
        };
        let is_last = kept.map(|(_, entry)| entry.number) == self.entries.last().map(|entry| entry.number);
        if is_last && !self.is_undecided {
            return Ok(());
        }
        let mut current = self.current.clone();
        match kept {
            None => {
                current.segments.clear();
                self.entries.clear();
            }
            Some((at, entry)) => {
                self.entries.truncate(at + 1);
                current.segments.retain(|listed| listed.first <= entry.segment);
                if let Some(last) = current.segments.last_mut() {
                    last.length = Some(entry.end);
                }
                if self.is_undecided {
                    // What is before the base of this epoch may be damaged.
                    let base = base_of(&self.entries);
                    current.segments.retain(|listed| base.is_some_and(|base| listed.first >= base.segment));
                    self.entries.retain(|entry| base.is_some_and(|base| entry.number >= base.number));
                }
            }
        }
        let last = self.entries.last().copied();
        self.infos.retain(|info| self.entries.iter().any(|entry| entry.number == info.number));
        self.oldest = self.infos.first().map_or(self.next, |info| info.number);
        self.growing = None;
        self.replace_current(current)?;
        self.is_undecided = false;
        if let Some(last) = last {
            // Bytes behind the last epoch do not count any more, so they only cost room.
            let cut = self.disk.open(&segment_name(last.segment)).and_then(|file| file.truncate(last.end));
            cut.map_err(failed("cut", self.disk.path(&segment_name(last.segment))))
                .map_err(|error| self.poisoned(error))?;
        }
        self.remove_unlisted().map_err(|error| self.poisoned(error))
    }

    /// Whether the next epoch should hold whole states instead of changes: because there are none yet, or because the
    /// changes since the last ones weigh as much as these.
    #[must_use]
    pub fn wants_base(&self) -> bool {
        let Some(base) = self.entries.iter().rposition(|entry| entry.is_base) else { return true };
        let weights = self.entries.get(base..).unwrap_or_default();
        let Some((base, changes)) = weights.split_first() else { return true };
        let bytes = changes.iter().map(|entry| entry.end - entry.start).fold(0, u64::saturating_add);
        bytes >= (base.end - base.start).max(self.settings.few_changes) || changes.len() >= self.settings.most_epochs
    }

    /// Lets the last `count` whole epochs stay restorable, and at least one. Segments that none of them needs are
    /// deleted, now and whenever epochs become whole. Without this call it is three.
    ///
    /// # Errors
    /// Errors of the disk, which poison the store.
    pub fn keep(&mut self, count: usize) -> Result<(), StoreError> {
        self.check_poison()?;
        self.keep = count.max(1);
        self.forget_old();
        if self.is_undecided { Ok(()) } else { self.prune() }
    }

    /// Forgets the epochs that need not stay restorable.
    pub(crate) fn forget_old(&mut self) {
        let count = self.infos.len().saturating_sub(self.keep);
        self.infos.drain(..count);
        if let Some(oldest) = self.infos.first() {
            self.oldest = self.oldest.max(oldest.number);
        }
    }

    /// Deletes the segments that no restorable epoch needs.
    pub(crate) fn prune(&mut self) -> Result<(), StoreError> {
        let Some(oldest) = self.infos.first() else { return Ok(()) };
        let needed = self.entries.partition_point(|entry| entry.number <= oldest.number);
        let Some(base) = base_of(self.entries.get(..needed).unwrap_or_default()) else { return Ok(()) };
        let mut current = self.current.clone();
        current.segments.retain(|listed| listed.first >= base.segment);
        if current.segments.len() == self.current.segments.len() {
            return Ok(());
        }
        self.entries.retain(|entry| entry.number >= base.number);
        self.replace_current(current)?;
        self.remove_unlisted().map_err(|error| self.poisoned(error))
    }

    /// The place of a restorable epoch.
    pub(crate) fn entry(&self, number: u64) -> Result<(usize, Entry), StoreError> {
        let is_there = self.infos.iter().any(|info| info.number == number);
        let found = self.entries.iter().copied().enumerate().find(|(_, entry)| is_there && entry.number == number);
        found.ok_or_else(|| StoreError::NoSuchEpoch {
            number,
            whole: self.infos.iter().map(|info| info.number).collect(),
        })
    }

    /// Writes the proof that the last epoch was synced.
    pub(crate) fn prove_last(&mut self) -> Result<(), StoreError> {
        let (Some(growing), Some(last)) = (&self.growing, self.entries.last()) else { return Ok(()) };
        let path = self.disk.path(SYNCED);
        let proof = match self.proof.take() {
            Some(proof) => proof,
            None => self.disk.create(SYNCED).map_err(failed("make", &path))?,
        };
        Proof::write(&*proof, growing.first, growing.seed, last.number).map_err(failed("write", &path))?;
        self.proof = Some(proof);
        Ok(())
    }

    /// Replaces the file CURRENT. A failure poisons the store.
    pub(crate) fn replace_current(&mut self, mut current: Current) -> Result<(), StoreError> {
        current.generation = current.generation.saturating_add(1);
        current.next = self.next;
        current.oldest = self.oldest;
        current.replace(&*self.disk).map_err(|error| self.poisoned(error))?;
        self.current = current;
        Ok(())
    }

    /// Remembers the failure of a write, after which nothing more is written.
    pub(crate) fn poisoned(&mut self, error: StoreError) -> StoreError {
        self.poison.get_or_insert_with(|| error.to_string());
        error
    }

    pub(crate) fn check_poison(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn check_decided(&self) -> Result<(), StoreError> {
        match self.is_undecided {
            true => Err(StoreError::Undecided { folder: self.disk.path("") }),
            false => Ok(()),
        }
    }

    /// Removes segments that are not listed, and what a crash left of a list.
    fn remove_unlisted(&mut self) -> Result<(), StoreError> {
        let listed: Vec<_> = self.current.segments.iter().map(|listed| listed.first).collect();
        self.remove_segments(|first| !listed.contains(&first))
    }

    fn remove_segments(&self, is_old: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        for name in self.disk.names().map_err(failed("read", self.disk.path("")))? {
            if name == CURRENT_NEW || segment_number(&name).is_some_and(&is_old) {
                let removed = fault_point("segment_delete").and_then(|()| self.disk.remove(&name));
                removed.map_err(failed("remove", self.disk.path(&name)))?;
            }
        }
        Ok(())
    }
}

/// The base of the last of these epochs.
pub(crate) fn base_of(entries: &[Entry]) -> Option<Entry> {
    entries.iter().rev().find(|entry| entry.is_base).copied()
}

/// The content of CURRENT; a folder without files gets one.
fn read_current(disk: &dyn Disk) -> Result<(Current, Option<Damage>), StoreError> {
    let damaged = |byte, reason: &str| {
        let (path, reason) = (disk.path(CURRENT), reason.to_owned());
        Ok((Current::default(), Some(Damage { path, byte, reason, whole: Vec::new() })))
    };
    match Current::load(disk)? {
        Some(Ok(current)) => return Ok((current, None)),
        Some(Err(NoCurrent::Damaged { byte, reason })) => return damaged(byte, reason),
        Some(Err(NoCurrent::Format(format))) => {
            return Err(StoreError::Newer { path: disk.path(CURRENT), what: format!("format {format}") });
        }
        None => {}
    }
    let names = disk.names().map_err(failed("read", disk.path("")))?;
    if names.iter().any(|name| segment_number(name).is_some()) {
        // CURRENT is durable before the first segment is made.
        return damaged(0, "the file is missing");
    }
    let current = Current { generation: 1, next: 1, oldest: 1, segments: Vec::new() };
    Ok((current, None))
}

/// The number of the next epoch: higher than that of any epoch in the folder.
fn next_epoch(disk: &dyn Disk, current: &Current, catalog: &Catalog) -> Result<u64, StoreError> {
    let after = |segment: &Segment| segment.first.saturating_add(segment.epochs);
    let mut next = catalog.segments.iter().map(after).max().unwrap_or(1).max(current.next);
    if current.generation == 0 {
        // The list is lost, so only the segments themselves tell.
        for name in &disk.names().map_err(failed("read", disk.path("")))? {
            let Some(first) = segment_number(name) else { continue };
            let file = disk.open(name).map_err(failed("open", disk.path(name)))?;
            let found = scan(&*file, first, Extent::Growing(&Proof::default()), &mut |_| {})
                .map_err(failed("read", disk.path(name)))?;
            next = next.max(first.saturating_add(found.epochs.len() as u64).saturating_add(1));
        }
    }
    Ok(next)
}

/// Opens the segment that grows: cuts what is unfinished, and makes sure that the last whole epoch is on the disk.
fn prepare_growing(disk: &dyn Disk, current: &Current, catalog: &Catalog) -> Result<Option<Growing>, StoreError> {
    let Some(Listed { first, length: None }) = current.segments.last().copied() else { return Ok(None) };
    let Some(segment) = catalog.segments.last() else { return Ok(None) };
    let Some(last) = catalog.entries.last() else { return Ok(None) };
    let name = segment_name(first);
    let path = disk.path(&name);
    let file = disk.open(&name).map_err(failed("open", &path))?;
    if segment.unfinished > 0 {
        tracing::info!(
            segment = %path.display(), byte = segment.end, bytes = segment.unfinished,
            "an unfinished epoch at the end of the checkpoints was cut off"
        );
        file.truncate(segment.end).map_err(failed("cut", &path))?;
        file.sync().map_err(failed("sync", &path))?;
    }
    if !segment.is_proven {
        rewrite(&*file, last.start, last.end).map_err(failed("rewrite", &path))?;
    }
    Ok(Some(Growing { file, first, seed: segment.seed, end: segment.end, has_rest: false }))
}
