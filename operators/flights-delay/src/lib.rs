//! `flights-delay`: counts flights and averages their arrival delay, for each key, and emits the totals when
//! the input ends. Shows a process whose totals are in state, so that they survive a trap and a restart: `end`
//! iterates over the table, not over guest memory.

use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Emitter, Error, Json, Record};
use serde::{Deserialize, Serialize};

/// The part of a flight that this operator needs.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// Arrival delay in minutes; negative if early.
    pub arr_delay: f64,
}

/// The state of one carrier.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Total {
    flights: u64,
    minutes: f64,
}

/// The output for one carrier.
#[derive(Debug, Serialize)]
struct Line<'a> {
    carrier: &'a str,
    flights: u64,
    mean_arr_delay: f64,
}

/// Totals of each carrier.
#[derive(Debug)]
pub struct Delay {
    totals: Value<Json<Total>>,
}

/// Emits the number of flights and the mean arrival delay of each key at the end of input.
#[sage_guest::process]
impl Delay {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { totals: tables.value("totals")? })
    }

    fn process(&mut self, flight: Record<Json<Flight>>, _: &mut Emitter) -> Result<(), Error> {
        flight.key().ok_or("a flight without key: put a key_by before this operator")?;
        self.totals.update(|total| {
            total.flights += 1;
            total.minutes += flight.payload.arr_delay;
        })
    }

    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        for entry in self.totals.entries() {
            let (carrier, Json(Total { flights, minutes })) = entry?;
            let carrier = std::str::from_utf8(carrier.as_deref().unwrap_or_default())?;
            // Rounded to a hundredth of a minute: further digits depend on the order of the additions.
            let mean_arr_delay = (minutes / flights as f64 * 100.0).round() / 100.0;
            out.key(carrier).emit(Json(Line { carrier, flights, mean_arr_delay }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Delay;

    fn flight(carrier: &str, delay: &str) -> Record {
        Record::new(format!(r#"{{"arr_delay":{delay}}}"#)).key(carrier)
    }

    #[test]
    fn totals_are_told_at_the_end_whatever_happened_between() {
        let mut lane = testing::Process::<Delay>::open(json!({})).unwrap();
        let first = lane.run([flight("UA", "10"), flight("9E", "-1"), flight("UA", "null")]);
        assert_eq!(first.failures.len(), 1, "no arrival delay");
        assert!(first.outputs.is_empty());
        lane.restart().unwrap();
        lane.run([flight("UA", "5"), flight("UA", "5.01")]);
        assert_eq!(
            lane.end().texts(),
            [
                r#"{"carrier":"9E","flights":1,"mean_arr_delay":-1.0}"#,
                r#"{"carrier":"UA","flights":3,"mean_arr_delay":6.67}"#,
            ]
        );
    }
}
