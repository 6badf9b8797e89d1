//! `flights-carrier`: keys flights by their carrier. A key-by on a field of JSON; the key is borrowed from the record.

use std::borrow::Cow;

use sage_guest::Json;
use serde::Deserialize;

/// What this operator has to know of a flight.
#[derive(Debug, Deserialize)]
pub struct Flight<'a> {
    /// Two letters; borrowed, unless there is an escape among them.
    #[serde(borrow)]
    pub carrier: Cow<'a, str>,
}

/// The carrier.
#[sage_guest::key_by]
pub fn carrier<'a>(Json(flight): Json<Flight<'a>>) -> Cow<'a, str> {
    flight.carrier
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::carrier;

    #[test]
    fn the_key_is_the_carrier() {
        let mut lane = testing::KeyBy::<carrier>::open(json!({})).unwrap();
        let outcome = lane.run([r#"{"flight":1,"carrier":"UA"}"#, r#"{"flight":2}"#, r#"{"carrier":"9\u0045"}"#]);
        assert_eq!(outcome.keys(), ["UA", "9E"]);
        assert!(outcome.messages()[0].contains("missing field `carrier`"));
    }
}
