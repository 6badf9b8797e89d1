/// How bytes are packed, as they say themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// What a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Characters, or a UTF-8 byte order mark before them.
    Text,
    /// The byte order mark of UTF-16.
    Utf16 {
        /// The high byte first.
        big: bool,
    },
    /// What only UTF-16 looks like, without its mark.
    Utf16Unmarked {
        /// The high byte first.
        big: bool,
    },
    /// No text at all, but this, and what to do with it.
    Foreign(&'static str, &'static str),
}

/// Bytes by which a format is known: `start`, then any byte as often as `any`, then `rest`.
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

/// None of them is how a text begins: each has a byte that text has not, or is ten characters that nobody writes.
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

/// How the bytes that begin so are packed; `None` while that cannot be told. Where there are no more than these, it can.
pub(super) fn packing(head: &[u8], no_more: bool) -> Option<Option<Packing>> {
    match *head {
        [0x1f, 0x8b, ..] => Some(Some(Packing::Gzip)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Some(Packing::Zstd)),
        // A frame that is skipped; parallel zstd writes them before each of the others.
        [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50 => Some(Some(Packing::Zstd)),
        // Cut short, it is still not text.
        [0x28, 0xb5] | [0x28, 0xb5, 0x2f] if no_more => Some(Some(Packing::Zstd)),
        [] | [0x1f | 0x28 | 0x50..=0x5f] if !no_more => None,
        [0x28, 0xb5] | [0x28, 0xb5, 0x2f] | [0x50..=0x5f, 0x2a] | [0x50..=0x5f, 0x2a, 0x4d] if !no_more => None,
        _ => Some(None),
    }
}

/// What the text is that begins so; `None` while that cannot be told.
pub(super) fn beginning(head: &[u8], no_more: bool) -> Option<Beginning> {
    // Two characters of two bytes each, where a byte of the first is zero; the line end of a line of one byte is no zero.
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
            // No line end is among them, so that no line waits here for the next.
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

/// Every second byte of the first characters is zero and no other one is: ASCII in two bytes each.
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
