//! Keyed state, outputs and rejection of a `process`, at the boundary.
#![allow(missing_docs)]

use sage_guest::state::{List, Map, Tables, Value};
use sage_guest::testing::{self, Record};
use sage_guest::{Context, Emitter, Error};
use serde_json::json;

/// Adds numbers. Rejects a record that is not a number, after outputs and writes.
struct Sum {
    sum: Value<i64>,
}

#[sage_guest::process(ports = ["negative"])]
impl Sum {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { sum: tables.value("sum")? })
    }

    fn process(&mut self, record: sage_guest::Record<&str>, out: &mut Emitter) -> Result<(), Error> {
        let number = record.payload.trim_end_matches('!').parse::<i64>()?;
        let sum = self.sum.get()?.unwrap_or(0) + number;
        self.sum.put(sum)?;
        out.emit(sum)?;
        if number < 0 {
            out.to("negative").emit(number)?;
        }
        if record.payload.ends_with('!') {
            return Err(format!("{number} is too loud").into());
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        for entry in self.sum.entries() {
            let (key, sum) = entry?;
            out.key_or_none(key.as_deref()).emit(sum)?;
        }
        Ok(())
    }
}

fn keyed(records: &[(&str, &str)]) -> Vec<Record> {
    records.iter().map(|(key, payload)| Record::new(payload).key(key)).collect()
}

#[test]
fn each_key_has_a_state_of_its_own() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    let outcome = lane.run(keyed(&[("a", "1"), ("b", "10"), ("a", "2"), ("", "100"), ("b", "20")]));
    assert_eq!(outcome.texts(), ["1", "10", "3", "100", "30"]);
    assert_eq!(outcome.keys(), ["a", "b", "a", "", "b"], "an output inherits the key");
    let parents: Vec<_> = outcome.outputs.iter().map(|output| output.parent).collect();
    assert_eq!(parents, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(lane.value::<i64>("sum", "b"), Some(30));
}

#[test]
fn records_without_a_key_share_a_state_that_is_not_the_empty_keys() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    assert_eq!(lane.run(["1", "2"]).texts(), ["1", "3"]);
    assert_eq!(lane.value_without_key::<i64>("sum"), Some(3));
    assert_eq!(lane.run(keyed(&[("", "7")])).texts(), ["7"]);
    assert_eq!(lane.value::<i64>("sum", ""), Some(7));
    assert_eq!(lane.run(["1"]).outputs[0].key, None);
}

#[test]
fn a_rejected_record_leaves_neither_output_nor_state() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    let outcome = lane.run(keyed(&[("a", "1"), ("a", "-5!"), ("a", "x"), ("new", "7!"), ("a", "-2")]));
    assert_eq!(outcome.texts(), ["1", "-1"]);
    assert_eq!(outcome.on("negative"), ["-2"]);
    assert_eq!(outcome.failures.iter().map(|failure| failure.record).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(outcome.messages(), ["-5 is too loud", "invalid digit found in string", "7 is too loud"]);
    assert_eq!(lane.value::<i64>("sum", "a"), Some(-1));
    assert_eq!(lane.value::<i64>("sum", "new"), None);
}

#[test]
fn state_costs_two_calls_a_batch_and_less_when_its_keys_are_known() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    let records: Vec<Record> = (0..1000).map(|number| Record::new("1").key(format!("k{}", number % 100))).collect();
    lane.run(records.clone());
    assert_eq!(lane.state_calls(), 2, "one get and one put for 100 keys");
    lane.run(records);
    assert_eq!(lane.state_calls(), 3, "only a put");
    assert_eq!(lane.value::<i64>("sum", "k7"), Some(20));
}

#[test]
fn state_survives_a_restart_and_a_cache_that_is_dropped() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    lane.run(keyed(&[("a", "1"), ("b", "2")]));
    lane.restart().unwrap();
    assert_eq!(lane.run(keyed(&[("b", "2"), ("a", "1")])).texts(), ["4", "2"]);
    // The test writes more keys than the cache holds: the first keys are dropped from the cache and read again.
    for batch in 0..70_u32 {
        lane.run((0..1000).map(|number| Record::new("1").key(format!("{batch}-{number}"))));
    }
    assert_eq!(lane.run(keyed(&[("b", "1"), ("0-0", "1"), ("69-999", "1")])).texts(), ["5", "2", "2"]);
}

#[test]
fn end_walks_every_key_in_order_even_after_a_restart() {
    let mut lane = testing::Process::<Sum>::open(json!({})).unwrap();
    let count = 3000_i64;
    lane.run((0..count).map(|number| Record::new(number.to_string()).key(format!("{number:05}"))));
    lane.restart().unwrap();
    let outcome = lane.end();
    assert_eq!(outcome.texts(), (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(outcome.keys().is_sorted());
    assert!(outcome.outputs.iter().all(|output| output.parent.is_none()));
}

/// Keeps a list of all words and the count of each word, and emits both.
struct Seen {
    all: List<String>,
    times: Map<String, u32>,
}

#[sage_guest::process]
impl Seen {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { all: tables.list("all")?, times: tables.map("times")? })
    }

    fn process(&mut self, word: String, out: &mut Emitter) -> Result<(), Error> {
        match word.split_once(' ') {
            Some(("pop", _)) => {
                if let Some(word) = self.all.pop_front()? {
                    self.times.delete(&word)?;
                }
            }
            Some(("clear", _)) => self.all.delete()?,
            _ => {
                let times = self.times.get(&word)?.unwrap_or(0) + 1;
                self.times.put(&word, times)?;
                self.all.push(word.clone())?;
            }
        }
        if word.ends_with('!') {
            return Err("too loud".into());
        }
        if word == "x" {
            return Ok(());
        }
        let all: Vec<String> = self.all.iter()?.collect::<Result<_, _>>()?;
        let times: Vec<(String, u32)> = self.times.iter()?.collect::<Result<_, _>>()?;
        let times: Vec<String> = times.iter().map(|(word, times)| format!("{word}{times}")).collect();
        out.emit(format!("{} / {}", all.join(" "), times.join(" ")))
    }

    fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
        for entry in self.all.entries() {
            let (key, words) = entry?;
            let words = words.collect::<Result<Vec<_>, _>>()?;
            out.key_or_none(key.as_deref()).emit(format!("all: {}", words.join(" ")))?;
        }
        for entry in self.times.entries() {
            let (key, times) = entry?;
            let times = times.collect::<Result<Vec<_>, _>>()?;
            let times: Vec<String> = times.iter().map(|(word, times)| format!("{word}{times}")).collect();
            out.key_or_none(key.as_deref()).emit(format!("times: {}", times.join(" ")))?;
        }
        Ok(())
    }
}

#[test]
fn end_walks_the_lists_and_maps_of_every_key() {
    let mut lane = testing::Process::<Seen>::open(json!({})).unwrap();
    lane.run(keyed(&[("b", "x"), ("a", "one"), ("c", "gone"), ("b", "two"), ("b", "two"), ("c", "pop it")]));
    lane.restart().unwrap();
    let outcome = lane.end();
    let told: Vec<_> = outcome.keys().into_iter().zip(outcome.texts()).collect();
    let expected = [("a", "all: one"), ("b", "all: x two two"), ("a", "times: one1"), ("b", "times: two2 x1")];
    assert_eq!(told, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
}

#[test]
fn end_walks_more_keys_and_entries_than_a_page_has() {
    let mut lane = testing::Process::<Seen>::open(json!({})).unwrap();
    let count = 3000;
    lane.run((0..count).map(|number| Record::new("x").key(format!("{number:05}"))));
    lane.run((0..count).map(|_| Record::new("x").key("long")));
    let outcome = lane.end();
    assert_eq!(outcome.outputs.len(), 2 * (count + 1));
    let all = format!("all:{}", " x".repeat(count));
    assert!(outcome.texts().contains(&all));
}

/// Reads its tables in the same call that writes them.
struct Peeks {
    times: Map<String, u32>,
}

#[sage_guest::process]
impl Peeks {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { times: tables.map("times")? })
    }

    fn process(&mut self, word: String, out: &mut Emitter) -> Result<(), Error> {
        match word.strip_prefix('-') {
            Some(word) => self.times.delete(&word.to_owned())?,
            None => self.times.put(&word, 1)?,
        }
        let mut keys = Vec::new();
        for entry in self.times.entries() {
            let (key, times) = entry?;
            keys.push(format!("{}:{}", String::from_utf8_lossy(key.as_deref().unwrap_or(b"none")), times.count()));
        }
        out.emit(keys.join(" "))
    }
}

#[test]
fn a_walk_shows_what_the_same_call_wrote_and_deleted() {
    let mut lane = testing::Process::<Peeks>::open(json!({})).unwrap();
    let outcome = lane.run(keyed(&[("b", "x"), ("a", "x"), ("b", "y"), ("b", "-x"), ("a", "-x"), ("b", "-y")]));
    assert_eq!(outcome.texts(), ["b:1", "a:1 b:1", "a:1 b:2", "a:1 b:1", "b:1", ""]);
    lane.run(keyed(&[("a", "x"), ("c", "x")]));
    assert_eq!(lane.run(keyed(&[("a", "-x"), ("b", "y")])).texts(), ["c:1", "b:1 c:1"]);
}

#[test]
fn lists_and_maps_show_what_was_written_in_the_same_call_and_before_it() {
    let mut lane = testing::Process::<Seen>::open(json!({})).unwrap();
    let outcome = lane.run(["b", "a", "c!", "b"]);
    assert_eq!(outcome.texts(), ["b / b1", "b a / a1 b1", "b a b / a1 b2"]);
    assert_eq!(lane.run(["pop it"]).texts(), ["a b / a1"]);
    lane.restart().unwrap();
    assert_eq!(lane.run(["d", "pop it!", "pop it"]).texts(), ["a b d / a1 d1", "b d / d1"]);
    assert_eq!(lane.run(["clear it", "e"]).texts(), [" / d1", "e / d1 e1"]);
    lane.restart().unwrap();
    assert_eq!(lane.run(["f"]).texts(), ["e f / d1 e1 f1"]);
}

#[test]
fn a_list_can_grow_past_a_page() {
    let mut lane = testing::Process::<Seen>::open(json!({})).unwrap();
    for _ in 0..3 {
        lane.run((0..1000).map(|_| "x"));
    }
    let outcome = lane.run(["y"]);
    let all = outcome.texts()[0].split(" / ").next().unwrap().split(' ').count();
    assert_eq!(all, 3001);
}

/// Emits the outputs that the record describes.
#[sage_guest::process(ports = ["side"])]
fn emits(record: sage_guest::Record<&str>, out: &mut Emitter) -> Result<(), Error> {
    for word in record.payload.split(' ') {
        match word.split_once('=') {
            Some(("key", key)) => out.key(key).emit(word)?,
            Some(("time", time)) => out.timestamp(time.parse()?).emit(word)?,
            Some(("port", port)) => out.to(port).emit(word)?,
            Some(("header", value)) => out.header("h", value.as_bytes()).emit(word)?,
            _ => out.emit(word)?,
        }
    }
    Ok(())
}

#[test]
fn outputs_keep_their_order_whatever_they_carry() {
    let mut lane = testing::Process::<emits>::open(json!({})).unwrap();
    let outcome = lane.run(["a key=k b time=5 port=side c", "d port=nowhere", "header=1 e"]);
    assert_eq!(outcome.texts(), ["a", "key=k", "b", "time=5", "c", "header=1", "e"]);
    let of = |text: &str| outcome.outputs.iter().find(|output| output.text() == text).unwrap();
    assert_eq!(of("key=k").key.as_deref(), Some(&b"k"[..]));
    assert_eq!(of("b").key, None);
    assert_eq!(of("time=5").timestamp, Some(5));
    assert_eq!(of("c").timestamp, None);
    assert_eq!(outcome.on("side"), ["port=side"]);
    assert_eq!(
        outcome.messages(),
        [r#"no side output "nowhere"; declared are ["side"], add it to `ports = [..]` of the attribute"#]
    );
}

#[test]
fn a_table_is_declared_once() {
    #[derive(Debug)]
    struct Twice;

    #[sage_guest::process]
    impl Twice {
        fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
            let _: Value<u64> = tables.value("t")?;
            let _: Value<u64> = tables.value("t")?;
            Ok(Self)
        }

        fn process(&mut self, _: &[u8], _: &mut Emitter) {}
    }

    let error = testing::Process::<Twice>::open(json!({})).unwrap_err();
    assert_eq!(error, r#"state table "t" is declared twice"#);
}
