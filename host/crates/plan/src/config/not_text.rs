/// Recognises, by its first bytes, a file that was given in place of a text file.
///
/// Returns a description of the file and a hint for the user; `None` if the bytes match no known kind of file.
pub(super) fn not_text(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const KINDS: [(&[u8], &str, &str); 9] = [
        (
            b"\0asm",
            "a WebAssembly file",
            "name it in a pipeline file: component = \"FILE.wasm\"; `sage-host inspect FILE.wasm` says what it is",
        ),
        (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
        (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
        (b"\x1f\x8b", "packed with gzip", "unpack it first"),
        (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it first"),
        (b"PK\x03\x04", "a zip archive", "unpack it first"),
        (b"\x7fELF", "a program", "give the pipeline file, which is TOML"),
        (b"SQLite format 3", "a database", "give the pipeline file, which is TOML"),
        (b"%PDF", "a PDF", "give the pipeline file, which is TOML"),
    ];
    let begins = KINDS.into_iter().find(|(begin, _, _)| bytes.starts_with(begin));
    if let Some((_, what, hint)) = begins {
        return Some((what, hint));
    }
    // UTF-16 without a byte order mark: in mostly ASCII text, every other byte is 0.
    let (pairs, _) = bytes.get(..bytes.len().min(64)).unwrap_or_default().as_chunks::<2>();
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let wide = pairs.len() >= 4 && [0, 1].into_iter().any(|at| zeros(at) * 2 > pairs.len() && zeros(1 - at) == 0);
    if wide {
        return Some(("text in UTF-16", "save it as UTF-8"));
    }
    bytes.contains(&0).then_some(("no text: there are bytes of 0 in it", "give the pipeline file, which is TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_instead_of_text_is_known_by_its_bytes() {
        let utf16 = |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        let cases = [
            (b"\0asm\x0d\0\x01\0".to_vec(), Some("a WebAssembly file")),
            ([b"\xff\xfe".to_vec(), utf16("[[source]]", u16::to_le_bytes)].concat(), Some("text in UTF-16")),
            (utf16("[[source]]\n", u16::to_le_bytes), Some("text in UTF-16")),
            (utf16("[[source]]\n", u16::to_be_bytes), Some("text in UTF-16")),
            (b"a\0b".to_vec(), Some("no text: there are bytes of 0 in it")),
            (b"[[source]]\n".to_vec(), None),
            ("name = \"\u{fc}\"".as_bytes().to_vec(), None),
            (Vec::new(), None),
        ];
        for (bytes, what) in cases {
            assert_eq!(not_text(&bytes).map(|(what, _)| what), what, "{bytes:?}");
        }
    }
}
