//! A disk in memory that keeps of what was not synced whatever it likes.
//!
//! A loss of power keeps any subset of the writes since the last sync of each file, torn at 512 bytes, and any subset
//! of the changes of names since the last sync of the folder. A killed process loses nothing. A sync that fails loses
//! what it should have written, and later syncs know nothing of it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, DiskFile};

const SECTOR: u64 = 512;

/// The fault of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine stops in the middle of it.
    Stop,
    /// The disk is full: a write writes a half.
    Full,
    /// The disk fails: a sync loses what it should have written.
    Failure,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct LyingDisk(Arc<Mutex<Content>>);

#[derive(Debug, Clone, Default)]
struct Content {
    files: Vec<FileContent>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// Operations that change something, so far.
    operations: u64,
    fault: Option<(u64, Fault)>,
    stopped: bool,
    random: u64,
}

#[derive(Debug, Clone, Default)]
struct FileContent {
    cache: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Truncate(u64),
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
}

/// Random numbers of a seed.
pub(crate) struct Coins(pub(crate) u64);

impl Coins {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        xxhash_rust::xxh3::xxh3_64(&self.0.to_le_bytes())
    }

    /// Mostly one side in some crashes, and both sides in others.
    fn toss(&mut self, bias: u64) -> bool {
        self.number() % 8 < bias
    }
}

impl LyingDisk {
    /// Lets the operation with this number fail.
    pub(crate) fn fail_at(&self, operation: u64, fault: Fault) {
        self.0.lock().unwrap().fault = Some((operation, fault));
    }

    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// The same disk after its process was killed.
    pub(crate) fn killed(&self) -> Self {
        let content = Content { fault: None, stopped: false, ..self.0.lock().unwrap().clone() };
        Self(Arc::new(Mutex::new(content)))
    }

    /// The disk after a loss of power.
    pub(crate) fn without_power(&self, seed: u64) -> Self {
        let content = self.killed().0.lock().unwrap().clone();
        let mut coins = Coins(seed << 20);
        let bias = [0, 1, 4, 7, 8][usize::try_from(seed % 5).unwrap()];
        let mut names = content.durable_names;
        for change in content.pending_names {
            if coins.toss(bias) {
                change.apply(&mut names);
            }
        }
        let files = content.files.into_iter().map(|file| {
            let durable = file.survive(&mut coins, bias);
            FileContent { cache: durable.clone(), durable, pending: Vec::new() }
        });
        let files = files.collect();
        let content = Content { files, durable_names: names.clone(), names, pending_names: Vec::new(), ..content };
        Self(Arc::new(Mutex::new(content)))
    }

    /// The names and lengths of the files.
    pub(crate) fn lengths(&self) -> Vec<(String, usize)> {
        let content = self.0.lock().unwrap();
        content.names.iter().map(|(name, at)| (name.clone(), content.files[*at].cache.len())).collect()
    }

    /// A copy with a changed file, as if it had always been there.
    pub(crate) fn changed(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let copy = self.killed();
        {
            let mut content = copy.0.lock().unwrap();
            let at = content.names[name];
            change(&mut content.files[at].cache);
            content.files[at].durable = content.files[at].cache.clone();
        }
        copy
    }

    /// A copy without a file.
    pub(crate) fn without(&self, name: &str) -> Self {
        let copy = self.killed();
        copy.0.lock().unwrap().names.remove(name).unwrap();
        copy
    }

    /// Counts an operation, and lets it fail if it is its turn.
    fn operation(&self, is_sync: bool) -> Result<(), Fault> {
        let mut content = self.0.lock().unwrap();
        if content.stopped {
            return Err(Fault::Stop);
        }
        content.operations += 1;
        match content.fault {
            Some((at, fault)) if at == content.operations => {
                content.stopped = fault == Fault::Stop;
                // A machine that stops during a sync may or may not have done it.
                if fault == Fault::Stop && (!is_sync || at % 2 == 0) { Ok(()) } else { Err(fault) }
            }
            _ => Ok(()),
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Stop => io::Error::other("the machine has stopped"),
        Fault::Full => ErrorKind::StorageFull.into(),
        Fault::Failure => io::Error::from_raw_os_error(5),
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => {
                names.insert(name, file);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

impl Content {
    fn rename(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl FileContent {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.cache);
        self.pending.push(change);
    }

    fn survive(self, coins: &mut Coins, bias: u64) -> Vec<u8> {
        let mut durable = self.durable;
        for change in self.pending {
            match change {
                Change::Truncate(_) => {
                    if coins.toss(bias) {
                        change.apply(&mut durable);
                    }
                }
                Change::Write { mut at, bytes } => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let length = rest.len().min(usize::try_from(SECTOR - at % SECTOR).unwrap());
                        let (sector, after) = rest.split_at(length);
                        if coins.toss(bias) {
                            Change::Write { at, bytes: sector.to_vec() }.apply(&mut durable);
                        }
                        (at, rest) = (at + length as u64, after);
                    }
                }
            }
        }
        durable
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
            Self::Write { at, bytes: written } => {
                let at = usize::try_from(*at).unwrap();
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[at..at + written.len()].copy_from_slice(written);
            }
        }
    }
}

#[derive(Debug)]
struct LyingFile {
    disk: LyingDisk,
    at: usize,
}

impl LyingFile {
    fn changed(&self, change: Change) -> io::Result<()> {
        match (self.disk.operation(false), change) {
            (Ok(()), change) => {
                self.disk.0.lock().unwrap().files[self.at].change(change);
                Ok(())
            }
            (Err(fault), Change::Write { at, bytes }) if fault != Fault::Stop => {
                let bytes = bytes[..bytes.len() / 2].to_vec();
                self.disk.0.lock().unwrap().files[self.at].change(Change::Write { at, bytes });
                Err(error(fault))
            }
            (Err(fault), _) => Err(error(fault)),
        }
    }
}

impl DiskFile for LyingFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().unwrap().files[self.at].cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let content = self.disk.0.lock().unwrap();
        let rest = content.files[self.at].cache.get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.changed(Change::Write { at, bytes: bytes.to_vec() })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.changed(Change::Truncate(length))
    }

    fn sync(&self) -> io::Result<()> {
        let outcome = self.disk.operation(true);
        let mut content = self.disk.0.lock().unwrap();
        let file = &mut content.files[self.at];
        match outcome {
            Ok(()) => {
                // What an earlier sync lost stays lost.
                let FileContent { durable, pending, .. } = file;
                pending.drain(..).for_each(|change| change.apply(durable));
                Ok(())
            }
            Err(fault) => {
                if fault == Fault::Failure {
                    file.pending.clear();
                }
                Err(error(fault))
            }
        }
    }
}

impl Disk for LyingDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let at = self.0.lock().unwrap().names.get(name).copied().ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(LyingFile { disk: self.clone(), at }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.operation(false).map_err(error)?;
        let mut content = self.0.lock().unwrap();
        let at = content.names.get(name).copied();
        let at = at.unwrap_or_else(|| {
            content.files.push(FileContent::default());
            let at = content.files.len() - 1;
            content.rename(NameChange::Set(name.to_owned(), at));
            at
        });
        content.files[at].change(Change::Truncate(0));
        Ok(Box::new(LyingFile { disk: self.clone(), at }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(false).map_err(error)?;
        let mut content = self.0.lock().unwrap();
        let at = content.names.get(from).copied().ok_or(ErrorKind::NotFound)?;
        content.rename(NameChange::Set(to.to_owned(), at));
        content.rename(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operation(false).map_err(error)?;
        let mut content = self.0.lock().unwrap();
        content.names.get(name).ok_or(ErrorKind::NotFound)?;
        content.rename(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let outcome = self.operation(true);
        let mut content = self.0.lock().unwrap();
        match outcome {
            Ok(()) => {
                let Content { durable_names, pending_names, .. } = &mut *content;
                pending_names.drain(..).for_each(|change| change.apply(durable_names));
                Ok(())
            }
            Err(fault) => {
                if fault == Fault::Failure {
                    content.pending_names.clear();
                }
                Err(error(fault))
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/lying").join(name)
    }

    fn random(&self) -> u64 {
        let mut content = self.0.lock().unwrap();
        content.random += 1;
        Coins(content.random).number()
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }
}
