//! `late`: sends flights that arrived late to a side output and the others on. A process with a named port: another operator
//! reads it as `input = "late.delayed"`.
//!
//! `config = { minutes = 60 }`

use sage_guest::{Context, Describe, Emitter, Error, Json, Record};
use serde::Deserialize;

/// What the pipeline file may say.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// From how many minutes on a flight is late.
    #[serde(default = "quarter_of_an_hour")]
    pub minutes: f64,
}

fn quarter_of_an_hour() -> f64 {
    15.0
}

/// What this operator has to know of a flight.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// Minutes; none if it never arrived.
    pub arr_delay: Option<f64>,
}

/// Tells late flights from the others.
#[derive(Debug)]
pub struct Late {
    settings: Settings,
}

/// Sends flights that arrived late to the port `delayed`, and the others on.
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
