//! `sensor-totals`: sums the readings of each sensor and gives the totals when the input ends. A hot reading goes to
//! the side output `alerts` at once, with all its fields. Shows a process by field: the records of each output have a
//! type of their own.
//!
//! `config = { above = 30.0 }`; key the readings by `sensor` before.

use sage_guest::fields::round_to;
use sage_guest::state::{Tables, Value};
use sage_guest::{Context, Describe, Error, Json, Port, Record};
use serde::{Deserialize, Serialize};

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Temperature in degrees Celsius above which a reading is an alert.
    above: f64,
}

/// A reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// The total of a sensor.
#[derive(Debug, Record)]
pub struct Total {
    /// Name of the sensor.
    pub sensor: String,
    /// Number of readings.
    pub readings: u64,
    /// Mean temperature in degrees Celsius, rounded to a hundredth.
    pub mean: f64,
    /// Highest temperature in degrees Celsius.
    pub highest: f64,
}

/// A hot reading, with the fields of the reading.
#[derive(Debug, Record)]
#[record(extends)]
pub struct Alert {
    /// Degrees above the limit, rounded to a tenth.
    pub excess: f64,
}

/// The sum of the readings of a key so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    sensor: String,
    readings: u64,
    celsius: f64,
    highest: f64,
}

/// Totals of sensors.
#[derive(Debug)]
pub struct Totals {
    sums: Value<Json<Sum>>,
    above: f64,
}

/// Gives the number, mean and highest of the readings of each key at the end, and hot readings on `alerts` at once.
#[sage_guest::process(config = Settings)]
impl Totals {
    fn open(context: &Context, tables: &mut Tables) -> Result<Self, Error> {
        let Settings { above } = context.config()?;
        Ok(Self { sums: tables.value("sums")?, above })
    }

    fn process(
        &mut self,
        reading: Reading<'_>,
        _totals: &mut Port<Total>,
        alerts: &mut Port<Alert>,
    ) -> Result<(), Error> {
        let Json(Sum { readings, celsius, highest, .. }) = self.sums.get()?.unwrap_or_default();
        let celsius = celsius + reading.celsius;
        if !celsius.is_finite() {
            return Err("the sum of the temperatures is no finite number".into());
        }
        let highest = if readings == 0 { reading.celsius } else { highest.max(reading.celsius) };
        self.sums.put(Json(Sum { sensor: reading.sensor.to_owned(), readings: readings + 1, celsius, highest }))?;
        if reading.celsius > self.above {
            alerts.emit(Alert { excess: round_to(reading.celsius - self.above, 1) })?;
        }
        Ok(())
    }

    fn end(&mut self, totals: &mut Port<Total>) -> Result<(), Error> {
        for entry in self.sums.entries() {
            let (key, Json(Sum { sensor, readings, celsius, highest })) = entry?;
            let mean = round_to(celsius / readings as f64, 2);
            totals.key_or_none(key.as_deref()).emit(Total { sensor, readings, mean, highest })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::Totals;

    fn reading(sensor: &str, celsius: f64) -> Record {
        Record::new(json!({ "sensor": sensor, "celsius": celsius, "unit": "C" }).to_string()).key(sensor)
    }

    #[test]
    fn totals_come_at_the_end_across_restarts_and_alerts_at_once_with_their_reading() {
        let mut lane = testing::FieldsProcess::<Totals>::open(json!({ "above": 30.0 })).unwrap();
        let outcome = lane.run([reading("roof", 31.25), reading("cellar", -3.0), reading("roof", 20.0)]);
        assert_eq!(outcome.texts(), [""; 0]);
        assert_eq!(outcome.on("alerts"), [r#"{"sensor":"roof","celsius":31.25,"unit":"C","excess":1.3}"#]);
        lane.restart().unwrap();
        lane.run([reading("cellar", -4.0)]);
        let expected = [
            r#"{"sensor":"cellar","readings":2,"mean":-3.5,"highest":-3.0}"#,
            r#"{"sensor":"roof","readings":2,"mean":25.63,"highest":31.25}"#,
        ];
        let last = lane.end();
        assert_eq!(last.texts(), expected);
        assert_eq!(last.keys(), ["cellar", "roof"]);
    }

    #[test]
    fn a_reading_that_leaves_no_finite_sum_is_rejected() {
        let mut lane = testing::FieldsProcess::<Totals>::open(json!({ "above": 30.0 })).unwrap();
        let readings = [f64::NAN, f64::INFINITY].map(|celsius| super::Reading { sensor: "roof", celsius });
        assert_eq!(lane.run_records(readings).messages(), ["the sum of the temperatures is no finite number"; 2]);
        assert_eq!(lane.end().texts(), [""; 0]);
    }
}
