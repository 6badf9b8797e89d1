/// The compression of a byte stream, detected from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// The content at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Characters, perhaps after a UTF-8 byte order mark.
    Text,
    /// The byte order mark of UTF-16.
    Utf16 {
        /// Whether the high byte comes first.
        big: bool,
    },
    /// Bytes that look like UTF-16 without a byte order mark.
    Utf16Unmarked {
        /// Whether the high byte comes first.
        big: bool,
    },
    /// Not a text. Holds a description of the format and a hint.
    Foreign(&'static str, &'static str),
}

/// Bytes that identify a format: `start`, then `any` arbitrary bytes, then `rest`.
struct Magic {
    start: &'static [u8],
    any: usize,
    rest: &'static [u8],
    beginning: Beginning,
}

const fn foreign(start: &'static [u8], what: &'static str, hint: &'static str) -> Magic {
    Magic { start, any: 0, rest: b"", beginning: Beginning::Foreign(what, hint) }
}

const UNPACK: &str = "unpack it before, or through standard input; gzip and zstd are unpacked here";
const WHOLE: &str = "format = \"whole\" hands a file to an operator as it is";
const UTF32: &str = "convert it: iconv -f UTF-32 -t UTF-8";

/// Beginnings of other formats. A text does not begin with any of them: each has a byte that text does not
/// have, or ten characters that do not occur in practice.
const MAGICS: [Magic; 20] = [
    foreign(b"\xff\xfe\0\0", "UTF-32 text", UTF32),
    foreign(b"\0\0\xfe\xff", "UTF-32 text", UTF32),
    Magic { start: b"\xff\xfe", any: 0, rest: b"", beginning: Beginning::Utf16 { big: false } },
    Magic { start: b"\xfe\xff", any: 0, rest: b"", beginning: Beginning::Utf16 { big: true } },
    foreign(b"\x1f\x8b\x08", "a gzip file inside another packing", UNPACK),
    foreign(b"\x28\xb5\x2f\xfd", "a zstd file inside another packing", UNPACK),
    foreign(b"\xfd7zXZ\0", "an xz file", UNPACK),
    Magic { start: b"BZh", any: 1, rest: b"1AY&SY", beginning: Beginning::Foreign("a bzip2 file", UNPACK) },
    Magic { start: b"BZh", any: 1, rest: b"\x17rE8P\x90", beginning: Beginning::Foreign("a bzip2 file", UNPACK) },
    foreign(b"\x04\x22\x4d\x18", "an lz4 file", UNPACK),
    foreign(b"\x02\x21\x4c\x18", "an lz4 file", UNPACK),
    foreign(b"LZIP\x01", "an lzip file", UNPACK),
    foreign(b"\x1f\x9d", "a file packed by compress (.Z)", UNPACK),
    foreign(b"\xff\x06\0\0sNaPpY", "a snappy file", UNPACK),
    foreign(b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    foreign(b"PK\x03\x04", "a zip archive (an Excel workbook is one too)", UNPACK),
    foreign(b"PAR1\x15", "a Parquet file", WHOLE),
    foreign(b"ARROW1\0\0", "an Arrow file", WHOLE),
    foreign(b"Obj\x01", "an Avro file", WHOLE),
    foreign(b"SQLite format 3\0", "an SQLite database", WHOLE),
];

/// The compression of bytes that begin with `head`; `None` while more bytes are needed. With `no_more`, there
/// are no further bytes, and the answer is final.
pub(super) fn packing(head: &[u8], no_more: bool) -> Option<Option<Packing>> {
    match *head {
        [0x1f, 0x8b, ..] => Some(Some(Packing::Gzip)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Some(Packing::Zstd)),
        // A skippable frame; parallel zstd writes one before each of the other frames.
        [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50 => Some(Some(Packing::Zstd)),
        // A zstd magic number that is cut short is still not text.
        [0x28, 0xb5] | [0x28, 0xb5, 0x2f] if no_more => Some(Some(Packing::Zstd)),
        [] | [0x1f | 0x28 | 0x50..=0x5f] if !no_more => None,
        [0x28, 0xb5] | [0x28, 0xb5, 0x2f] | [0x50..=0x5f, 0x2a] | [0x50..=0x5f, 0x2a, 0x4d] if !no_more => None,
        _ => Some(None),
    }
}

/// The content of a text that begins with `head`; `None` while more bytes are needed.
pub(super) fn beginning(head: &[u8], no_more: bool) -> Option<Beginning> {
    // If a byte of the first pair is zero, the text may be UTF-16, and two characters of two bytes each are
    // needed to tell. A line of one byte needs no more bytes, because its line end is not zero.
    let few = match *head {
        [] => true,
        [only] => only != b'\n',
        [a, b] | [a, b, _] => a == 0 || b == 0,
        _ => false,
    };
    if few && !no_more {
        return None;
    }
    for magic in &MAGICS {
        match magic.fits(head) {
            Fits::Yes => return Some(magic.beginning),
            // A head with a line end is not held back, so that a line never waits for the next one.
            Fits::SoFar if !no_more && !head.contains(&b'\n') => return None,
            Fits::SoFar | Fits::No => {}
        }
    }
    if head.get(257..262) == Some(b"ustar") && head.get(..100).is_some_and(|name| name.contains(&0)) {
        return Some(Beginning::Foreign("a tar archive", "unpack it before: a source reads its files one by one"));
    }
    Some(utf16_unmarked(head))
}

enum Fits {
    Yes,
    SoFar,
    No,
}

impl Magic {
    fn fits(&self, head: &[u8]) -> Fits {
        let behind = self.start.len() + self.any;
        let agrees = |at: usize, expected: &[u8]| {
            let found = head.get(at..).unwrap_or_default();
            found.iter().zip(expected).all(|(found, expected)| found == expected)
        };
        if !agrees(0, self.start) || !agrees(behind, self.rest) {
            Fits::No
        } else if head.len() >= behind + self.rest.len() {
            Fits::Yes
        } else {
            Fits::SoFar
        }
    }
}

/// Detects ASCII characters in two bytes each: one byte of every pair is zero, always at the same place, and
/// the other is not.
fn utf16_unmarked(head: &[u8]) -> Beginning {
    let (pairs, _) = head.get(..head.len().min(64)).unwrap_or_default().as_chunks::<2>();
    let all = |is: fn(&[u8; 2]) -> bool| pairs.len() >= 2 && pairs.iter().all(is);
    if all(|&[low, high]| high == 0 && low != 0) {
        Beginning::Utf16Unmarked { big: false }
    } else if all(|&[high, low]| high == 0 && low != 0) {
        Beginning::Utf16Unmarked { big: true }
    } else {
        Beginning::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packings_are_known_by_their_first_bytes_and_text_is_none() {
        type Case<'a> = (&'a [u8], bool, Option<Option<Packing>>);
        let cases: [Case<'_>; 14] = [
            (b"", false, None),
            (b"", true, Some(None)),
            (b"\x1f", false, None),
            (b"\x1f", true, Some(None)),
            (b"\x1f\x8b", true, Some(Some(Packing::Gzip))),
            (b"(", false, None),
            (b"(a", false, Some(None)),
            (b"(\xb5", false, None),
            (b"(\xb5/", true, Some(Some(Packing::Zstd))),
            (b"(\xb5/\xfd", false, Some(Some(Packing::Zstd))),
            (b"P", false, None),
            (b"PA", false, Some(None)),
            (b"Q*M\x18", false, Some(Some(Packing::Zstd))),
            (b"hello", false, Some(None)),
        ];
        for (head, no_more, expected) in cases {
            assert_eq!(packing(head, no_more), expected, "{head:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_and_a_line_never_waits_for_the_next() {
        let what = |head: &[u8]| match beginning(head, true) {
            Some(Beginning::Foreign(what, _)) => what,
            other => panic!("{head:?}: {other:?}"),
        };
        assert_eq!(what(b"\xfd7zXZ\0\0"), "an xz file");
        assert_eq!(what(b"BZh91AY&SY..."), "a bzip2 file");
        assert_eq!(what(b"\xff\xfe\0\0a\0\0\0"), "UTF-32 text");
        let mut tar = vec![0; 512];
        tar[..5].copy_from_slice(b"a.txt");
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(what(&tar), "a tar archive");
        for text in ["B\n", "BZh9\n", "PK\n", "Obj,x\n", "SQLite format 3\n", "PAR1,PAR2\n", "7z\n", "LZIP\n", "", "a"]
        {
            assert_eq!(beginning(text.as_bytes(), true), Some(Beginning::Text), "{text:?}");
            if text.ends_with('\n') {
                assert_eq!(beginning(text.as_bytes(), false), Some(Beginning::Text), "{text:?}");
            }
        }
        assert_eq!(beginning(b"BZh", false), None);
        assert_eq!(beginning(b"\xff\xfea\0", false), Some(Beginning::Utf16 { big: false }));
        assert_eq!(beginning(b"\xff\xfe", true), Some(Beginning::Utf16 { big: false }));
        assert_eq!(beginning(b"a\0b\0\n\0", false), Some(Beginning::Utf16Unmarked { big: false }));
        assert_eq!(beginning(b"\0a\0b\0\n", false), Some(Beginning::Utf16Unmarked { big: true }));
        assert_eq!(beginning(b"a\0b\n", false), Some(Beginning::Text));
    }
}
