//! `flights-arrived`: keeps the flights that arrived. Shows a filter by field over a column with nulls.

use sage_guest::Record;

/// The field that decides.
#[derive(Debug, Record)]
pub struct Arrival {
    /// Arrival delay in minutes; none if the flight did not arrive at its destination.
    pub arr_delay: Option<f64>,
}

/// Keeps the flights that arrived.
#[sage_guest::filter]
pub fn arrived(arrival: Arrival) -> bool {
    arrival.arr_delay.is_some()
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::arrived;

    #[test]
    fn a_flight_without_an_arrival_delay_is_dropped() {
        let mut lane = testing::FieldsFilter::<arrived>::open(json!({})).unwrap();
        let flights = [r#"{"carrier":"UA","arr_delay":0.0}"#, r#"{"arr_delay":null}"#, r#"{"carrier":"AA"}"#];
        assert_eq!(lane.run(flights).texts(), flights[..1]);
    }
}
