//! Splits lines into words.

/// Turns one record into any number of records: none for an empty line. Words are borrowed from the line and
/// not copied.
#[sage_guest::flat_map]
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_white_space_separates() {
        assert!(words("the  quick fox ").eq(["the", "quick", "fox"]));
        assert_eq!(words("").count(), 0);
    }
}
