//! `flights-mean`: counts flights and averages their arrival delay, for each carrier, and emits the totals when the
//! input ends. The same as `flights-delay`, by field: nothing is parsed, and nothing is printed before the sink.

use sage_guest::fields::round_to;
use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Error, Json, Port, Record};
use serde::{Deserialize, Serialize};

/// The part of a flight that this operator needs.
#[derive(Debug, Record)]
pub struct Flight {
    /// Arrival delay in minutes; negative if early.
    pub arr_delay: Option<f64>,
}

/// The state of one carrier.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Total {
    flights: u64,
    minutes: f64,
}

/// The output for one carrier.
#[derive(Debug, Record)]
pub struct Line {
    /// Code of the carrier.
    pub carrier: String,
    /// Number of flights that arrived.
    pub flights: u64,
    /// Mean arrival delay in minutes, rounded to a hundredth: further digits depend on the order of the additions.
    pub mean_arr_delay: f64,
}

/// Totals of each carrier.
#[derive(Debug)]
pub struct Mean {
    totals: Value<Json<Total>>,
}

/// Emits the number of flights and the mean arrival delay of each key at the end of input.
#[sage_guest::process]
impl Mean {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { totals: tables.value("totals")? })
    }

    fn process(&mut self, flight: Record<Flight>, _totals: &mut Port<Line>) -> Result<(), Error> {
        flight.key().ok_or("a flight without key: put a key_by before this operator")?;
        let minutes = flight.payload.arr_delay.ok_or("a flight that did not arrive has no arrival delay")?;
        self.totals.update(|total| {
            total.flights += 1;
            total.minutes += minutes;
        })
    }

    fn end(&mut self, totals: &mut Port<Line>) -> Result<(), Error> {
        for entry in self.totals.entries() {
            let (carrier, Json(Total { flights, minutes })) = entry?;
            let carrier = std::str::from_utf8(carrier.as_deref().unwrap_or_default())?.to_owned();
            let mean_arr_delay = round_to(minutes / flights as f64, 2);
            totals.key(carrier.as_str()).emit(Line { carrier: carrier.clone(), flights, mean_arr_delay })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Mean;

    fn flight(carrier: &str, delay: &str) -> Record {
        Record::new(format!(r#"{{"arr_delay":{delay}}}"#)).key(carrier)
    }

    #[test]
    fn totals_are_told_at_the_end_whatever_happened_between() {
        let mut lane = testing::FieldsProcess::<Mean>::open(json!({})).unwrap();
        let first = lane.run([flight("UA", "10"), flight("9E", "-1"), flight("UA", "null")]);
        assert_eq!(first.messages(), ["a flight that did not arrive has no arrival delay"]);
        assert!(first.outputs.is_empty());
        lane.restart().unwrap();
        lane.run([flight("UA", "5"), flight("UA", "5.01")]);
        let end = lane.end();
        assert_eq!(
            end.texts(),
            [
                r#"{"carrier":"9E","flights":1,"mean_arr_delay":-1.0}"#,
                r#"{"carrier":"UA","flights":3,"mean_arr_delay":6.67}"#,
            ]
        );
        assert_eq!(end.keys(), ["9E", "UA"]);
    }
}
