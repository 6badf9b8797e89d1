use std::borrow::Cow;
use std::fmt::Write as _;

/// What a guest said, fit to be shown to people: control characters other than line ends and tabs are written as escapes, since
/// they could steer the terminal of whoever reads it; what is longer than a few KiB is cut, and that is said.
///
/// Does not keep a guest from writing a line that looks like the host's own: whoever prints it marks continued lines.
pub fn plain_text(said: &str) -> Cow<'_, str> {
    let end = said.floor_char_boundary(LONGEST);
    let (kept, cut) = said.split_at_checked(end).unwrap_or((said, ""));
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
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

/// A panic message with its location is some hundred bytes; nobody reads more than this.
const LONGEST: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_long_is_cut_between_characters() {
        let long = "ü".repeat(LONGEST);
        let plain = plain_text(&long);
        assert!(plain.starts_with("üü") && plain.ends_with("ü… (8192 more bytes)"), "{plain}");
    }
}
