use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::Disk;
use crate::error::{StoreError, failed};

/// The file that names the valid segments.
pub(crate) const CURRENT: &str = "CURRENT";
/// The same, while it is written.
pub(crate) const CURRENT_NEW: &str = "CURRENT.new";

const FIRST: &str = "sage-host checkpoints ";
const FORMAT: &str = "1";
const SUM: &str = "xxh3 ";
/// Longest file that is read. A segment has a line of at most 60 bytes.
const LONGEST: u64 = 16 << 20;

/// The content of the file CURRENT: what is valid of the folder. Whatever it does not name does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Current {
    /// Rises with each replacement.
    pub(crate) generation: u64,
    /// No epoch with this number or a higher one was begun before the last segment. Numbers are never used twice.
    pub(crate) next: u64,
    /// Older epochs are not restored.
    pub(crate) oldest: u64,
    /// The segments in rising order.
    pub(crate) segments: Vec<Listed>,
}

/// A segment in [`Current`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The first epoch of the segment, which is its name.
    pub(crate) first: u64,
    /// How much of the segment counts. `None` while it grows.
    pub(crate) length: Option<u64>,
}

/// Why a text is not a valid [`Current`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoCurrent {
    /// The text is damaged at this byte.
    Damaged { byte: u64, reason: &'static str },
    /// The text is of another format.
    Format(String),
}

impl Current {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{FIRST}{FORMAT}\n");
        // Writing to a string does not fail.
        let _ = writeln!(text, "generation {}\nnext {}\noldest {}", self.generation, self.next, self.oldest);
        for listed in &self.segments {
            let _ = match listed.length {
                Some(length) => writeln!(text, "segment {} length {length}", listed.first),
                None => writeln!(text, "segment {}", listed.first),
            };
        }
        let sum = xxh3_64(text.as_bytes());
        let _ = writeln!(text, "{SUM}{sum:016x}");
        text
    }

    /// Reads the text of the file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoCurrent> {
        let damaged = |byte: usize, reason| NoCurrent::Damaged { byte: byte as u64, reason };
        let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.valid_up_to(), "it is not a text"))?;
        let version = text.strip_prefix(FIRST).and_then(|rest| rest.lines().next());
        let version = version.ok_or_else(|| damaged(0, "it does not begin like a list of checkpoints"))?;
        if version != FORMAT {
            return Err(NoCurrent::Format(version.chars().take(20).collect()));
        }
        let end = text.strip_suffix('\n').and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
        let (checked, sum) = text.split_at_checked(end).unwrap_or((text, ""));
        if sum != format!("{SUM}{:016x}\n", xxh3_64(checked.as_bytes())) {
            return Err(damaged(0, "its checksum does not match"));
        }
        Self::read(checked).ok_or_else(|| damaged(0, "its checksum matches, and its lines are not those of a list"))
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
        let mut current = Self {
            generation: field("generation")?,
            next: field("next")?,
            oldest: field("oldest")?,
            segments: Vec::new(),
        };
        for line in lines {
            let mut words = line.strip_prefix("segment ")?.split(' ');
            let first = words.next()?.parse().ok()?;
            let length = match (words.next(), words.next()) {
                (None, _) => None,
                (Some("length"), Some(length)) => Some(length.parse().ok()?),
                _ => return None,
            };
            let rises = current.segments.last().is_none_or(|last| last.first < first && last.length.is_some());
            if words.next().is_some() || !rises || first >= current.next {
                return None;
            }
            current.segments.push(Listed { first, length });
        }
        (current.oldest <= current.next).then_some(current)
    }

    /// Reads the file of a folder. `Ok(None)` if there is none.
    pub(crate) fn load(disk: &dyn Disk) -> Result<Option<Result<Self, NoCurrent>>, StoreError> {
        let file = match disk.open(CURRENT) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", disk.path(CURRENT))(error)),
        };
        let read = || {
            let length = file.length()?.min(LONGEST);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        let bytes = read().map_err(failed("read", disk.path(CURRENT)))?;
        Ok(Some(Self::parse(&bytes)))
    }

    /// Replaces the file of a folder, so that it has the old content or the new one whatever happens. Names that were
    /// made before are durable before the new content counts.
    pub(crate) fn replace(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        let beside = disk.path(CURRENT_NEW);
        let file = disk.create(CURRENT_NEW).map_err(failed("make", &beside))?;
        file.write_at(self.text().as_bytes(), 0).map_err(failed("write", &beside))?;
        file.sync().map_err(failed("sync", &beside))?;
        disk.sync_names().map_err(failed("sync", disk.path("")))?;
        disk.rename(CURRENT_NEW, CURRENT).map_err(failed("rename", &beside))?;
        disk.sync_names().map_err(failed("sync", disk.path("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> Current {
        let segments = [(3, Some(1000)), (7, Some(40)), (12, None)];
        let segments = segments.map(|(first, length)| Listed { first, length }).to_vec();
        Current { generation: 9, next: 20, oldest: 5, segments }
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        for current in [Current::default(), Current { next: 1, ..Current::default() }, current()] {
            let text = current.text();
            assert_eq!(Current::parse(text.as_bytes()), Ok(current));
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                Current::parse(&flipped).unwrap_err();
            }
            for length in 0..text.len() {
                Current::parse(&text.as_bytes()[..length]).unwrap_err();
            }
        }
    }

    #[test]
    fn a_newer_list_is_told_apart_from_a_damaged_one() {
        let newer = NoCurrent::Format("2".to_owned());
        assert_eq!(Current::parse(b"sage-host checkpoints 2\nanything"), Err(newer));
        assert!(matches!(Current::parse(b"something else"), Err(NoCurrent::Damaged { byte: 0, .. })));
        assert!(matches!(Current::parse(b"sage\xff"), Err(NoCurrent::Damaged { byte: 4, .. })));
    }
}
