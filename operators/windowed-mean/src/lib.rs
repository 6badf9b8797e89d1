//! `windowed-mean`: the number and the mean of the readings of each key and window. Shows a window operator by field: the
//! host keeps the windows, and the operator adds readings to a count and a sum.

use sage_guest::fields::{Timestamp, round_to};
use sage_guest::{Error, Port, Record, Window};

/// An input reading.
#[derive(Debug, Record)]
pub struct Reading {
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// The result of a window.
#[derive(Debug, PartialEq, Record)]
pub struct Mean<'a> {
    /// The key of the readings.
    pub sensor: &'a str,
    /// First moment of the window.
    pub start: Timestamp,
    /// Number of readings.
    pub readings: u64,
    /// Their mean, rounded to a thousandth.
    pub celsius: f64,
    /// How often the window was finished before: more than 0 after late readings.
    pub corrected: u32,
}

/// The operator.
#[derive(Debug, Default)]
pub struct WindowedMean;

/// The number and the mean of the readings of each key and window.
#[sage_guest::window]
impl WindowedMean {
    fn add(&mut self, sum: &mut (u64, f64), reading: Reading) {
        *sum = (sum.0 + 1, sum.1 + reading.celsius);
    }

    fn merge(&mut self, sum: &mut (u64, f64), later: (u64, f64)) {
        *sum = (sum.0 + later.0, sum.1 + later.1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean of so many readings is rounded anyway")]
    fn finish(&mut self, window: &Window, sum: (u64, f64), out: &mut Port<Mean>) -> Result<(), Error> {
        let (readings, sum) = sum;
        out.emit(Mean {
            sensor: window.key_as()?,
            start: Timestamp(window.start()),
            readings,
            celsius: round_to(sum / readings as f64, 3),
            corrected: window.emissions(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sage_guest::testing::{self, Record, Windows};
    use serde_json::json;

    use super::WindowedMean;

    const SECOND: i64 = 1_000_000;

    fn reading(second: i64, sensor: &str, celsius: f64) -> Record {
        Record::new(json!({ "celsius": celsius }).to_string()).key(sensor).timestamp(second * SECOND)
    }

    fn lane(windows: Windows) -> testing::FieldsWindow<WindowedMean> {
        testing::FieldsWindow::open(json!({}), windows).unwrap()
    }

    #[test]
    fn each_minute_of_a_sensor_has_its_mean_when_the_watermark_passes_it() {
        let mut lane = lane(Windows::tumbling(Duration::from_secs(60)));
        let outcome =
            lane.run([reading(0, "a", 1.0), reading(59, "a", 2.0), reading(60, "a", 9.0), reading(-1, "b", 4.0)]);
        assert!(outcome.failures.is_empty());
        assert_eq!(
            lane.advance_to(59 * SECOND).texts(),
            [r#"{"sensor":"b","start":"1969-12-31T23:59:00Z","readings":1,"celsius":4.0,"corrected":0}"#]
        );
        lane.restart().unwrap();
        let minute = lane.advance_to(60 * SECOND);
        assert_eq!(
            minute.texts(),
            [r#"{"sensor":"a","start":"1970-01-01T00:00:00Z","readings":2,"celsius":1.5,"corrected":0}"#]
        );
        assert_eq!((minute.keys(), minute.outputs[0].timestamp), (vec!["a".to_owned()], Some(60 * SECOND - 1)));
        assert_eq!((lane.end().texts().len(), lane.windows()), (1, 0));
    }

    #[test]
    fn a_late_reading_corrects_its_window_while_it_is_allowed_and_is_late_after_that() {
        let mut lane = lane(Windows::tumbling(Duration::from_secs(60)).allowed(Duration::from_secs(30)));
        lane.run([reading(0, "a", 1.0)]);
        assert_eq!(lane.advance_to(60 * SECOND).texts().len(), 1);
        lane.run([reading(1, "a", 3.0)]);
        assert_eq!(
            lane.advance_to(61 * SECOND).texts(),
            [r#"{"sensor":"a","start":"1970-01-01T00:00:00Z","readings":2,"celsius":2.0,"corrected":1}"#]
        );
        assert_eq!((lane.windows(), lane.late().len()), (1, 0));
        lane.advance_to(90 * SECOND);
        assert_eq!(lane.windows(), 0);
        lane.run([reading(2, "a", 5.0)]);
        assert_eq!(lane.late(), [reading(2, "a", 5.0)]);
        assert_eq!(lane.end().texts(), [""; 0]);
    }

    #[test]
    fn readings_are_in_all_of_their_sliding_windows_and_sessions_are_merged() {
        let mut sliding = lane(Windows::sliding(Duration::from_secs(60), Duration::from_secs(30)));
        sliding.run([reading(45, "a", 2.0), reading(70, "a", 4.0)]);
        let means: Vec<serde_json::Value> = sliding.end().outputs.iter().map(|output| output.json().unwrap()).collect();
        let found: Vec<(u64, f64)> =
            means.iter().map(|mean| (mean["readings"].as_u64().unwrap(), mean["celsius"].as_f64().unwrap())).collect();
        assert_eq!(found, [(1, 2.0), (2, 3.0), (1, 4.0)]);

        let mut sessions = lane(Windows::session(Duration::from_secs(10)));
        sessions.run([reading(0, "a", 1.0), reading(16, "a", 2.0), reading(40, "a", 7.0)]);
        assert_eq!(sessions.windows(), 3);
        sessions.run([reading(8, "a", 6.0)]);
        assert_eq!(sessions.windows(), 2);
        assert_eq!(
            sessions.end().texts(),
            [
                r#"{"sensor":"a","start":"1970-01-01T00:00:00Z","readings":3,"celsius":3.0,"corrected":0}"#,
                r#"{"sensor":"a","start":"1970-01-01T00:00:40Z","readings":1,"celsius":7.0,"corrected":0}"#
            ]
        );
    }

    #[test]
    fn a_reading_without_its_field_is_rejected_and_the_others_are_counted() {
        let mut lane = lane(Windows::tumbling(Duration::from_secs(60)));
        let outcome = lane.run([Record::new("{}").key("a").timestamp(0), reading(1, "a", 2.0)]);
        assert_eq!(outcome.messages(), [r#"field "celsius" is missing"#]);
        assert_eq!(lane.end().texts().len(), 1);
    }
}
