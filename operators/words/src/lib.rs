//! `words`: emits each word of a line as a record. Shows a flat-map over text without a copy: the words are
//! borrowed from the line.

/// Emits the words of a line.
#[sage_guest::flat_map]
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_what_white_space_separates() {
        assert!(words("  to be\tor ").eq(["to", "be", "or"]));
        assert_eq!(words(" ").count(), 0);
    }
}
