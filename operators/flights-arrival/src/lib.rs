//! `flights-arrival`: the carrier and the arrival delay of a row of the flights table. Shows a map by field over texts:
//! the host reads two of the 19 columns, and the carrier travels on without a copy.

use sage_guest::{Error, Record};

/// The columns that are used; the table has more.
#[derive(Debug, Record)]
pub struct Row<'a> {
    /// Code of the carrier: two characters.
    pub carrier: &'a str,
    /// Arrival delay in minutes, negative if early; or `NA`.
    pub arr_delay: &'a str,
}

/// The arrival of a flight.
#[derive(Debug, PartialEq, Record)]
pub struct Arrival<'a> {
    /// Code of the carrier: two characters.
    pub carrier: &'a str,
    /// Arrival delay in minutes, negative if early; none if the flight did not arrive at its destination.
    pub arr_delay: Option<f64>,
}

/// Converts the arrival delay to a number, and its `NA` to no value.
#[sage_guest::map]
pub fn arrival(row: Row) -> Result<Arrival, Error> {
    let arr_delay = match row.arr_delay {
        "" | "NA" => None,
        text => match text.parse() {
            Ok(minutes) => Some(minutes),
            Err(_) => return Err(format!("arr_delay is no number: {text:?}").into()),
        },
    };
    Ok(Arrival { carrier: row.carrier, arr_delay })
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::arrival;

    #[test]
    fn a_delay_becomes_a_number_and_na_none() {
        let mut lane = testing::FieldsMap::<arrival>::open(json!({})).unwrap();
        let outcome = lane.run([
            r#"{"carrier":"UA","arr_delay":"-11","flight":"1545"}"#,
            r#"{"carrier":"EV","arr_delay":"NA"}"#,
            r#"{"carrier":"AA","arr_delay":"late"}"#,
        ]);
        assert_eq!(outcome.texts(), [r#"{"carrier":"UA","arr_delay":-11.0}"#, r#"{"carrier":"EV","arr_delay":null}"#]);
        assert_eq!(outcome.messages(), [r#"arr_delay is no number: "late""#]);
    }
}
