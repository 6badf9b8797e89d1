//! `peaks`: passes a reading that feels hotter than every earlier one of its key. Shows a process by field that sees
//! the whole batch: the temperatures that are felt are computed over whole columns, and then each record is processed
//! with its own state.

use sage_guest::fields::round_to;
use sage_guest::state::{Tables, Value};
use sage_guest::{Batch, Context, Error, Port, Record};

/// A reading.
#[derive(Debug, Record)]
pub struct Reading {
    /// Temperature in degrees Celsius.
    pub celsius: f64,
    /// Relative humidity in percent.
    pub humidity: f64,
}

/// A reading that feels hotter than the earlier ones, with the fields of the reading.
#[derive(Debug, Record)]
#[record(extends)]
pub struct Peak {
    /// The temperature that is felt, in degrees Celsius, rounded to a tenth.
    pub felt: f64,
    /// The highest temperature that was felt before.
    pub before: Option<f64>,
}

/// The highest temperature of each key.
#[derive(Debug)]
pub struct Peaks {
    highest: Value<f64>,
}

/// Passes a reading that feels hotter than every earlier one of its key.
#[sage_guest::process]
impl Peaks {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { highest: tables.value("highest")? })
    }

    fn process_batch(&mut self, readings: Batch<Reading>, peaks: &mut Port<Peak>) -> Result<(), Error> {
        let (celsius, humidity) = readings.columns();
        let columns = celsius.as_slice().iter().zip(humidity.as_slice());
        let felt: Vec<f64> = columns.map(|(celsius, humidity)| round_to(celsius + humidity / 20.0, 1)).collect();
        readings.each(peaks, felt, |_, felt, peaks| {
            let before = self.highest.get()?;
            if !felt.is_finite() {
                return Err("a temperature that is no finite number".into());
            }
            if before.is_none_or(|before| felt > before) {
                self.highest.put(felt)?;
                peaks.emit(Peak { felt, before })?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::{self, Record};
    use serde_json::json;

    use super::{Peaks, Reading};

    fn reading(sensor: &str, celsius: f64, humidity: f64) -> Record {
        let fields = json!({ "sensor": sensor, "celsius": celsius, "humidity": humidity });
        Record::new(fields.to_string()).key(sensor)
    }

    #[test]
    fn a_reading_passes_if_it_feels_hotter_than_the_earlier_ones_of_its_key() {
        let mut lane = testing::FieldsProcess::<Peaks>::open(json!({})).unwrap();
        let first = lane.run([reading("roof", 20.0, 40.0), reading("cellar", 9.0, 0.0), reading("roof", 19.0, 80.0)]);
        assert_eq!(
            first.texts(),
            [
                r#"{"sensor":"roof","celsius":20.0,"humidity":40.0,"felt":22.0,"before":null}"#,
                r#"{"sensor":"cellar","celsius":9.0,"humidity":0.0,"felt":9.0,"before":null}"#,
                r#"{"sensor":"roof","celsius":19.0,"humidity":80.0,"felt":23.0,"before":22.0}"#,
            ]
        );
        lane.restart().unwrap();
        assert_eq!(lane.run([reading("roof", 22.0, 20.0)]).texts(), [""; 0]);
    }

    #[test]
    fn a_reading_that_is_no_number_is_rejected_alone() {
        let mut lane = testing::FieldsProcess::<Peaks>::open(json!({})).unwrap();
        let readings = [f64::NAN, 20.0].map(|celsius| Reading { celsius, humidity: 0.0 });
        let outcome = lane.run_records(readings);
        assert_eq!(outcome.messages(), ["a temperature that is no finite number"]);
        assert_eq!(outcome.texts().len(), 1);
    }
}
