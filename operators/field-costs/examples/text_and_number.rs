//! A map that passes a text on and computes a number, without rounding.

use sage_guest::Record;

/// An input reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Fahrenheit.
    pub fahrenheit: f64,
}

/// An output reading.
#[derive(Debug, Record)]
pub struct Celsius<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// Converts a reading.
#[sage_guest::map]
pub fn text_and_number(reading: Reading) -> Celsius {
    Celsius { sensor: reading.sensor, celsius: (reading.fahrenheit - 32.0) / 1.8 }
}

#[cfg(test)]
#[test]
fn a_reading_is_converted() {
    let mut lane = sage_guest::testing::FieldsMap::<text_and_number>::open(serde_json::json!({})).unwrap();
    let outcome = lane.run([r#"{"sensor":"roof","fahrenheit":50}"#]);
    assert_eq!(outcome.texts(), [r#"{"sensor":"roof","celsius":10.0}"#]);
}
