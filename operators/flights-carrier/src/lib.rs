//! `flights-carrier`: keys flights by their carrier. Shows a key-by on a field of JSON; the key is borrowed
//! from the record.

use std::borrow::Cow;

use sage_guest::Json;
use serde::Deserialize;

/// The part of a flight that this operator needs.
#[derive(Debug, Deserialize)]
pub struct Flight<'a> {
    /// Code of the carrier: two characters. Borrowed, unless the text has an escape.
    #[serde(borrow)]
    pub carrier: Cow<'a, str>,
}

/// Keys each flight by its carrier.
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
