//! `celsius`: converts a reading from Fahrenheit to Celsius. Shows a map that takes records by field: the host reads
//! the two fields from JSON, CSV or any other format, and the operator computes with columns of numbers. The other
//! fields of a reading are dropped; `#[record(extends)]` on `Celsius` would keep them.

use sage_guest::fields::round_to;
use sage_guest::{Error, Record};

/// An input reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Fahrenheit.
    pub fahrenheit: f64,
}

/// An output reading.
#[derive(Debug, PartialEq, Record)]
pub struct Celsius<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius, rounded to a tenth.
    pub celsius: f64,
}

/// Converts a reading. A reading below absolute zero is rejected.
#[sage_guest::map]
pub fn celsius(reading: Reading) -> Result<Celsius, Error> {
    let celsius = (reading.fahrenheit - 32.0) / 1.8;
    if celsius < -273.15 {
        return Err(format!("{celsius:.2} °C is below absolute zero").into());
    }
    Ok(Celsius { sensor: reading.sensor, celsius: round_to(celsius, 1) })
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::{Celsius, Reading, celsius};

    #[test]
    fn a_reading_is_converted() {
        let reading = Reading { sensor: "roof", fahrenheit: 70.2 };
        assert_eq!(celsius(reading).unwrap(), Celsius { sensor: "roof", celsius: 21.2 });
    }

    #[test]
    fn the_other_fields_are_dropped_and_impossible_readings_rejected() {
        let mut lane = testing::FieldsMap::<celsius>::open(json!({})).unwrap();
        let outcome = lane.run([
            r#"{"sensor":"roof","fahrenheit":212,"unit":"F"}"#,
            r#"{"sensor":"roof","fahrenheit":-999.9}"#,
            r#"{"sensor":"roof"}"#,
            r#"{"sensor":"caf\u00e9","fahrenheit":31.99}"#,
        ]);
        assert_eq!(outcome.texts(), [r#"{"sensor":"roof","celsius":100.0}"#, r#"{"sensor":"café","celsius":-0.0}"#]);
        assert_eq!(outcome.messages(), ["-573.28 °C is below absolute zero", r#"field "fahrenheit" is missing"#]);
    }
}
