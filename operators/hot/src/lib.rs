//! `hot`: keeps the readings above a temperature. Shows a filter that takes records by field: it reads one field, and
//! the record stays with all of its fields.
//!
//! `config = { above = 30.0 }`

use sage_guest::{Describe, Record};
use serde::Deserialize;

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Temperature in degrees Celsius that a reading must exceed.
    pub above: f64,
}

/// A reading.
#[derive(Debug, Record)]
pub struct Reading {
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// Keeps the hot readings.
#[sage_guest::filter]
pub fn hot(reading: Reading, settings: &Settings) -> bool {
    reading.celsius > settings.above
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::hot;

    #[test]
    fn readings_above_the_limit_stay_as_they_are() {
        let mut lane = testing::FieldsFilter::<hot>::open(json!({"above": 30})).unwrap();
        let outcome = lane.run([
            r#"{"sensor":"roof","celsius":30.5}"#,
            r#"{"sensor":"cellar","celsius":12}"#,
            r#"{"sensor":"roof","celsius":30}"#,
            r#"{"sensor":"roof","celsius":"31"}"#,
        ]);
        assert_eq!(outcome.texts(), [r#"{"sensor":"roof","celsius":30.5}"#]);
        assert_eq!(outcome.messages(), [r#"field "celsius" is a string, not f64"#]);
    }

    #[test]
    fn a_wrong_configuration_does_not_open() {
        let error = testing::FieldsFilter::<hot>::open(json!({"over": 1.0})).unwrap_err();
        assert!(error.contains("unknown field `over`, expected `above`"), "{error}");
    }
}
