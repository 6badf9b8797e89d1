//! Turns readings in Fahrenheit into readings in Celsius.

use sage_guest::{Error, Json};
use serde::{Deserialize, Serialize};

/// What comes in.
#[derive(Debug, Deserialize)]
pub struct Reading {
    station: String,
    fahrenheit: f64,
}

/// What goes out.
#[derive(Debug, PartialEq, Serialize)]
pub struct Converted {
    station: String,
    celsius: f64,
}

/// One record in, one record out. An error rejects that one record; `on_error` in the pipeline file says what
/// becomes of it.
#[sage_guest::map]
pub fn to_celsius(Json(reading): Json<Reading>) -> Result<Json<Converted>, Error> {
    if reading.fahrenheit < -459.67 {
        return Err(Error::new(format_args!("{} °F is colder than anything", reading.fahrenheit)));
    }
    let celsius = ((reading.fahrenheit - 32.0) / 1.8 * 10.0).round() / 10.0;
    Ok(Json(Converted { station: reading.station, celsius }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(fahrenheit: f64) -> Json<Reading> {
        Json(Reading { station: "KJFK".to_owned(), fahrenheit })
    }

    #[test]
    fn water_freezes_at_zero() {
        let Json(converted) = to_celsius(reading(32.0)).unwrap();
        assert_eq!(converted, Converted { station: "KJFK".to_owned(), celsius: 0.0 });
    }

    #[test]
    fn an_impossible_reading_is_rejected() {
        let error = to_celsius(reading(-500.0)).unwrap_err();
        assert_eq!(error.message(), "-500 °F is colder than anything");
    }
}
