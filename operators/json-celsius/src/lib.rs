//! `json-celsius`: converts a reading from Fahrenheit to Celsius, and adds a correction from the pipeline file.
//! Shows a map with typed configuration: a wrong configuration stops the pipeline before it starts.
//!
//! `config = { offset = -0.5 }`

use std::borrow::Cow;

use sage_guest::{Describe, Error, Json};
use serde::{Deserialize, Serialize};

/// Settings from the pipeline file.
#[derive(Debug, Default, Deserialize, Describe)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Correction in degrees Celsius, added to each reading.
    pub offset: f64,
}

/// An input reading.
#[derive(Debug, Deserialize)]
pub struct Reading<'a> {
    /// Name of the sensor. Borrowed, unless the text has an escape.
    #[serde(borrow)]
    pub sensor: Cow<'a, str>,
    /// Temperature in degrees Fahrenheit.
    pub fahrenheit: f64,
}

/// An output reading.
#[derive(Debug, PartialEq, Serialize)]
pub struct Celsius<'a> {
    /// Name of the sensor.
    pub sensor: Cow<'a, str>,
    /// Temperature in degrees Celsius, rounded to a hundredth.
    pub celsius: f64,
}

/// Converts a reading. A reading below absolute zero is rejected.
#[sage_guest::map]
pub fn celsius<'a>(Json(reading): Json<Reading<'a>>, settings: &Settings) -> Result<Json<Celsius<'a>>, Error> {
    let celsius = (reading.fahrenheit - 32.0) / 1.8 + settings.offset;
    if celsius < -273.15 {
        return Err(format!("{celsius:.2} °C is below absolute zero").into());
    }
    Ok(Json(Celsius { sensor: reading.sensor, celsius: (celsius * 100.0).round() / 100.0 }))
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::celsius;

    #[test]
    fn readings_are_converted_and_corrected() {
        let mut lane = testing::Map::<celsius>::open(json!({"offset": 0.5})).unwrap();
        let outcome = lane.run([
            r#"{"sensor":"roof","fahrenheit":212}"#,
            r#"{"sensor":"roof","fahrenheit":-999.9}"#,
            r#"{"sensor":"roof"}"#,
            r#"{"sensor":"caf\u00e9 \"a\/b\"","fahrenheit":32}"#,
            r#"{"sensor":"hot","fahrenheit":1e308}"#,
        ]);
        assert_eq!(
            outcome.texts(),
            [r#"{"sensor":"roof","celsius":100.5}"#, r#"{"sensor":"café \"a/b\"","celsius":0.5}"#,]
        );
        assert_eq!(outcome.messages()[0], "-572.78 °C is below absolute zero");
        assert!(outcome.messages()[1].contains("missing field `fahrenheit`"));
        assert!(outcome.messages()[2].contains("inf is not a finite number"), "its hundredths are more than there are");
    }

    #[test]
    fn a_wrong_configuration_does_not_open() {
        let error = testing::Map::<celsius>::open(json!({"ofset": 1.0})).unwrap_err();
        assert!(error.contains("unknown field `ofset`, expected `offset`"), "{error}");
    }
}
