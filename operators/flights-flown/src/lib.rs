//! `flights-flown`: keeps the flights that arrived, and drops flights that were cancelled or diverted. Shows a
//! filter that reads one field of its JSON and skips the rest.

use sage_guest::Json;
use serde::Deserialize;

/// The part of a flight that this operator needs.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// Arrival delay in minutes; `None` if the flight did not arrive at its destination.
    pub arr_delay: Option<f64>,
}

/// Keeps the flights that arrived.
#[sage_guest::filter]
pub fn flown(flight: Json<Flight>) -> bool {
    flight.arr_delay.is_some()
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::flown;

    #[test]
    fn only_a_flight_with_an_arrival_delay_arrived() {
        let mut lane = testing::Filter::<flown>::open(json!({})).unwrap();
        let flights = [
            r#"{"carrier":"UA","arr_delay":11.0}"#,
            r#"{"carrier":"EV","arr_delay":null}"#,
            r#"{"carrier":"AA","arr_delay":-3}"#,
            r#"{"carrier":"US"}"#,
            "NA",
        ];
        let outcome = lane.run(flights);
        assert_eq!(outcome.texts(), [flights[0], flights[2]]);
        assert_eq!(outcome.failures.len(), 1);
        assert_eq!(outcome.failures[0].record, 4);
    }
}
