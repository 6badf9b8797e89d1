//! `key-sensor`: keys each reading by its sensor. Shows a key-by that takes records by field: it reads one field, and
//! the record stays with all of its fields.

use sage_guest::{Error, Record};

/// A reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
}

/// Keys a reading by its sensor. A reading without a name is rejected.
#[sage_guest::key_by]
pub fn key_sensor<'a>(reading: Reading<'a>) -> Result<&'a str, Error> {
    if reading.sensor.is_empty() { Err("the sensor has no name".into()) } else { Ok(reading.sensor) }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::key_sensor;

    #[test]
    fn a_reading_is_keyed_by_its_sensor_and_stays_as_it_is() {
        let mut lane = testing::FieldsKeyBy::<key_sensor>::open(json!({})).unwrap();
        let outcome = lane.run([r#"{"sensor":"roof","n":1}"#, r#"{"sensor":""}"#, r#"{"n":2}"#, r#"{"sensor":"é"}"#]);
        assert_eq!(outcome.keys(), ["roof", "é"]);
        assert_eq!(outcome.texts(), [r#"{"sensor":"roof","n":1}"#, r#"{"sensor":"é"}"#]);
        assert_eq!(outcome.messages(), ["the sensor has no name", r#"field "sensor" is missing"#]);
    }
}
