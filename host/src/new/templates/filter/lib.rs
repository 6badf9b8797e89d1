//! Lets through the readings of at least a configured temperature.

use sage_guest::Json;
use serde::Deserialize;

/// The input record. Fields that are not named here are ignored: the record is passed on unchanged.
#[derive(Debug, Deserialize)]
pub struct Reading {
    fahrenheit: f64,
}

/// The operator's `config` in the pipeline file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    at_least: f64,
}

/// Returns whether the record is kept. A record that is not a reading is rejected.
#[sage_guest::filter]
pub fn warm(Json(reading): Json<Reading>, settings: &Settings) -> bool {
    reading.fahrenheit >= settings.at_least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_itself_stays() {
        let settings = Settings { at_least: 40.0 };
        for (fahrenheit, stays) in [(39.9, false), (40.0, true), (62.6, true)] {
            assert_eq!(
                warm(Json(Reading { fahrenheit }), &settings),
                stays,
                "{fahrenheit}"
            );
        }
    }
}
