use std::fmt::Write as _;

use textwrap::{Options, WordSplitter};

/// Width of the widest line of a text, in columns.
#[must_use]
pub fn width_of(text: &str) -> usize {
    text.lines().map(|line| textwrap::core::display_width(line.trim_end())).max().unwrap_or(0)
}

/// Breaks lines that are wider than `width` between words. Continued lines are indented.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> String {
    let options = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        Options::new(width.max(20)).subsequent_indent(if indent > 0 { "      " } else { "    " })
    };
    let mut out = String::new();
    for line in text.lines() {
        for piece in textwrap::wrap(line, options(line).word_splitter(WordSplitter::NoHyphenation)) {
            let _ = writeln!(out, "{}", piece.trim_end());
        }
    }
    out
}

/// Shows one row of a table that is too wide: its title, and below it one line for each column that is not
/// empty.
#[must_use]
pub fn card<'a>(title: &str, cells: impl IntoIterator<Item = (&'a str, String)>, width: usize) -> String {
    let mut text = format!("{title}\n");
    for (name, cell) in cells {
        if !cell.is_empty() {
            let _ = writeln!(text, "  {}: {}", name.replace('\n', ", "), cell.replace('\n', ", "));
        }
    }
    wrapped(&text, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_set_in() {
        let text = "a line of words that goes on and on\n\n  short\n";
        assert_eq!(wrapped(text, 20), "a line of words that\n    goes on and on\n\n  short\n");
        assert_eq!(width_of(&wrapped(text, 20)), 20);
        let row = [("in", "27,004\n2.8MiB".to_owned()), ("rejected", String::new())];
        assert_eq!(card("parse", row, 40), "parse\n  in: 27,004, 2.8MiB\n");
    }
}
