use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// The parts of a file of the cache before the code.
///
/// ```text
/// "sage-host cache 4\n" | XXH3 (128 bits) of the rest and of the file's name
///     | length of the header, u32 LE | header, JSON | length of the facts, u32 LE | facts, JSON | code
/// ```
///
/// The checksum covers the file's name too, so that a file under the name of another component counts as
/// damaged. It finds damage and is no proof of origin: only this user can write to the folder. A cryptographic hash
/// of the code took a fifth of a millisecond of each start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) header: EntryHeader,
    pub(super) facts: Vec<u8>,
}

/// The header at the start, for listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryHeader {
    /// Absolute path of the component's file when it was compiled.
    pub(super) from: String,
}

/// The reason why a file of the cache is not used.
#[derive(Debug, Error)]
pub(super) enum Damaged {
    #[error("another version of sage-host wrote the file")]
    OtherVersion,
    #[error("the file was not written by sage-host")]
    Foreign,
    #[error("the file is shorter than its header says")]
    Cut,
    #[error("the checksum is wrong: the disk lost or changed a part of the file")]
    Checksum,
    #[error("the file's header cannot be read")]
    Header,
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("there is no memory for the code: {0}")]
    Memory(io::Error),
}

const MAGIC: &[u8; 18] = b"sage-host cache 4\n";
/// The beginning of the magic line in all versions.
const FAMILY: &[u8] = b"sage-host cache ";
const CHECKSUM: usize = 16;
const LENGTH: usize = size_of::<u32>();
/// A path has at most 4096 bytes, and JSON writes each of them in at most six.
pub(super) const LONGEST_HEADER: usize = 32 << 10;
/// A description has at most 64 KiB, and JSON writes each of them in at most six.
const LONGEST_FACTS: usize = 1 << 20;
/// Capacity of a buffer for a file of the cache. Its bytes are read, added to the checksum and passed on while they
/// are in the processor's cache.
pub(super) const BUFFER: usize = 64 << 10;

/// The bytes of a cache file with this name.
pub(super) fn encode(name: &str, header: &EntryHeader, facts: &[u8], code: &[u8]) -> Result<Vec<u8>, Damaged> {
    let header = serde_json::to_vec(header).map_err(|_| Damaged::Header)?;
    let mut rest = Vec::with_capacity(2 * LENGTH + header.len() + facts.len() + code.len());
    for (part, most) in [(header.as_slice(), LONGEST_HEADER), (facts, LONGEST_FACTS)] {
        let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= most).ok_or(Damaged::Header)?;
        rest.extend_from_slice(&length.to_le_bytes());
        rest.extend_from_slice(part);
    }
    rest.extend_from_slice(code);
    let mut hash = checksum_of(name);
    hash.update(&rest);
    Ok([MAGIC.as_slice(), &hash.digest128().to_le_bytes(), &rest].concat())
}

/// Reads a whole cache file with this name, and copies the code to `code`. The code must not be used before
/// this function has returned without an error: only then the checksum was right.
pub(super) fn decode(name: &str, file: impl BufRead, code: &mut impl Write) -> Result<Entry, Damaged> {
    let mut file = Checked { file, hash: checksum_of(name) };
    file.magic()?;
    let written = file.unchecked::<CHECKSUM>()?;
    let header = file.part(LONGEST_HEADER)?;
    let facts = file.part(LONGEST_FACTS)?;
    file.rest(code)?;
    if written != file.hash.digest128().to_le_bytes() {
        return Err(Damaged::Checksum);
    }
    let header = serde_json::from_slice(&header).map_err(|_| Damaged::Header)?;
    Ok(Entry { header, facts })
}

/// The header alone, without a check of the checksum. Used for listings.
pub(super) fn peek(file: impl BufRead) -> Result<EntryHeader, Damaged> {
    let mut file = Checked { file, hash: Xxh3::new() };
    file.magic()?;
    file.unchecked::<CHECKSUM>()?;
    serde_json::from_slice(&file.part(LONGEST_HEADER)?).map_err(|_| Damaged::Header)
}

fn checksum_of(name: &str) -> Xxh3 {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(&[0]);
    hash
}

/// A file whose bytes are added to a checksum as they are read.
struct Checked<R> {
    file: R,
    hash: Xxh3,
}

impl<R: BufRead> Checked<R> {
    fn magic(&mut self) -> Result<(), Damaged> {
        let found = self.unchecked()?;
        match found == *MAGIC {
            true => Ok(()),
            false if found.starts_with(FAMILY) => Err(Damaged::OtherVersion),
            false => Err(Damaged::Foreign),
        }
    }

    fn unchecked<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    /// A part that begins with its length.
    fn part(&mut self, most: usize) -> Result<Vec<u8>, Damaged> {
        let length: [u8; LENGTH] = self.unchecked()?;
        self.hash.update(&length);
        let length = usize::try_from(u32::from_le_bytes(length)).ok().filter(|length| *length <= most);
        let mut part = vec![0; length.ok_or(Damaged::Header)?];
        self.file.read_exact(&mut part).map_err(unreadable)?;
        self.hash.update(&part);
        Ok(part)
    }

    /// Copies the rest of the file to `code`.
    fn rest(&mut self, code: &mut impl Write) -> Result<(), Damaged> {
        loop {
            let length = match self.file.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(bytes) => {
                    self.hash.update(bytes);
                    code.write_all(bytes).map_err(Damaged::Memory)?;
                    bytes.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Damaged::Unreadable(error)),
            };
            self.file.consume(length);
        }
    }
}

fn unreadable(error: io::Error) -> Damaged {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Damaged::Cut,
        _ => Damaged::Unreadable(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<(Entry, Vec<u8>), String> {
        let mut code = Vec::new();
        // A small buffer, so that each part is longer than it.
        let entry = decode(name, BufReader::with_capacity(3, bytes), &mut code).map_err(|error| error.to_string())?;
        Ok((entry, code))
    }

    #[test]
    fn a_file_of_the_cache_is_read_back_and_every_changed_byte_is_noticed() {
        let header = EntryHeader { from: "/a/op.wasm".to_owned() };
        let bytes = encode("x.cwasm", &header, b"facts", b"native code").unwrap();
        let entry = Entry { header: header.clone(), facts: b"facts".to_vec() };
        assert_eq!(read("x.cwasm", &bytes).unwrap(), (entry, b"native code".to_vec()));
        assert_eq!(peek(bytes.as_slice()).unwrap(), header);
        let checksum = Damaged::Checksum.to_string();
        assert_eq!(read("y.cwasm", &bytes).unwrap_err(), checksum, "under another name");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read("x.cwasm", &changed).is_err(), "byte {at}");
            assert!(read("x.cwasm", &bytes[..at]).is_err(), "cut at {at}");
        }
        let longer = [bytes.as_slice(), b"\0"].concat();
        assert_eq!(read("x.cwasm", &longer).unwrap_err(), checksum, "with extra bytes at the end");
    }

    #[test]
    fn a_file_of_another_version_is_told_from_one_of_another_program() {
        for (bytes, other) in [
            (b"sage-host cache 3\nolder, and long enough".as_slice(), true),
            (b"\x7fELF, and long enough for a magic line", false),
        ] {
            let error = decode("x.cwasm", bytes, &mut Vec::new()).unwrap_err();
            assert_eq!(matches!(error, Damaged::OtherVersion), other, "{error}");
            assert!(other || matches!(error, Damaged::Foreign), "{error}");
        }
    }
}
