use std::borrow::Cow;

/// Number of bytes of a text between the quotation marks of a JSON string.
pub(super) fn escaped_len(text: &str) -> usize {
    text.bytes().map(escaped_byte).sum()
}

/// The beginning of a text that takes at most `most` bytes in a JSON string, with the number of bytes that were
/// cut off.
pub(super) fn cut_escaped(text: &str, most: usize) -> Cow<'_, str> {
    let mut taken = 0;
    let fits = text.bytes().take_while(|&byte| {
        taken += escaped_byte(byte);
        taken <= most
    });
    let end = text.floor_char_boundary(fits.count());
    match text.split_at_checked(end) {
        Some((kept, cut)) if !cut.is_empty() => Cow::Owned(format!("{kept}… ({} more bytes)", cut.len())),
        _ => Cow::Borrowed(text),
    }
}

fn escaped_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        ..0x20 => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_where_it_would_be_too_long_as_it_is_written() {
        assert_eq!(cut_escaped("abc", 3), "abc");
        assert_eq!(cut_escaped("abcd", 3), "abc… (1 more bytes)");
        assert_eq!(cut_escaped("\u{1b}\u{1b}\u{1b}", 12), "\u{1b}\u{1b}… (1 more bytes)");
        assert_eq!(cut_escaped("üü", 3), "ü… (2 more bytes)");
    }

    proptest! {
        #[test]
        fn the_length_is_what_json_makes_of_it(text in "\\PC*|[\\x00-\\x7f]*") {
            prop_assert_eq!(escaped_len(&text) + 2, serde_json::to_string(&text).unwrap().len());
        }
    }
}
