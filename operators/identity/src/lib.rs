//! `identity`: returns every record unchanged. Its cost is the cost of the boundary, because the operator does
//! nothing else.

/// Returns every record unchanged.
#[sage_guest::map]
pub fn identity(record: &[u8]) -> &[u8] {
    record
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::identity;

    #[test]
    fn nothing_changes() {
        let mut lane = testing::Map::<identity>::open(json!({})).unwrap();
        let records = ["", "a", "\u{0}", "long ".repeat(1000).leak()];
        assert_eq!(lane.run(records).texts(), records);
    }
}
