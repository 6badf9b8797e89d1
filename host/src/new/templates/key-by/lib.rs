//! Keys readings by their station.

use sage_guest::Json;
use serde::Deserialize;

/// The input record. Fields that are not named here are ignored.
#[derive(Debug, Deserialize)]
pub struct Reading {
    station: String,
}

/// Returns the record's key. The record itself is passed on unchanged. An operator with `partition = "key"`
/// further down gets equal keys in one instance.
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
