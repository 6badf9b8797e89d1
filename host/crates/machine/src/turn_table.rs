use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat};
use rustix::io::{Errno, pwrite};
use rustix::process::geteuid;
use rustix::thread::futex;
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::busy_lock::written;
use super::cpu_lease::{Hold, Locked};
use super::shared_words::SharedWords;
use super::{LeaseFolder, ResourceError};

/// A table in which the runs that share a device see each other: a file `device-<id>-<uid>.turns` of the
/// lease folder, which every run maps, with one place for each run. Only its owner writes to a place. The
/// decisions that follow from the entries are made elsewhere.
///
/// **Presence.** As long as a run has a place, it holds the lock of a file of its own,
/// `device-<id>-<uid>-<token>.turn`. The token is that of one of the run's leases, so the name is never used
/// again. When the process ends, the kernel releases the lock and another run may take the place. A stopped
/// process keeps its place; other runs notice by [`TurnEntry::seen`] that it no longer looks.
///
/// **One user only.** A process that has mapped a file is killed when another process shortens the file.
/// Therefore no other user may open the file, and runs of different users do not see each other here, unlike
/// in the ledger.
///
/// **Checksums.** An entry counts only with a correct checksum. A corrupt entry counts as empty, and is
/// repaired when its owner next writes. The first run that joins makes the file anew; if the last run leaves
/// a file behind, the next claim removes it.
///
/// **Waiting.** Joining and leaving hold the folder's lock, as [`LeaseFolder`] describes.
/// [`TurnTable::exclusively`] waits at most 20 ms: a lock that was held for 5 ms is taken from its holder,
/// which may be stopped, and after the wait the caller continues without the lock. Waiting for the doorbell
/// ends by the clock.
#[derive(Debug)]
#[must_use = "the place is free as soon as this is dropped"]
pub struct TurnTable {
    folder: LeaseFolder,
    stem: String,
    /// The lock that marks the place as taken.
    _mark: Locked,
    token: u64,
    place: usize,
    words: SharedWords,
}

/// The entry of a run for the other runs on the same device. Times are those of [`TurnTable::now`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnEntry {
    /// Model runs in flight.
    pub running: u32,
    /// Model runs that wait to begin.
    pub waiting: u32,
    /// Device time that the run has used, divided by its share.
    pub used: u64,
    /// The value of `used` when the latest model run began.
    pub start: u64,
    /// Time at which the run last looked at the table.
    pub seen: u64,
    /// Time at which the model runs in flight should be over.
    pub until: u64,
}

/// The lock of the table. Other runs make no decision while it is held, unless it is held for too long.
pub struct TableLock<'a> {
    word: &'a AtomicU64,
    held: u64,
}

/// Suffixes of the two kinds of files.
const TABLE: &str = ".turns";
const MARK: &str = ".turn";
/// The number of runs that may share a device. In practice each run holds at least one lease of at least some
/// per cent of the device.
const PLACES: usize = 64;
/// Numbers of a place: one cache line of the processor, so that writing runs do not slow each other down.
const PLACE: usize = 8;
const HEAD: usize = 8;
const WORDS: usize = HEAD + PLACES * PLACE;
const BYTES: usize = WORDS * 8;
/// Indexes in the head, besides the doorbell.
const MAGIC_AT: usize = 0;
const PRESENT_AT: usize = 2;
const LOCK_AT: usize = 3;
/// "sagturn" and the number of the layout.
const MAGIC: u64 = u64::from_be_bytes(*b"sagturn\x01");

/// A decision takes less than a microsecond. A run that has not decided after this time was stopped or lost
/// its CPU; a turn out of order is then acceptable.
const HELD_AT_MOST: Duration = Duration::from_millis(5);
/// After this time a run decides without the lock.
const TIMEOUT: Duration = Duration::from_millis(20);
/// Number of reads of a place that its owner is just writing, which takes some nanoseconds.
const READS: usize = 100;
/// Longest wait for the ledger on leaving, to remove the file. If the wait ends, the file stays.
const LEAVING: Duration = Duration::from_millis(200);

impl LeaseFolder {
    /// Takes a place in the turn table of a device, for a run that holds a lease with this token on it.
    ///
    /// # Errors
    /// The folder's errors. [`ResourceError::Turns`] if no place is left, or the file is not a turn table.
    pub fn join_turns(&self, device: &str, token: u64) -> Result<TurnTable, ResourceError> {
        let stem = format!("device-{}-{}", written(device), geteuid().as_raw());
        let ledger_lock = self.ledger_lock(Hold::Alone)?;
        let is_first = self.living_marks(&stem)?.is_empty();
        let name = mark_name(&stem, token);
        let file = self.own_file(&name, OFlags::CREATE)?;
        let mark = Locked::now(file, Hold::Alone).map_err(|cause| self.failed(&name, cause))?;
        let mark = mark.map_err(|_| self.no_turns(&name, "the run has a place already"))?;
        let gone = |error| {
            let _ = unlinkat(self.directory(), name.as_str(), AtFlags::empty());
            error
        };
        let words = self.table(&stem, is_first).map_err(gone)?;
        let mut table = TurnTable { folder: self.clone(), stem, _mark: mark, token, place: PLACES, words };
        // From here on, the drop of `table` removes the mark.
        let Some(place) = (0..PLACES).find(|&place| table.is_free(place)) else {
            // The drop of `table` waits for this lock.
            drop(ledger_lock);
            return Err(self.no_turns(&table_name(&table.stem), "all of its 64 places are taken"));
        };
        table.place = place;
        table.publish(&TurnEntry::default());
        table.ring();
        Ok(table)
    }

    /// Maps the table of a device. If no run has a place, a new table is made.
    fn table(&self, stem: &str, is_first: bool) -> Result<SharedWords, ResourceError> {
        let name = table_name(stem);
        let failed = |cause| self.failed(&name, cause);
        if is_first {
            match unlinkat(self.directory(), name.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(cause) => return Err(failed(cause)),
            }
            let file = self.own_file(&name, OFlags::CREATE | OFlags::EXCL)?;
            let mut bytes = vec![0; BYTES];
            if let Some(magic) = bytes.first_chunk_mut() {
                *magic = MAGIC.to_ne_bytes();
            }
            // The bytes are written, not only reserved: if the disk is full, the write fails here, and not an
            // access to the mapping.
            match pwrite(&file, &bytes, 0).map_err(failed)? {
                BYTES => {}
                _ => return Err(failed(Errno::NOSPC)),
            }
            return SharedWords::of(&file, WORDS)
                .map_err(|cause| ResourceError::Folder { path: self.path().join(&name), cause });
        }
        let file = self.own_file(&name, OFlags::empty())?;
        if fstat(&file).map_err(failed)?.st_size != i64::try_from(BYTES).unwrap_or(i64::MAX) {
            return Err(self.no_turns(&name, "its length is not that of a turn table"));
        }
        let words = SharedWords::of(&file, WORDS)
            .map_err(|cause| ResourceError::Folder { path: self.path().join(&name), cause })?;
        if words.all().get(MAGIC_AT).is_none_or(|magic| magic.load(Relaxed) != MAGIC) {
            return Err(self.no_turns(&name, "another version of sage-host has written it"));
        }
        Ok(words)
    }

    /// Removes turn tables and marks of ended runs, for devices on which no other run takes turns. The caller
    /// holds the exclusive lock of the folder.
    pub(super) fn sweep_turns(&self) {
        for name in self.names().unwrap_or_default() {
            if let Some(stem) = name.strip_suffix(TABLE)
                && self.living_marks(stem).is_ok_and(|marks| marks.is_empty())
            {
                // In a folder for all users, a file of another user stays.
                let _ = unlinkat(self.directory(), name.as_str(), AtFlags::empty());
            }
        }
    }

    /// Opens a file that belongs to this user alone.
    fn own_file(&self, name: &str, create: OFlags) -> Result<OwnedFd, ResourceError> {
        let failed = |cause| self.failed(name, cause);
        let mode = Mode::RUSR | Mode::WUSR;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | create;
        let file = openat(self.directory(), name, flags, mode).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        let is_one = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1;
        if !is_one || stat.st_uid != geteuid().as_raw() {
            return Err(self.no_turns(name, "it is not a regular file with one name, of this user's own"));
        }
        fchmod(&file, mode).map_err(failed)?;
        Ok(file)
    }

    /// The tokens of the runs that have a place in a device's table. Marks of ended runs are removed. The
    /// caller holds the exclusive lock of the folder.
    fn living_marks(&self, stem: &str) -> Result<Vec<u64>, ResourceError> {
        let mut living = Vec::new();
        for name in self.names()? {
            let Some(token) = token_of(&name, stem) else { continue };
            if self.is_marked(&name) {
                living.push(token);
            } else {
                // The name is never used again, so no process can have locked the file since.
                let _ = unlinkat(self.directory(), name.as_str(), AtFlags::empty());
            }
        }
        Ok(living)
    }

    /// True if a process holds the mark, or if this cannot be determined.
    fn is_marked(&self, name: &str) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match openat(self.directory(), name, flags, Mode::empty()) {
            Ok(file) => !matches!(Locked::now(file, Hold::Together), Ok(Ok(_))),
            Err(cause) => cause != Errno::NOENT,
        }
    }

    fn no_turns(&self, name: &str, why: &'static str) -> ResourceError {
        ResourceError::Turns { path: self.path().join(name), why }
    }
}

impl TurnTable {
    /// The clock of entries, in nanoseconds: the same for all processes of this machine, and no process can
    /// set it.
    #[must_use]
    pub fn now() -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
    }

    /// Number of this run's place in the table.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// True if no other run has a place.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.present().is_none_or(|present| present.load(SeqCst) == self.bit())
    }

    /// Writes this run's entry. Other runs see the entry when they read after this call, and reads of this
    /// run after this call are not older than the entry.
    pub fn publish(&self, entry: &TurnEntry) {
        let TurnEntry { running, waiting, used, start, seen, until } = *entry;
        let words = [self.token, u64::from(running) << 32 | u64::from(waiting), used, start, seen, until];
        for (place, word) in self.at(self.place).iter().zip(words.iter().chain([&checksum(&words)])) {
            place.store(*word, Release);
        }
        if let Some(present) = self.present()
            && present.load(Relaxed) & self.bit() == 0
        {
            present.fetch_or(self.bit(), SeqCst);
        }
        fence(SeqCst);
    }

    /// The entries of the other runs, with their places.
    #[must_use]
    pub fn others(&self) -> Vec<(usize, TurnEntry)> {
        let places = self.places().filter(|&place| place != self.place);
        places.filter_map(|place| Some((place, self.read(place)?.1))).collect()
    }

    /// Takes the lock that keeps other runs from deciding at the same time. `None` if the lock cannot be had;
    /// the caller then continues without it.
    #[must_use]
    pub fn exclusively(&self) -> Option<TableLock<'_>> {
        let word = self.words.all().get(LOCK_AT)?;
        let began = Self::now();
        let mut now = began;
        loop {
            let held = word.load(Relaxed);
            // Two threads of one place never ask at the same time. With the place in the last bits, no two
            // holders have the same value.
            let mine = (now & !0x3f) | self.place as u64 | 0x40;
            let is_free = held == 0 || now.abs_diff(held) > nanoseconds(HELD_AT_MOST);
            if is_free && word.compare_exchange(held, mine, Acquire, Relaxed).is_ok() {
                return Some(TableLock { word, held: mine });
            }
            if now.saturating_sub(began) > nanoseconds(TIMEOUT) {
                return None;
            }
            thread::yield_now();
            now = Self::now();
        }
    }

    /// The present value of the doorbell, for [`TurnTable::wait`].
    #[must_use]
    pub fn doorbell(&self) -> u32 {
        self.words.doorbell().load(SeqCst)
    }

    /// Rings the doorbell: wakes all waiting runs.
    pub fn ring(&self) {
        self.words.doorbell().fetch_add(1, SeqCst);
        // A run that cannot be woken wakes by the clock.
        let _ = futex::wake(self.words.doorbell(), futex::Flags::empty(), u32::MAX >> 1);
    }

    /// Waits until the doorbell no longer has the value `said`, at most for `at_most`.
    pub fn wait(&self, said: u32, at_most: Duration) {
        let doorbell: &AtomicU32 = self.words.doorbell();
        let time = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        // The caller looks again in any case: after a ring, a ring before the wait, a timeout or an
        // interrupt.
        let _ = futex::wait(doorbell, futex::Flags::empty(), said, Some(&time));
    }

    /// Frees the places of ended runs, among those that have not looked since `since`. The kernel is asked
    /// about each.
    pub fn forget_dead(&self, since: u64) {
        for place in self.places().filter(|&place| place != self.place) {
            let Some((token, entry)) = self.read(place) else { continue };
            if entry.seen < since && !self.folder.is_marked(&mark_name(&self.stem, token)) {
                // If another run has taken the place since, its next entry marks the place again.
                self.clear(place);
            }
        }
    }

    fn clear(&self, place: usize) {
        if let Some(present) = self.present() {
            present.fetch_and(!(1 << place), SeqCst);
        }
    }

    /// The places that are marked as taken.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let present = self.present().map_or(0, |present| present.load(SeqCst));
        (0..PLACES).filter(move |place| present & (1 << place) != 0)
    }

    /// The token of the place's owner, and its entry; `None` if the entry is corrupt.
    fn read(&self, place: usize) -> Option<(u64, TurnEntry)> {
        let words = self.at(place);
        for _ in 0..READS {
            let mut said = [0; 7];
            said.iter_mut().zip(words).for_each(|(said, word)| *said = word.load(Acquire));
            let [token, state, used, start, seen, until, check] = said;
            if check == checksum(&[token, state, used, start, seen, until]) {
                #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
                let (running, waiting) = ((state >> 32) as u32, state as u32);
                return Some((token, TurnEntry { running, waiting, used, start, seen, until }));
            }
            std::hint::spin_loop();
        }
        None
    }

    /// True if no run has the place, even if the head is corrupt. The caller holds the exclusive lock of the
    /// folder.
    fn is_free(&self, place: usize) -> bool {
        self.read(place).is_none_or(|(token, _)| !self.folder.is_marked(&mark_name(&self.stem, token)))
    }

    fn at(&self, place: usize) -> &[AtomicU64] {
        let from = HEAD + place * PLACE;
        self.words.all().get(from..from + PLACE).unwrap_or_default()
    }

    fn present(&self) -> Option<&AtomicU64> {
        self.words.all().get(PRESENT_AT)
    }

    fn bit(&self) -> u64 {
        u32::try_from(self.place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
    }
}

impl TurnTable {
    /// Gives the place back. A run calls this at its end, and does not rely on the drop by the last user of
    /// the device, which may be a thread that the end of the program overtakes. A second call does nothing,
    /// because the name of a mark is never used again.
    pub fn leave(&self) {
        if let Some(present) = self.present() {
            present.fetch_and(!self.bit(), SeqCst);
        }
        let _ = unlinkat(self.folder.directory(), mark_name(&self.stem, self.token).as_str(), AtFlags::empty());
        self.ring();
        let Ok(_choosing) = self.folder.choosing_within(Hold::Alone, LEAVING) else { return };
        if self.folder.living_marks(&self.stem).is_ok_and(|marks| marks.is_empty()) {
            let _ = unlinkat(self.folder.directory(), table_name(&self.stem).as_str(), AtFlags::empty());
        }
    }
}

impl Drop for TurnTable {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for TableLock<'_> {
    fn drop(&mut self) {
        // If the lock was held for too long, another run has it by now.
        let _ = self.word.compare_exchange(self.held, 0, Release, Relaxed);
    }
}

fn table_name(stem: &str) -> String {
    format!("{stem}{TABLE}")
}

fn mark_name(stem: &str, token: u64) -> String {
    format!("{stem}-{token}{MARK}")
}

fn token_of(name: &str, stem: &str) -> Option<u64> {
    name.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(MARK)?.parse().ok()
}

/// Detects corrupt entries; it is no protection against a malicious writer. The checksum is never 0, so that
/// an empty entry is not valid.
fn checksum(words: &[u64; 6]) -> u64 {
    let mix = |sum: u64, word: &u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    words.iter().fold(MAGIC, mix) | 1
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
