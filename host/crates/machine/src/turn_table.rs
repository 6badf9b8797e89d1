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

/// Where the runs that share a device see each other: a file of the lease folder, `device-<id>-<uid>.turns`, that each of them has mapped, with a place for
/// each. Nobody but its owner writes a place. What follows from what stands there is not decided here.
///
/// **Who is there.** A run holds the lock of a file of its own, `device-<id>-<uid>-<token>.turn`, as long as it has a place; the token is of one of its leases and
/// so never there again. The kernel lets go of it when its process dies, and its place is another's then. A process that is stopped keeps it; that it does not
/// look any more is for others to see ([`TurnEntry::seen`]).
///
/// **One user's.** A file that is mapped ends those who have mapped it when somebody makes it shorter. So nobody else may open it, and runs of
/// different users do not see each other here, unlike in the ledger.
///
/// **Nothing that stands there is believed** without its checksum. What is spoilt is as if it were not there, and written anew with the next word of its
/// owner. Whoever comes when nobody is there makes the file anew; what the last one left is taken away by whoever claims next.
///
/// **Who waits for whom.** Coming and going hold the folder locked, as [`LeaseFolder`] says. [`TurnTable::exclusively`] waits for nobody longer than
/// 20 ms: a lock that was held for 5 ms is taken from its holder, who may be stopped, and one that cannot be had is done without. Waiting
/// for the doorbell ends by the clock.
#[derive(Debug)]
#[must_use = "its place is another's as soon as this is dropped"]
pub struct TurnTable {
    folder: LeaseFolder,
    stem: String,
    /// Whose lock says that the place is taken.
    _mark: Locked,
    token: u64,
    place: usize,
    words: SharedWords,
}

/// What a run says of itself to those that it shares a device with. Times are of [`TurnTable::now`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnEntry {
    /// Runs that it has under way.
    pub running: u32,
    /// Runs that it waits to begin.
    pub waiting: u32,
    /// Device time that it had, by share.
    pub used: u64,
    /// What it had used when it began what it began last.
    pub start: u64,
    /// When it looked last.
    pub seen: u64,
    /// When what it has under way should be over.
    pub until: u64,
}

/// Nobody else decides anything meanwhile, unless this is held for too long.
pub struct TableLock<'a> {
    word: &'a AtomicU64,
    held: u64,
}

/// How the names of the two kinds of files end.
const TABLE: &str = ".turns";
const MARK: &str = ".turn";
/// Runs that may share a device. Each holds at least one lease of at least some per cent of it, in practice.
const PLACES: usize = 64;
/// Numbers of a place: a line of the processor's cache, so that runs do not slow each other down by writing.
const PLACE: usize = 8;
const HEAD: usize = 8;
const WORDS: usize = HEAD + PLACES * PLACE;
const BYTES: usize = WORDS * 8;
/// What the head holds, beside the doorbell.
const MAGIC_AT: usize = 0;
const PRESENT_AT: usize = 2;
const LOCK_AT: usize = 3;
/// "sagturn" and the layout's number.
const MAGIC: u64 = u64::from_be_bytes(*b"sagturn\x01");

/// A decision takes less than a microsecond. Who has not decided after so long was stopped, or lost its CPU, which is worth a turn out of order.
const HELD_AT_MOST: Duration = Duration::from_millis(5);
/// After so long somebody decides without the lock.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a place is read that its owner is just writing, which takes some nanoseconds.
const READS: usize = 100;
/// How long the end waits for the ledger to remove the file; it stays where that is not enough.
const LEAVING: Duration = Duration::from_millis(200);

impl LeaseFolder {
    /// Takes a place among those who share a device, for a run that holds a lease with this token on it.
    ///
    /// # Errors
    /// The folder's errors; [`ResourceError::Turns`]: there is no place left, or the file is not such as one is.
    pub fn join_turns(&self, device: &str, token: u64) -> Result<TurnTable, ResourceError> {
        let stem = format!("device-{}-{}", written(device), geteuid().as_raw());
        let choosing = self.choosing(Hold::Alone)?;
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
        // From here on its end takes the mark away.
        let Some(place) = (0..PLACES).find(|&place| table.is_free(place)) else {
            // Which would wait for it.
            drop(choosing);
            return Err(self.no_turns(&table_name(&table.stem), "all of its 64 places are taken"));
        };
        table.place = place;
        table.publish(&TurnEntry::default());
        table.ring();
        Ok(table)
    }

    /// Maps the table of a device; a new one where nobody has one.
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
            // Written, not only made as long: where there is no room for it this fails, and not whoever looks.
            match pwrite(&file, &bytes, 0).map_err(failed)? {
                BYTES => {}
                _ => return Err(failed(Errno::NOSPC)),
            }
            return SharedWords::of(&file, WORDS)
                .map_err(|cause| ResourceError::Folder { path: self.path().join(&name), cause });
        }
        let file = self.own_file(&name, OFlags::empty())?;
        if fstat(&file).map_err(failed)?.st_size != i64::try_from(BYTES).unwrap_or(i64::MAX) {
            return Err(self.no_turns(&name, "it is not as long as one is"));
        }
        let words = SharedWords::of(&file, WORDS)
            .map_err(|cause| ResourceError::Folder { path: self.path().join(&name), cause })?;
        if words.all().get(MAGIC_AT).is_none_or(|magic| magic.load(Relaxed) != MAGIC) {
            return Err(self.no_turns(&name, "another version of sage-host has written it"));
        }
        Ok(words)
    }

    /// Takes away what dead runs have left of their turns, where nobody else takes turns on the same device. Needs the folder locked alone.
    pub(super) fn sweep_turns(&self) {
        for name in self.names().unwrap_or_default() {
            if let Some(stem) = name.strip_suffix(TABLE)
                && self.living_marks(stem).is_ok_and(|marks| marks.is_empty())
            {
                // Another user's stays, in a folder for all.
                let _ = unlinkat(self.directory(), name.as_str(), AtFlags::empty());
            }
        }
    }

    /// A file that is this user's alone.
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

    /// Tokens of those who have a place at a device's table; takes away what the dead left. Needs the folder locked alone.
    fn living_marks(&self, stem: &str) -> Result<Vec<u64>, ResourceError> {
        let mut living = Vec::new();
        for name in self.names()? {
            let Some(token) = token_of(&name, stem) else { continue };
            if self.is_marked(&name) {
                living.push(token);
            } else {
                // Its name is never there again, so nobody can have locked it since.
                let _ = unlinkat(self.directory(), name.as_str(), AtFlags::empty());
            }
        }
        Ok(living)
    }

    /// Whether somebody holds a mark. What cannot be found out is held.
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
    /// The time that entries go by, in nanoseconds: the same for all processes of this machine, and nobody sets it.
    #[must_use]
    pub fn now() -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
    }

    /// Its place, below which and above which others have theirs.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// Whether nobody else has a place.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.present().is_none_or(|present| present.load(SeqCst) == self.bit())
    }

    /// Writes down what others are to see. What was written is seen by whoever looks after it, and what is looked at after it is not older.
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

    /// What others say, by their places.
    #[must_use]
    pub fn others(&self) -> Vec<(usize, TurnEntry)> {
        let places = self.places().filter(|&place| place != self.place);
        places.filter_map(|place| Some((place, self.read(place)?.1))).collect()
    }

    /// Keeps others from deciding meanwhile. `None` where they do not let it be had: to be done without.
    #[must_use]
    pub fn exclusively(&self) -> Option<TableLock<'_>> {
        let word = self.words.all().get(LOCK_AT)?;
        let began = Self::now();
        let mut now = began;
        loop {
            let held = word.load(Relaxed);
            // Two of one place never ask at once, so that with it in place of the last bits no two hold the same.
            let mine = (now & !0x3f) | self.place as u64 | 0x40;
            let is_free = held == 0 || now.abs_diff(held) > nanoseconds(HELD_AT_MOST);
            if is_free && word.compare_exchange(held, mine, Acquire, Relaxed).is_ok() {
                return Some(TableLock { word, held: mine });
            }
            if now.saturating_sub(began) > nanoseconds(PATIENCE) {
                return None;
            }
            thread::yield_now();
            now = Self::now();
        }
    }

    /// What the doorbell says now, for [`TurnTable::wait`].
    #[must_use]
    pub fn doorbell(&self) -> u32 {
        self.words.doorbell().load(SeqCst)
    }

    /// Wakes all who wait.
    pub fn ring(&self) {
        self.words.doorbell().fetch_add(1, SeqCst);
        // Who cannot be woken wakes by the clock.
        let _ = futex::wake(self.words.doorbell(), futex::Flags::empty(), u32::MAX >> 1);
    }

    /// Waits until the doorbell was rung since it said this, but never longer than that.
    pub fn wait(&self, said: u32, at_most: Duration) {
        let doorbell: &AtomicU32 = self.words.doorbell();
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(at_most.subsec_nanos()) };
        // Rung, rung before, over, or interrupted: whoever waits looks again.
        let _ = futex::wait(doorbell, futex::Flags::empty(), said, Some(&time));
    }

    /// Takes away the places of those that are dead, among those that have not looked since that time. Asks the kernel about each.
    pub fn forget_dead(&self, since: u64) {
        for place in self.places().filter(|&place| place != self.place) {
            let Some((token, entry)) = self.read(place) else { continue };
            if entry.seen < since && !self.folder.is_marked(&mark_name(&self.stem, token)) {
                // Should somebody have taken it since, they say so with their next word.
                self.clear(place);
            }
        }
    }

    fn clear(&self, place: usize) {
        if let Some(present) = self.present() {
            present.fetch_and(!(1 << place), SeqCst);
        }
    }

    /// Places that are marked as taken.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let present = self.present().map_or(0, |present| present.load(SeqCst));
        (0..PLACES).filter(move |place| present & (1 << place) != 0)
    }

    /// Whose a place is and what is said there; `None` where that cannot be.
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

    /// Whether nobody has a place: also where the head was spoilt. Needs the folder locked alone.
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
    /// Gives the place back. A run does this when it ends and not only when the last user of its device does, which may be a
    /// thread that the end of the program overtakes. Again, it does nothing: the name of a mark never comes back.
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
        // Somebody else's by now where it was held for too long.
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

/// Tells what was written from what was spoilt; keeps nobody from writing what they like. No entry has 0, so that what is empty says nothing.
fn checksum(words: &[u64; 6]) -> u64 {
    let mix = |sum: u64, word: &u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    words.iter().fold(MAGIC, mix) | 1
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
