use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Makes an untrusted text safe to show to people. Control characters other than line ends and tabs are written
/// as escapes, since they could control the reader's terminal. Characters that change the direction of text are
/// written as escapes too. A text longer than 8 KiB is cut, and the number of missing bytes is appended.
///
/// A guest can still write a line that looks like one of the host. Therefore the code that prints the text must
/// mark continued lines.
pub fn plain_text(said: &str) -> Cow<'_, str> {
    let end = said.floor_char_boundary(LONGEST);
    let (kept, cut) = said.split_at_checked(end).unwrap_or((said, ""));
    let steers = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if cut.is_empty() && !kept.contains(steers) {
        return Cow::Borrowed(kept);
    }
    let mut plain = String::with_capacity(kept.len() + 32);
    for c in kept.chars() {
        if steers(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    if !cut.is_empty() {
        let _ = write!(plain, "… ({} more bytes)", cut.len());
    }
    Cow::Owned(plain)
}

/// Makes an untrusted name safe to show in one line: as [`plain_text`], with line ends and tabs escaped too.
pub fn plain_line(said: &str) -> Cow<'_, str> {
    match plain_text(said) {
        plain if !plain.contains(['\n', '\t']) => plain,
        plain => Cow::Owned(plain.replace('\n', "\\n").replace('\t', "\\t")),
    }
}

/// Makes a path safe to show in one line: as [`plain_text`], with line ends and tabs escaped too. Bytes that
/// are not UTF-8 are shown as `\xE9`.
#[must_use]
pub fn plain_path(path: &Path) -> String {
    let mut plain = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || turns(c) {
                plain.extend(c.escape_default());
            } else {
                plain.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(plain, "\\x{byte:02X}");
        }
    }
    plain
}

/// Whether a character changes the direction of the text around it. A name that contains one can look like
/// another name.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longest text in bytes. A panic message with its location has a few hundred bytes, and longer texts are not
/// read to their end.
const LONGEST: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_name_stays_in_its_line() {
        assert_eq!(plain_line("a\nerror: b\tc\u{7}"), "a\\nerror: b\\tc\\u{7}");
        assert!(matches!(plain_line("a name"), Cow::Borrowed("a name")));
    }

    #[test]
    fn what_is_plain_stays_as_it_is() {
        for text in ["", "a word", "two\nlines\tand ✓"] {
            assert!(matches!(plain_text(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn control_characters_become_escapes() {
        assert_eq!(plain_text("\u{1b}[2J\r\u{9b}x\0"), "\\u{1b}[2J\\r\\u{9b}x\\u{0}");
    }

    #[test]
    fn characters_that_turn_text_around_become_escapes() {
        assert_eq!(plain_text("a\u{202e}txt.exe"), "a\\u{202e}txt.exe");
    }

    #[test]
    fn a_path_is_one_plain_line_and_tells_its_bytes() {
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9\n\x1b[2J\xc3\xa9\xff.txt");
        assert_eq!(plain_path(Path::new(name)), "caf\\xE9\\n\\u{1b}[2Jé\\xFF.txt");
        assert_eq!(plain_path(Path::new("a b/ü.txt")), "a b/ü.txt");
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let long = "ü".repeat(LONGEST);
        let plain = plain_text(&long);
        assert!(plain.starts_with("üü") && plain.ends_with("ü… (8192 more bytes)"), "{plain}");
    }
}
