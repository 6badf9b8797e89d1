//! `flights-by-carrier`: keys flights by their carrier. Shows a key-by that reads a field.

use sage_guest::Record;

/// The field of the key.
#[derive(Debug, Record)]
pub struct Flight<'a> {
    /// Code of the carrier: two characters.
    pub carrier: &'a str,
}

/// Keys each flight by its carrier.
#[sage_guest::key_by]
pub fn carrier<'a>(flight: Flight<'a>) -> &'a str {
    flight.carrier
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::carrier;

    #[test]
    fn the_key_is_the_carrier() {
        let mut lane = testing::FieldsKeyBy::<carrier>::open(json!({})).unwrap();
        let outcome = lane.run([r#"{"carrier":"UA","arr_delay":1.0}"#, r#"{"carrier":"9E"}"#]);
        assert_eq!(outcome.keys(), ["UA", "9E"]);
    }
}
