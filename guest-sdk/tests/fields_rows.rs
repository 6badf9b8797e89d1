//! Processes, sources and sinks whose records are by field.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use sage_guest::state::{Tables, Value};
use sage_guest::testing::Record as Input;
use sage_guest::{Context, Describe, Error, Json, Port, Progress, Record, testing};
use serde::Deserialize;
use serde_json::json;

#[derive(Record)]
struct Reading<'a> {
    sensor: &'a str,
    celsius: f64,
}

#[derive(Record)]
struct Total<'a> {
    sensor: &'a str,
    sum: f64,
    readings: u32,
}

/// An alert.
#[derive(Record)]
#[record(extends)]
struct Alert {
    above: Option<f64>,
}

#[derive(Deserialize, Describe)]
struct Settings {
    limit: f64,
}

struct Totals {
    sums: Value<Json<(f64, u32)>>,
    limit: f64,
}

/// Sums readings.
#[sage_guest::process(config = Settings)]
impl Totals {
    fn open(context: &Context, tables: &mut Tables) -> Result<Self, Error> {
        let Settings { limit } = context.config()?;
        Ok(Self { sums: tables.value("sums")?, limit })
    }

    fn process(
        &mut self,
        reading: Record<Reading>,
        _out: &mut Port<Total>,
        too_hot: &mut Port<Alert>,
    ) -> Result<(), Error> {
        let Reading { celsius, sensor } = reading.payload;
        self.sums.update(|Json((sum, readings))| {
            *sum += celsius;
            *readings += 1;
        })?;
        if celsius > self.limit {
            too_hot.emit(Alert { above: Some(celsius - self.limit) })?;
            too_hot.key("twice").timestamp(7).header("a", b"b").emit(Alert { above: None })?;
        }
        if celsius < -273.15 {
            return Err(Error::new(format_args!("{sensor} is below absolute zero")));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Port<Total>) -> Result<(), Error> {
        for entry in self.sums.entries() {
            let (key, Json((sum, readings))) = entry?;
            let sensor = key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            out.key_or_none(key.as_deref()).emit(Total { sensor: &sensor, sum, readings })?;
        }
        Ok(())
    }
}

fn reading(sensor: &str, celsius: f64) -> Input {
    Input::new(json!({ "more": [1], "sensor": sensor, "celsius": celsius }).to_string()).key(sensor)
}

#[test]
fn the_description_has_the_fields_of_each_output() {
    let description = testing::description::<Totals>();
    let names = |fields: &serde_json::Value| -> Vec<String> {
        fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&description["reads"]), ["sensor", "celsius"]);
    assert_eq!(
        (names(&description["gives"]), &description["rest"]),
        (names(&json!([{"name":"sensor"},{"name":"sum"},{"name":"readings"}])), &json!("drop"))
    );
    let above = json!({ "name": "above", "type": "f64", "nullable": true, "docs": "" });
    assert_eq!(description["ports"], json!([{ "name": "too-hot", "gives": [above], "rest": "keep" }]));
    assert_eq!((&description["state"], &description["docs"]), (&json!("keyed"), &json!("Sums readings.")));
    let sink = testing::description::<Log>();
    assert_eq!((names(&sink["reads"]).len(), &sink["gives"], &sink["rest"]), (2, &json!([]), &json!("drop")));
    let source = testing::description::<Made>();
    assert_eq!((&source["reads"], names(&source["gives"])), (&json!([]), vec!["n".to_owned(), "word".to_owned()]));
}

#[test]
fn state_belongs_to_the_key_and_a_rejected_record_leaves_neither_output_nor_state() {
    let mut lane = testing::FieldsProcess::<Totals>::open(json!({ "limit": 30 })).unwrap();
    let outcome = lane.run([
        reading("a", 1.0),
        reading("b", 31.5),
        reading("a", -300.0),
        Input::new("{\"sensor\":\"b\"}").key("b"),
        reading("a", 2.5),
    ]);
    assert_eq!(
        outcome.on("too-hot"),
        [
            r#"{"more":[1],"sensor":"b","celsius":31.5,"above":1.5}"#,
            r#"{"more":[1],"sensor":"b","celsius":31.5,"above":null}"#
        ]
    );
    let keys: Vec<_> = outcome.outputs.iter().map(|output| (output.key.clone().unwrap(), output.timestamp)).collect();
    assert_eq!(keys, [(b"b".to_vec(), None), (b"twice".to_vec(), Some(7))]);
    assert_eq!(outcome.outputs[1].parent, Some(1));
    let failures: Vec<_> = outcome.failures.iter().map(|failure| (failure.record, failure.message.as_str())).collect();
    assert_eq!(failures, [(2, "a is below absolute zero"), (3, r#"field "celsius" is missing"#)]);
    assert_eq!(lane.value::<Json<(f64, u32)>>("sums", "a"), Some(Json((3.5, 2))));
    lane.restart().unwrap();
    lane.run([reading("c", 0.0)]);
    let last = lane.end();
    assert_eq!(
        last.texts(),
        [
            r#"{"sensor":"a","sum":3.5,"readings":2}"#,
            r#"{"sensor":"b","sum":31.5,"readings":1}"#,
            r#"{"sensor":"c","sum":0.0,"readings":1}"#
        ]
    );
    assert_eq!(last.keys(), ["a", "b", "c"]);
    assert_eq!(last.outputs[0].parent, None);
}

/// Passes on what it reads, in any number of batches.
#[sage_guest::process]
fn pass(reading: Reading, out: &mut Port<Reading>, odd: &mut Port<Reading>, settings: &Settings) -> Result<(), Error> {
    if reading.celsius < settings.limit {
        odd.emit(Reading { sensor: "odd", celsius: 0.0 })?;
        return Err("cold".into());
    }
    if reading.celsius % 2.0 == 1.0 { odd.key(reading.celsius as u64).emit(reading) } else { out.emit(reading) }
}

#[test]
fn many_records_go_out_in_order_and_what_is_rejected_is_taken_back() {
    let mut lane = testing::FieldsProcess::<pass>::open(json!({ "limit": 0.0 })).unwrap();
    for rows in [0, 1, 31, 32, 33, 64, 5000] {
        let value = |row: usize| if row % 7 == 3 { -1.0 } else { row as f64 };
        let sensor = |row: usize| "s".repeat(row % 50);
        let records: Vec<String> =
            (0..rows).map(|row| json!({ "sensor": sensor(row), "celsius": value(row) }).to_string()).collect();
        let outcome = lane.run(&records);
        let expected = |odd: bool| -> Vec<String> {
            (0..rows).filter(|row| row % 7 != 3 && (row % 2 == 1) == odd).map(|row| records[row].clone()).collect()
        };
        assert_eq!(outcome.texts(), expected(false), "{rows}");
        assert_eq!(outcome.on("odd"), expected(true), "{rows}");
        assert_eq!(outcome.failures.len(), (0..rows).filter(|row| row % 7 == 3).count());
        let parents =
            outcome.outputs.iter().filter(|output| output.port.is_empty()).map(|output| output.parent.unwrap());
        assert!(parents.eq((0..rows).filter(|row| row % 7 != 3 && row % 2 == 0)), "{rows}");
    }
    let records = [Reading { sensor: "x", celsius: 4.0 }];
    assert_eq!(lane.run_records(records).texts(), [r#"{"sensor":"x","celsius":4.0}"#]);
}

#[test]
fn headers_times_and_keys_of_some_records_make_batches_of_their_own() {
    #[derive(Default)]
    struct Dress;

    #[sage_guest::process(stateless)]
    impl Dress {
        fn process(&mut self, reading: Record<Reading>, out: &mut Port<Reading>) -> Result<(), Error> {
            let row = reading.payload.celsius as i64;
            assert_eq!(reading.header("h"), (row % 2 == 0).then_some(&b"v"[..]));
            match row % 4 {
                0 => out.emit(reading.payload),
                1 => out.key("k").emit(reading.payload),
                2 => out.timestamp(row).emit(reading.payload),
                _ => out.key(row).timestamp(row).emit(reading.payload),
            }
        }
    }

    let mut lane = testing::FieldsProcess::<Dress>::open(json!({})).unwrap();
    let record = |row: i64| {
        let record = Input::new(json!({ "sensor": "s", "celsius": row }).to_string());
        if row % 2 == 0 { record.header("h", "v") } else { record }
    };
    let outcome = lane.run((0..40).map(record));
    assert_eq!(outcome.failures, []);
    for (row, output) in outcome.outputs.iter().enumerate() {
        let key = [None, Some("k".to_owned()), None, Some(row.to_string())][row % 4].clone();
        let time = [None, None, Some(row as i64), Some(row as i64)][row % 4];
        assert_eq!((output.key.clone(), output.timestamp), (key.map(String::into_bytes), time), "{row}");
        assert_eq!(output.parent, Some(row));
    }
}

#[derive(Record)]
struct Number<'a> {
    n: u64,
    word: Option<&'a str>,
}

struct Made {
    next: u64,
    count: u64,
}

/// Makes numbers.
#[sage_guest::source]
impl Made {
    fn open(_: &Context) -> Self {
        Self { next: 0, count: 10 }
    }

    fn next(&mut self, out: &mut Port<Number>, every_fourth: &mut Port<Number>) -> Result<Progress, Error> {
        let word = format!("r{}", self.next);
        match self.next {
            n if n == self.count => return Ok(Progress::End),
            6 => {
                out.emit(Number { n: 99, word: None })?;
                return Err("six is not for me".into());
            }
            n if n % 4 == 0 => every_fourth.emit(Number { n, word: None })?,
            n => out.timestamp(n as i64).emit(Number { n, word: Some(&word) })?,
        }
        self.next += 1;
        Ok(if self.next == 4 { Progress::Idle(Duration::from_millis(1)) } else { Progress::More })
    }

    fn position(&self) -> u64 {
        self.next
    }

    fn seek(&mut self, position: u64) {
        self.next = position;
    }
}

#[test]
fn a_source_makes_records_until_the_host_has_enough_and_goes_on_from_a_position() {
    let mut lane = testing::FieldsSource::<Made>::open(json!({})).unwrap();
    let (outcome, progress) = lane.next(2).unwrap();
    assert_eq!((outcome.on("every-fourth").len(), outcome.texts().len(), progress), (1, 1, Progress::More));
    assert_eq!((outcome.texts()[0].as_str(), outcome.outputs[0].timestamp), (r#"{"n":1,"word":"r1"}"#, Some(1)));
    let position = lane.position();
    assert_eq!(position, b"2");
    let (outcome, progress) = lane.next(100).unwrap();
    assert_eq!((outcome.texts().len(), progress), (2, Progress::Idle(Duration::from_millis(1))));
    assert_eq!(lane.next(100).unwrap_err(), "six is not for me");
    lane.restart().unwrap();
    lane.seek(b"7").unwrap();
    let (outcome, progress) = lane.next(100).unwrap();
    assert_eq!(outcome.texts(), [r#"{"n":7,"word":"r7"}"#, r#"{"n":9,"word":"r9"}"#]);
    assert_eq!((outcome.on("every-fourth"), progress), (vec![r#"{"n":8,"word":null}"#.to_owned()], Progress::End));
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
}

/// Logs readings.
#[sage_guest::sink]
impl Log {
    fn write(&mut self, reading: Record<Reading>) -> Result<(), Error> {
        if reading.payload.celsius < -273.15 {
            return Err("below absolute zero".into());
        }
        let key = reading.key().map(String::from_utf8_lossy);
        self.lines.push(format!("{} {} {key:?}", reading.payload.sensor, reading.payload.celsius));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        sage_guest::log::info!("{}", self.lines.drain(..).collect::<Vec<_>>().join(", "));
        Ok(())
    }
}

#[sage_guest::sink]
fn refuse(reading: Reading) -> Result<(), Error> {
    Err(Error::new(reading.sensor))
}

#[test]
fn a_sink_reads_fields_and_rejects_records() {
    let mut lane = testing::FieldsSink::<Log>::open(json!({})).unwrap();
    let outcome = lane.run([reading("a", 1.0), reading("b", -300.0), reading("c", 2.5)]);
    assert_eq!((outcome.outputs.len(), outcome.failures[0].record), (0, 1));
    lane.flush().unwrap();
    assert_eq!(lane.logs()[0].1, "a 1 Some(\"a\"), c 2.5 Some(\"c\")");
    let mut lane = testing::FieldsSink::<refuse>::open(json!({})).unwrap();
    let outcome = lane.run_records([Reading { sensor: "x", celsius: 0.0 }, Reading { sensor: "y", celsius: 0.0 }]);
    assert_eq!(outcome.messages(), ["x", "y"]);
    assert_eq!(lane.run(["{}"]).messages(), [r#"field "sensor" is missing"#]);
}
