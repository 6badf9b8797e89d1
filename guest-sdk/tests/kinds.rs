//! Each kind at the boundary: its answers, its rejections, and that a rejected record leaves nothing behind.
#![allow(missing_docs)]

use std::borrow::Cow;
use std::time::Duration;

use sage_guest::testing::{self, Record};
use sage_guest::{Context, Emitter, Error, Json, Progress, log, metrics};
use serde_json::json;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    factor: i64,
}

#[sage_guest::map]
fn scaled(number: i64, settings: &Settings) -> Result<i64, Error> {
    number.checked_mul(settings.factor).ok_or_else(|| "too large".into())
}

#[test]
fn a_map_rejects_what_it_cannot_read_and_what_it_refuses_and_answers_the_rest() {
    let mut lane = testing::Map::<scaled>::open(json!({"factor": 3})).unwrap();
    let outcome = lane.run(["1", "", " 2 ", "9223372036854775807", "1.5", "-4"]);
    assert_eq!(outcome.texts(), ["3", "6", "-12"]);
    let parents: Vec<_> = outcome.outputs.iter().map(|output| output.parent).collect();
    assert_eq!(parents, [Some(0), Some(2), Some(5)]);
    let failures: Vec<_> = outcome.failures.iter().map(|failure| (failure.record, failure.message.as_str())).collect();
    assert_eq!(
        failures,
        [
            (1, r#"payload is not a whole number of 64 bits (i64): """#),
            (3, "too large"),
            (4, r#"payload is not a whole number of 64 bits (i64): "1.5""#),
        ]
    );
    assert!(lane.run(Vec::<Record>::new()).outputs.is_empty(), "an empty batch");
}

#[test]
fn a_wrong_configuration_fails_open_with_the_operator_and_the_place() {
    for (config, expected) in [
        (json!({}), "missing field `factor`"),
        (json!({"factor": "3"}), "invalid type: string \"3\", expected i64"),
        (json!({"factor": 3, "fctor": 4}), "unknown field `fctor`"),
    ] {
        let error = testing::Map::<scaled>::open(config).unwrap_err();
        assert!(error.starts_with("config of operator \"operator\": "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

struct Prefix(String);

#[sage_guest::map]
impl Prefix {
    fn open(context: &Context) -> Result<Self, Error> {
        log::info!("opened on {}/{}", context.instance, context.parallelism);
        Ok(Self(format!("{}:", context.instance)))
    }

    fn map(&mut self, line: &str) -> String {
        metrics::counter("lines", 1);
        metrics::gauge("length", line.len() as f64);
        metrics::histogram("lengths", line.len() as f64);
        self.0.clone() + line
    }

    fn close(self) {
        log::warn!("closed");
    }
}

#[test]
fn a_struct_has_a_life_and_talks() {
    let context = Context { instance: 2, parallelism: 4, ..Context::default() };
    let mut lane = testing::Map::<Prefix>::open_as(context).unwrap();
    assert_eq!(lane.run(["a", "bcd"]).texts(), ["2:a", "2:bcd"]);
    lane.run(["e"]);
    assert_eq!(lane.logs(), [(log::Level::Info, "opened on 2/4".to_owned())]);
    assert_eq!(lane.counter("lines"), 3);
    assert_eq!(lane.gauge("length"), Some(1.0));
    assert_eq!(lane.histogram("lengths"), [1.0, 3.0, 1.0]);
}

#[sage_guest::filter]
fn third(number: u32) -> Result<bool, Error> {
    if number == 13 {
        return Err("unlucky".into());
    }
    Ok(number.is_multiple_of(3))
}

#[test]
fn a_filter_keeps_the_right_records_at_every_length_of_a_batch() {
    let mut lane = testing::Filter::<third>::open(json!({})).unwrap();
    for length in [0_u32, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000] {
        let outcome = lane.run((0..length).map(|number| number.to_string()));
        let expected: Vec<String> =
            (0..length).filter(|number| number.is_multiple_of(3)).map(|number| number.to_string()).collect();
        assert_eq!(outcome.texts(), expected, "length {length}");
        let failed: Vec<_> = outcome.failures.iter().map(|failure| failure.record).collect();
        assert_eq!(failed, if length > 13 { vec![13] } else { vec![] }, "length {length}");
    }
}

#[sage_guest::map]
fn doubled(line: &str) -> Result<String, Error> {
    if line.len() % 10 == 7 { Err("seven".into()) } else { Ok(line.repeat(2)) }
}

#[test]
fn a_map_answers_for_each_record_whatever_the_batch_before_was() {
    let mut lane = testing::Map::<doubled>::open(json!({})).unwrap();
    for length in [300_usize, 0, 1, 130, 17, 400] {
        let lines: Vec<String> = (0..length).map(|size| "x".repeat(size)).collect();
        let outcome = lane.run(lines.iter().map(String::as_str));
        let expected: Vec<String> =
            lines.iter().filter(|line| line.len() % 10 != 7).map(|line| line.repeat(2)).collect();
        assert!(outcome.texts() == expected, "length {length}");
        let failed: Vec<_> = outcome.failures.iter().map(|failure| failure.record).collect();
        let rejected: Vec<_> = (0..length).filter(|size| size % 10 == 7).collect();
        assert_eq!(failed, rejected, "length {length}");
    }
}

#[derive(serde::Deserialize)]
struct Pick {
    field: usize,
    empty: String,
}

#[sage_guest::map]
fn picked<'a>(line: &'a str, pick: &'a Pick) -> Result<&'a str, Error> {
    let field = line.split(',').nth(pick.field).ok_or("too few")?;
    Ok(if field.is_empty() { &pick.empty } else { field })
}

#[test]
fn a_map_may_give_a_piece_of_its_record_or_of_its_configuration_which_may_be_longer() {
    let mut lane = testing::Map::<picked>::open(json!({"field": 1, "empty": "much longer than that"})).unwrap();
    for _ in 0..2 {
        let outcome = lane.run(["a,b", "c,dd,e", "f", "g,h", ",,", "i,j"]);
        assert_eq!(outcome.texts(), ["b", "dd", "h", "much longer than that", "j"]);
        let parents: Vec<_> = outcome.outputs.iter().map(|output| output.parent).collect();
        assert_eq!(parents, [Some(0), Some(1), Some(3), Some(4), Some(5)]);
        assert_eq!(outcome.messages(), ["too few"]);
    }
}

#[sage_guest::map]
fn spelled(line: &str) -> Cow<'_, str> {
    if line.contains('&') { Cow::Owned(line.replace('&', "and")) } else { Cow::Borrowed(line.trim()) }
}

#[test]
fn a_map_may_give_what_is_borrowed_or_not() {
    let mut lane = testing::Map::<spelled>::open(json!({})).unwrap();
    assert_eq!(lane.run([" a ", "b", ""]).texts(), ["a", "b", ""]);
    assert_eq!(lane.run([" a ", "b & c", " d", "&", "e"]).texts(), ["a", "b and c", "d", "and", "e"]);
    assert_eq!(lane.run([" a ", "b"]).texts(), ["a", "b"]);
}

#[derive(serde::Deserialize)]
struct Hide {
    from: usize,
}

#[sage_guest::map]
fn hidden(record: &mut [u8], hide: &Hide) -> Result<(), Error> {
    let hidden = record.get_mut(hide.from..).ok_or_else(|| format!("shorter than {}", hide.from))?;
    hidden.fill(b'*');
    if record.starts_with(b"!") { Err("half done".into()) } else { Ok(()) }
}

#[sage_guest::map]
fn backwards(record: &mut [u8]) {
    record.reverse();
}

#[derive(Default)]
struct Chained {
    before: u8,
}

#[sage_guest::map]
impl Chained {
    fn map(&mut self, record: &mut [u8]) {
        for byte in record {
            self.before ^= *byte;
            *byte = self.before;
        }
    }
}

#[test]
fn a_map_may_change_its_record_in_place() {
    let mut lane = testing::Map::<hidden>::open(json!({"from": 2})).unwrap();
    for _ in 0..2 {
        let outcome = lane.run(["12345", "1", "!2345", "67", "8901"]);
        assert_eq!(outcome.texts(), ["12***", "67", "89**"]);
        assert_eq!(outcome.messages(), ["shorter than 2", "half done"]);
    }
    let mut lane = testing::Map::<backwards>::open(json!({})).unwrap();
    assert_eq!(lane.run(["abc", "", "de"]).texts(), ["cba", "", "ed"]);
    let mut lane = testing::Map::<Chained>::open(json!({})).unwrap();
    let outcome = lane.run([[1, 2], [4, 8]]);
    assert_eq!([&outcome.outputs[0].payload[..], &outcome.outputs[1].payload], [[1, 3], [7, 15]]);
}

#[sage_guest::flat_map]
fn parts(line: &str) -> impl Iterator<Item = Json<f64>> {
    line.split(',').map(|part| Json(part.parse().unwrap_or(f64::NAN)))
}

struct Unwritable;

impl sage_guest::IntoPayload for Unwritable {
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(b"half");
        Err("cannot be written".into())
    }
}

enum Part {
    Good(String),
    Bad,
}

impl sage_guest::IntoPayload for Part {
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Good(text) => text.write(out),
            Self::Bad => Unwritable.write(out),
        }
    }
}

#[sage_guest::flat_map]
fn until_bad(line: &str) -> Vec<Part> {
    line.split(',').map(|part| if part == "bad" { Part::Bad } else { Part::Good(part.to_owned()) }).collect()
}

#[test]
fn a_flat_map_takes_back_what_a_rejected_record_had_given() {
    let mut lane = testing::FlatMap::<until_bad>::open(json!({})).unwrap();
    let outcome = lane.run(["a,b", "c,bad,d", "e"]);
    assert_eq!(outcome.texts(), ["a", "b", "e"]);
    let parents: Vec<_> = outcome.outputs.iter().map(|output| output.parent).collect();
    assert_eq!(parents, [Some(0), Some(0), Some(2)]);
    assert_eq!(outcome.messages(), ["cannot be written"]);
}

#[test]
fn a_flat_map_with_much_to_say_says_it_in_order() {
    let mut lane = testing::FlatMap::<parts>::open(json!({})).unwrap();
    let line = vec!["1.5"; 10_000].join(",");
    let outcome = lane.run([line.as_str(), "2", line.as_str(), line.as_str(), "3"]);
    assert_eq!(outcome.outputs.len(), 30_002);
    assert!(outcome.outputs.is_sorted_by_key(|output| output.parent));
    assert_eq!(outcome.outputs.last().unwrap().text(), "3.0");
}

#[sage_guest::key_by]
fn first_field(line: &str) -> Result<&str, Error> {
    line.split_once(' ').map(|(key, _)| key).ok_or_else(|| "one field only".into())
}

#[test]
fn a_key_by_gives_keys_and_rejects() {
    let mut lane = testing::KeyBy::<first_field>::open(json!({})).unwrap();
    let outcome = lane.run(["a 1", "b", " 2", "c d e"]);
    assert_eq!(outcome.keys(), ["a", "", "c"]);
    assert_eq!(outcome.messages(), ["one field only"]);
}

/// Emits three numbers, then waits, then fails half-way, then ends.
#[derive(Default)]
struct Moody {
    calls: u64,
}

#[sage_guest::source(ports = ["odd"])]
impl Moody {
    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> {
        self.calls += 1;
        let number = self.calls;
        match number {
            4 => return Ok(Progress::Idle(Duration::from_millis(20))),
            7 => {
                out.emit("half-way")?;
                return Err("the line is down".into());
            }
            9 => return Ok(Progress::End),
            _ if number % 2 == 1 => out.to("odd").timestamp(number as i64).emit(number)?,
            _ => out.key("even").emit(number)?,
        }
        Ok(Progress::More)
    }
}

#[test]
fn a_source_fills_what_is_asked_for_and_takes_back_what_failed() {
    let mut lane = testing::Source::<Moody>::open(json!({})).unwrap();
    let (outcome, progress) = lane.next(2).unwrap();
    assert_eq!((outcome.on("odd"), outcome.texts(), progress), (vec!["1".into()], vec!["2".into()], Progress::More));
    assert_eq!(outcome.keys(), ["even"]);
    let (outcome, progress) = lane.next(100).unwrap();
    assert_eq!((outcome.on("odd"), progress), (vec!["3".into()], Progress::Idle(Duration::from_millis(20))));
    assert_eq!(lane.next(100).unwrap_err(), "the line is down");
    let (outcome, progress) = lane.next(100).unwrap();
    assert_eq!((outcome.texts(), progress), (vec!["8".to_owned()], Progress::End));
    assert_eq!(
        lane.seek(b"").unwrap_err(),
        "this source cannot go on from a position: it has no `position` and `seek`"
    );
}

#[derive(Default)]
struct Ledger {
    lines: Vec<String>,
}

#[sage_guest::sink]
impl Ledger {
    fn write(&mut self, record: sage_guest::Record<&str>) -> Result<(), Error> {
        let account: u32 = record.key_as()?;
        let unit = record.header("unit").unwrap_or(b"EUR");
        self.lines.push(format!("{account}: {} {}", record.payload, String::from_utf8_lossy(unit)));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.lines.len() > 2 {
            return Err("the book is full".into());
        }
        log::info!("{}", self.lines.join("; "));
        Ok(())
    }
}

#[test]
fn a_sink_sees_the_whole_record_and_rejects_one() {
    let mut lane = testing::Sink::<Ledger>::open(json!({})).unwrap();
    let outcome = lane.run([
        Record::new("5").key("17"),
        Record::new("6").key("x").header("unit", "USD"),
        Record::new("7").key("18").header("note", "gift").header("unit", "USD"),
    ]);
    assert_eq!(outcome.messages(), [r#"key: payload is not a whole number of 32 bits, not negative (u32): "x""#]);
    lane.flush().unwrap();
    assert_eq!(lane.logs()[0].1, "17: 5 EUR; 18: 7 USD");
    assert_eq!(lane.run(["8"]).messages(), ["the record has no key: put a `key_by` before this operator"]);
    lane.run([Record::new("9").key("19")]);
    assert_eq!(lane.flush().unwrap_err(), "the book is full");
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Reading<'a> {
    sensor: &'a str,
    value: f64,
}

#[sage_guest::map]
fn same_reading<'r>(reading: Json<Reading<'r>>) -> Json<Reading<'r>> {
    reading
}

#[test]
fn what_cannot_be_read_is_rejected_with_what_and_where() {
    let mut lane = testing::Map::<same_reading>::open(json!({})).unwrap();
    let long = format!(r#"{{"sensor":"{}"}}"#, "x".repeat(100));
    let outcome = lane.run([
        br#"{"sensor":"a","value":1}"#.as_slice(),
        br#"{"sensor":"a"}"#,
        br#"{"sensor":"a","value":}"#,
        b"{\"sensor\":\"\xff\"}",
        long.as_bytes(),
    ]);
    assert_eq!(outcome.texts(), [r#"{"sensor":"a","value":1.0}"#]);
    let messages = outcome.messages();
    assert_eq!(
        messages[0],
        r#"payload is not the JSON this operator takes: missing field `value` at line 1 column 14, in "{\"sensor\":\"a\"}""#
    );
    assert!(messages[1].contains("expected value at line 1 column 23"), "{}", messages[1]);
    assert!(messages[2].starts_with("payload is not UTF-8: byte 0xff at 11, in "), "{}", messages[2]);
    assert!(messages[3].ends_with("... (113 bytes)"), "{}", messages[3]);
}
