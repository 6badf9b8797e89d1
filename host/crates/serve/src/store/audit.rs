use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::failed;
use super::files::entries;
use super::{Digest, StateFolder, StoreError};

/// A request that could change something, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number of the entry, from 1.
    pub seq: u64,
    /// When it was answered, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Who asked: `user:UID` or `token:ID`.
    pub who: String,
    /// The other end of the connection.
    pub peer: String,
    /// The tenant of whose things the request was.
    pub tenant: Option<String>,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The digest of the body; that of an uploaded file is in the path.
    pub body: Option<Digest>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The stable word of an error.
    pub code: Option<String>,
    /// The digest of the line before; absent in the first.
    pub prev: Option<Digest>,
}

/// The audit log: lines of JSON, of which each has the digest of the one before. Whoever changes or removes a line
/// breaks the chain, unless all later lines are written anew.
#[derive(Debug, Clone)]
pub struct AuditLog {
    folder: PathBuf,
    end: Arc<Mutex<End>>,
}

#[derive(Debug)]
struct End {
    seq: u64,
    prev: Option<Digest>,
    number: u64,
    file: File,
    size: u64,
}

/// Size from which a file is followed by the next.
const FILE_BYTES: u64 = 8 << 20;
/// Files that are kept.
const FILES: usize = 64;
/// Most bytes of an entry.
const ENTRY: usize = 16 << 10;

impl AuditLog {
    /// The log of a state folder. A line that a loss of power tore is cut off, with a warning.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(state: &StateFolder) -> Result<Self, StoreError> {
        let folder = state.root().join("audit");
        state.make_private(&folder)?;
        let number = numbers(&folder)?.last().copied().unwrap_or(1);
        let path = path(&folder, number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        if whole < text.len() {
            tracing::warn!(path = %path.display(), bytes = text.len() - whole, "a torn entry of the audit log is cut off");
            file.set_len(whole as u64).map_err(failed("cut", &path))?;
        }
        let mut end = End { seq: 0, prev: None, number, file, size: whole as u64 };
        if let Some(line) = text.get(..whole).and_then(last_line) {
            let entry: AuditEntry = serde_json::from_slice(line)
                .map_err(|error| failed("read", &path)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            (end.seq, end.prev) = (entry.seq, Some(Digest::of(line)));
        }
        Ok(Self { folder, end: Arc::new(Mutex::new(end)) })
    }

    /// Appends an entry, whose number and chain are set here. It is on disk when this function returns.
    ///
    /// # Errors
    /// The file cannot be written. What was written of the entry is cut off.
    pub fn append(&self, mut entry: AuditEntry) -> Result<(), StoreError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.size >= FILE_BYTES {
            self.next_file(&mut end)?;
        }
        entry.path.truncate(entry.path.floor_char_boundary(ENTRY / 4));
        (entry.seq, entry.prev) = (end.seq + 1, end.prev);
        let line = serde_json::to_vec(&entry).unwrap_or_default();
        let path = path(&self.folder, end.number);
        let before = end.size;
        let written = end.file.write_all(&[line.as_slice(), b"\n"].concat()).and_then(|()| end.file.sync_data());
        if let Err(error) = written {
            let _ = end.file.set_len(before);
            return Err(failed("write", &path)(error));
        }
        end.size += line.len() as u64 + 1;
        (end.seq, end.prev) = (entry.seq, Some(Digest::of(&line)));
        Ok(())
    }

    fn next_file(&self, end: &mut End) -> Result<(), StoreError> {
        let path = path(&self.folder, end.number + 1);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        end.file = file.map_err(failed("open", &path))?;
        (end.number, end.size) = (end.number + 1, 0);
        let numbers = numbers(&self.folder)?;
        for old in numbers.iter().take(numbers.len().saturating_sub(FILES)) {
            let _ = fs::remove_file(self::path(&self.folder, *old));
        }
        Ok(())
    }

    /// The lines of up to `limit` entries after number `since`, as they are on disk.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn read(&self, since: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        let mut found = Vec::new();
        let mut count = 0;
        for number in numbers(&self.folder)? {
            let path = path(&self.folder, number);
            let text = fs::read(&path).map_err(failed("read", &path))?;
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let seq = serde_json::from_slice::<AuditEntry>(line).map_or(u64::MAX, |entry| entry.seq);
                if seq > since && count < limit {
                    found.extend_from_slice(line);
                    found.push(b'\n');
                    count += 1;
                }
            }
            if count >= limit {
                break;
            }
        }
        Ok(found)
    }
}

impl AuditLog {
    /// The lines of the last `limit` entries, the oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn read_last(&self, limit: usize) -> Result<Vec<u8>, StoreError> {
        let mut pieces = Vec::new();
        let mut wanted = limit;
        for number in numbers(&self.folder)?.into_iter().rev() {
            let path = path(&self.folder, number);
            let text = fs::read(&path).map_err(failed("read", &path))?;
            let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
            let taken = lines.get(lines.len().saturating_sub(wanted)..).unwrap_or_default();
            wanted -= taken.len();
            pieces.push(taken.concat());
            if wanted == 0 {
                break;
            }
        }
        pieces.reverse();
        Ok(pieces.concat())
    }
}

impl AuditEntry {
    /// Whether a line follows the one before it in the chain.
    #[must_use]
    pub fn follows(&self, before: &str) -> bool {
        self.prev == Some(Digest::of(before.as_bytes()))
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.jsonl"))
}

/// The numbers of the files, the oldest first.
fn numbers(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let mut numbers: Vec<u64> = entries(folder)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn last_line(text: &[u8]) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> AuditEntry {
        AuditEntry {
            seq: 0,
            at: 1,
            who: "user:0".to_owned(),
            peer: "user 0".to_owned(),
            tenant: None,
            method: "POST".to_owned(),
            path: path.to_owned(),
            body: None,
            status: 200,
            code: None,
            prev: None,
        }
    }

    fn lines(log: &AuditLog) -> Vec<String> {
        String::from_utf8(log.read(0, 1000).unwrap()).unwrap().lines().map(str::to_owned).collect()
    }

    fn is_whole(lines: &[String]) -> bool {
        lines.windows(2).all(|pair| serde_json::from_str::<AuditEntry>(&pair[1]).unwrap().follows(&pair[0]))
    }

    #[test]
    fn entries_are_a_chain_over_restarts_and_torn_lines() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        for round in 0..3 {
            let log = AuditLog::open(&state).unwrap();
            log.append(entry(&format!("/v1/jobs/{round}"))).unwrap();
            log.append(entry(&"x".repeat(100_000))).unwrap();
            let file = path(&root.path().join("audit"), 1);
            let mut torn = fs::read(&file).unwrap();
            torn.extend(b"{\"seq\":");
            fs::write(&file, torn).unwrap();
        }
        let log = AuditLog::open(&state).unwrap();
        let found = lines(&log);
        assert_eq!(found.len(), 6);
        assert!(is_whole(&found));
        assert!(found.iter().all(|line| line.len() < ENTRY));
        assert_eq!(String::from_utf8(log.read(4, 1).unwrap()).unwrap().trim(), found[4]);
        assert_eq!(String::from_utf8(log.read_last(1).unwrap()).unwrap().trim(), found[5]);
        assert_eq!(log.read_last(100).unwrap(), log.read(0, 100).unwrap());
        let mut changed = found.clone();
        changed[2] = changed[2].replace("user:0", "user:1");
        assert!(!is_whole(&changed));
        let mut shorter = found;
        shorter.remove(3);
        assert!(!is_whole(&shorter));
    }
}
