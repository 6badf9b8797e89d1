//! Turns readings in Fahrenheit into readings in Celsius.

use sage_guest::{Error, Json};
use serde::{Deserialize, Serialize};

/// The input record.
#[derive(Debug, Deserialize)]
pub struct Reading {
    station: String,
    fahrenheit: f64,
}

/// The output record.
#[derive(Debug, PartialEq, Serialize)]
pub struct Converted {
    station: String,
    celsius: f64,
}

/// Turns one record into one record. An error rejects this record only; `on_error` in the pipeline file
/// decides how rejected records are handled.
#[sage_guest::map]
pub fn to_celsius(Json(reading): Json<Reading>) -> Result<Json<Converted>, Error> {
    if reading.fahrenheit < -459.67 {
        return Err(Error::new(format_args!(
            "{} °F is colder than anything",
            reading.fahrenheit
        )));
    }
    let celsius = ((reading.fahrenheit - 32.0) / 1.8 * 10.0).round() / 10.0;
    Ok(Json(Converted {
        station: reading.station,
        celsius,
    }))
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::*;

    fn reading(fahrenheit: f64) -> Json<Reading> {
        Json(Reading {
            station: "KJFK".to_owned(),
            fahrenheit,
        })
    }

    #[test]
    fn water_freezes_at_zero() {
        let Json(converted) = to_celsius(reading(32.0)).unwrap();
        assert_eq!(
            converted,
            Converted {
                station: "KJFK".to_owned(),
                celsius: 0.0
            }
        );
    }

    #[test]
    fn a_record_that_makes_no_sense_is_rejected_and_the_others_go_on() {
        let mut lane = testing::Map::<to_celsius>::open(json!({})).unwrap();
        let outcome = lane.run([
            r#"{"station":"KJFK","fahrenheit":50}"#,
            r#"{"station":"KLGA","fahrenheit":-500}"#,
            "not a reading",
        ]);
        assert_eq!(outcome.texts(), [r#"{"station":"KJFK","celsius":10.0}"#]);
        assert_eq!(outcome.failures.len(), 2);
        assert_eq!(
            outcome.failures[0].message,
            "-500 °F is colder than anything"
        );
    }
}
