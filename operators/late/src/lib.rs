//! `late`: sends flights that arrived late to a side output, and all other flights to the main output. Shows a
//! process with a named port: another operator reads it as `input = "late.delayed"`.
//!
//! `config = { minutes = 60 }`

use sage_guest::{Context, Describe, Emitter, Error, Json, Record};
use serde::Deserialize;

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Arrival delay in minutes from which a flight is late. The default is 15.
    #[serde(default = "quarter_of_an_hour")]
    pub minutes: f64,
}

fn quarter_of_an_hour() -> f64 {
    15.0
}

/// The part of a flight that this operator needs.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// Arrival delay in minutes; `None` if the flight never arrived.
    pub arr_delay: Option<f64>,
}

/// The operator, with its settings.
#[derive(Debug)]
pub struct Late {
    settings: Settings,
}

/// Sends flights that arrived late to the port `delayed`, and all other flights to the main output.
#[sage_guest::process(ports = ["delayed"], config = Settings, stateless)]
impl Late {
    fn open(context: &Context) -> Result<Self, Error> {
        let settings: Settings = context.config()?;
        if !settings.minutes.is_finite() {
            return Err("minutes must be a number".into());
        }
        Ok(Self { settings })
    }

    fn process(&mut self, record: Record<&[u8]>, out: &mut Emitter) -> Result<(), Error> {
        let Json(flight): Json<Flight> = sage_guest::FromPayload::from_payload(record.payload)?;
        match flight.arr_delay {
            Some(delay) if delay >= self.settings.minutes => out.to("delayed").emit(record.payload),
            _ => out.emit(record.payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::Late;

    #[test]
    fn late_flights_leave_by_the_side() {
        let mut lane = testing::Process::<Late>::open(json!({"minutes": 60})).unwrap();
        let flights = [r#"{"arr_delay":60}"#, r#"{"arr_delay":59.9}"#, r#"{"arr_delay":null}"#, r#"{"arr_delay":200}"#];
        let outcome = lane.run(flights);
        assert_eq!(outcome.texts(), [flights[1], flights[2]]);
        assert_eq!(outcome.on("delayed"), [flights[0], flights[3]]);
    }
}
