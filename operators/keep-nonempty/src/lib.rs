//! `keep-nonempty`: drops records that are empty or contain only white space. Shows a filter over plain bytes.

/// Keeps records with at least one byte that is not white space.
#[sage_guest::filter]
pub fn keep_nonempty(record: &[u8]) -> bool {
    !record.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::keep_nonempty;

    #[test]
    fn white_space_is_nothing() {
        for (record, kept) in [("", false), (" \t\r\n", false), ("a", true), ("  a ", true)] {
            assert_eq!(keep_nonempty(record.as_bytes()), kept, "{record:?}");
        }
    }
}
