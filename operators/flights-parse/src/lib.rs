//! `flights-parse`: turns a row of the flights table, which the CSV source emits as a JSON object of texts,
//! into a typed flight. Numbers become numbers, and the `NA` of a cancelled flight becomes `null`. Shows a map
//! from JSON to JSON that borrows from its input.

use std::borrow::Cow;

use sage_guest::{Error, Json};
use serde::{Deserialize, Serialize};

/// The columns that are used; the table has more.
#[derive(Debug, Deserialize)]
pub struct Row<'a> {
    /// Scheduled hour of departure, as RFC 3339 text.
    #[serde(borrow)]
    pub time_hour: Cow<'a, str>,
    /// Code of the carrier: two characters.
    #[serde(borrow)]
    pub carrier: Cow<'a, str>,
    /// Flight number.
    #[serde(borrow)]
    pub flight: Cow<'a, str>,
    /// Tail number of the aeroplane, or `NA`.
    #[serde(borrow)]
    pub tailnum: Cow<'a, str>,
    /// Code of the origin airport: three letters.
    #[serde(borrow)]
    pub origin: Cow<'a, str>,
    /// Code of the destination airport: three letters.
    #[serde(borrow)]
    pub dest: Cow<'a, str>,
    /// Departure delay in minutes, negative if early; or `NA`.
    #[serde(borrow)]
    pub dep_delay: Cow<'a, str>,
    /// Arrival delay in minutes, negative if early; or `NA`.
    #[serde(borrow)]
    pub arr_delay: Cow<'a, str>,
    /// Distance in miles.
    #[serde(borrow)]
    pub distance: Cow<'a, str>,
}

/// A flight.
#[derive(Debug, PartialEq, Serialize)]
pub struct Flight<'a> {
    /// Scheduled hour of departure, as RFC 3339 text.
    pub time_hour: Cow<'a, str>,
    /// Code of the carrier: two characters.
    pub carrier: Cow<'a, str>,
    /// Flight number.
    pub flight: u32,
    /// Tail number of the aeroplane, if known.
    pub tailnum: Option<Cow<'a, str>>,
    /// Code of the origin airport: three letters.
    pub origin: Cow<'a, str>,
    /// Code of the destination airport: three letters.
    pub dest: Cow<'a, str>,
    /// Departure delay in minutes, negative if early; `None` if the flight never departed.
    pub dep_delay: Option<f64>,
    /// Arrival delay in minutes, negative if early; `None` if the flight did not arrive at its destination.
    pub arr_delay: Option<f64>,
    /// Distance in miles.
    pub distance: f64,
}

/// Converts a row of texts into a typed flight.
#[sage_guest::map]
pub fn parse(Json(row): Json<Row>) -> Result<Json<Flight>, Error> {
    Ok(Json(Flight {
        flight: number("flight", &row.flight)?.ok_or("flight is NA")?,
        tailnum: known(&row.tailnum).is_some().then_some(row.tailnum),
        dep_delay: number("dep_delay", &row.dep_delay)?,
        arr_delay: number("arr_delay", &row.arr_delay)?,
        distance: number("distance", &row.distance)?.ok_or("distance is NA")?,
        time_hour: row.time_hour,
        carrier: row.carrier,
        origin: row.origin,
        dest: row.dest,
    }))
}

/// Returns the text, unless it stands for a missing value.
fn known(text: &str) -> Option<&str> {
    (text != "NA" && !text.is_empty()).then_some(text)
}

/// Returns the number in a column, if there is one.
fn number<T: std::str::FromStr>(column: &str, text: &str) -> Result<Option<T>, Error> {
    match known(text).map(str::parse) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(format!("{column} is no number: {text:?}").into()),
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::{Value, json};

    use super::parse;

    fn row(changes: Value) -> String {
        let mut row = json!({
            "year": "2013", "month": "1", "day": "1", "dep_time": "517", "sched_dep_time": "515", "dep_delay": "2",
            "arr_time": "830", "sched_arr_time": "819", "arr_delay": "11", "carrier": "UA", "flight": "1545",
            "tailnum": "N14228", "origin": "EWR", "dest": "IAH", "air_time": "227", "distance": "1400", "hour": "5",
            "minute": "15", "time_hour": "2013-01-01T10:00:00Z",
        });
        for (column, value) in changes.as_object().unwrap() {
            row[column] = value.clone();
        }
        row.to_string()
    }

    #[test]
    fn a_row_gets_its_types_and_na_becomes_null() {
        let mut lane = testing::Map::<parse>::open(json!({})).unwrap();
        let outcome = lane.run([row(json!({})), row(json!({"dep_delay": "NA", "arr_delay": "NA", "tailnum": "NA"}))]);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        let flown: Value = outcome.outputs[0].json().unwrap();
        assert_eq!(
            flown,
            json!({
                "time_hour": "2013-01-01T10:00:00Z", "carrier": "UA", "flight": 1545, "tailnum": "N14228",
                "origin": "EWR", "dest": "IAH", "dep_delay": 2.0, "arr_delay": 11.0, "distance": 1400.0,
            })
        );
        let cancelled: Value = outcome.outputs[1].json().unwrap();
        for column in ["dep_delay", "arr_delay", "tailnum"] {
            assert_eq!(cancelled[column], Value::Null, "{column}");
        }
    }

    #[test]
    fn a_row_that_makes_no_sense_is_rejected_with_the_reason() {
        let mut lane = testing::Map::<parse>::open(json!({})).unwrap();
        let outcome = lane.run([row(json!({"arr_delay": "late"})), row(json!({"flight": "NA"})), "{}".to_owned()]);
        let messages = outcome.messages();
        assert_eq!(messages[..2], [r#"arr_delay is no number: "late""#, "flight is NA"]);
        assert!(messages[2].contains("missing field `time_hour`"), "{}", messages[2]);
    }
}
