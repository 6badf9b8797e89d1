use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

/// A file of the cache: a magic line, a checksum, a header that names the component's file, and the content.
///
/// ```text
/// "sage-host cache 3\n" | XXH3 (128 bits) of the rest and of the file's name
///     | length of the header, u32 LE | header, JSON | body
/// ```
///
/// The checksum covers the file's name too, so that a file under the name of another component counts as
/// damaged. It finds damage and is no proof of origin: only this user can write to the folder. A cryptographic hash
/// of the code took a fifth of a millisecond of each start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'b> {
    pub(super) header: EntryHeader,
    pub(super) body: &'b [u8],
}

/// The header before the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryHeader {
    /// Absolute path of the component's file when it was compiled.
    pub(super) from: String,
}

/// The reason why a file of the cache is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Damaged {
    #[error("the file was not written by this version of sage-host")]
    Foreign,
    #[error("the file is shorter than its header says")]
    Cut,
    #[error("the checksum is wrong: the disk lost or changed a part of the file")]
    Checksum,
    #[error("the file's header cannot be read")]
    Header,
}

const MAGIC: &[u8] = b"sage-host cache 3\n";
/// The beginning of the magic line in all versions.
const FAMILY: &[u8] = b"sage-host cache ";
const CHECKSUM: usize = 16;
const LENGTH: usize = size_of::<u32>();
/// A path has at most 4096 bytes, and JSON writes each of them in at most six.
pub(super) const LONGEST_HEADER: usize = 32 << 10;

/// The bytes of a cache file with this name.
pub(super) fn encode(name: &str, header: &EntryHeader, body: &[u8]) -> Result<Vec<u8>, Damaged> {
    let header = serde_json::to_vec(header).map_err(|_| Damaged::Header)?;
    let length = u32::try_from(header.len()).ok().filter(|_| header.len() <= LONGEST_HEADER).ok_or(Damaged::Header)?;
    let mut rest = Vec::with_capacity(LENGTH + header.len() + body.len());
    rest.extend_from_slice(&length.to_le_bytes());
    rest.extend_from_slice(&header);
    rest.extend_from_slice(body);
    Ok([MAGIC, &checksum(name, &rest), &rest].concat())
}

/// Whether the bytes are a file of another version of the cache.
pub(super) fn is_foreign(bytes: &[u8]) -> bool {
    bytes.starts_with(FAMILY) && !bytes.starts_with(MAGIC)
}

/// The content of a cache file with this name. The whole file is checked.
pub(super) fn decode<'b>(name: &str, bytes: &'b [u8]) -> Result<Entry<'b>, Damaged> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged::Foreign)?;
    let (written, rest) = rest.split_at_checked(CHECKSUM).ok_or(Damaged::Cut)?;
    if written != checksum(name, rest) {
        return Err(Damaged::Checksum);
    }
    let (header, body) = header_of(rest)?;
    Ok(Entry { header, body })
}

/// The header alone, from the first bytes of a file and without a check of the checksum. Used for listings.
pub(super) fn peek(bytes: &[u8]) -> Result<EntryHeader, Damaged> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged::Foreign)?;
    header_of(rest.get(CHECKSUM..).ok_or(Damaged::Cut)?).map(|(header, _)| header)
}

fn header_of(rest: &[u8]) -> Result<(EntryHeader, &[u8]), Damaged> {
    let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(Damaged::Cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damaged::Header)?;
    let (header, body) = rest.split_at_checked(length).ok_or(Damaged::Cut)?;
    Ok((serde_json::from_slice(header).map_err(|_| Damaged::Header)?, body))
}

fn checksum(name: &str, rest: &[u8]) -> [u8; CHECKSUM] {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(&[0]);
    hash.update(rest);
    hash.digest128().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_cache_is_read_back_and_every_changed_byte_is_noticed() {
        let header = EntryHeader { from: "/a/op.wasm".to_owned() };
        let bytes = encode("x.cwasm", &header, b"native code").unwrap();
        assert_eq!(decode("x.cwasm", &bytes), Ok(Entry { header: header.clone(), body: b"native code".as_slice() }));
        assert_eq!(peek(&bytes), Ok(header));
        assert_eq!(decode("y.cwasm", &bytes), Err(Damaged::Checksum), "under another name");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(decode("x.cwasm", &changed).is_err(), "byte {at}");
            assert!(decode("x.cwasm", &bytes[..at]).is_err(), "cut at {at}");
        }
        let longer = [bytes.as_slice(), b"\0"].concat();
        assert_eq!(decode("x.cwasm", &longer), Err(Damaged::Checksum), "with extra bytes at the end");
        assert_eq!(decode("x.cwasm", b"\x7fELF"), Err(Damaged::Foreign));
        assert!(is_foreign(b"sage-host cache 1\nolder") && !is_foreign(b"\x7fELF") && !is_foreign(&bytes));
    }
}
