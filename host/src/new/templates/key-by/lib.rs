//! Keys readings by their station.

use sage_guest::Json;
use serde::Deserialize;

/// What comes in. Fields that are not named here are left alone.
#[derive(Debug, Deserialize)]
pub struct Reading {
    station: String,
}

/// The record's key. The record itself goes on as it came; `partition = "key"` further down brings equal keys together.
#[sage_guest::key_by]
pub fn station(Json(reading): Json<Reading>) -> String {
    reading.station
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_station_is_the_key() {
        assert_eq!(
            station(Json(Reading {
                station: "KLGA".to_owned()
            })),
            "KLGA"
        );
    }
}
