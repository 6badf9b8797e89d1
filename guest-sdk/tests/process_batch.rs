//! A `process` that sees the whole batch: its outputs, its rejections, and the rejection of the records when it
//! fails.
#![allow(missing_docs)]

use sage_guest::state::{Tables, Value};
use sage_guest::testing::{self, Record};
use sage_guest::{Context, Error, Records};
use serde_json::json;

/// Emits the share of each number in the sum of the batch, and adds the numbers of each key. Negative numbers
/// are rejected. A batch whose sum is 0 is rejected as a whole.
struct Part {
    had: Value<i64>,
}

#[sage_guest::process(ports = ["large"])]
impl Part {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { had: tables.value("had")? })
    }

    fn process_batch(&mut self, numbers: Records<i64>) -> Result<(), Error> {
        assert!(!numbers.is_empty());
        let sum: i64 = numbers.iter().map(|number| number.payload).sum();
        if sum == 0 {
            return Err("nothing to divide by".into());
        }
        let parts: Vec<i64> = numbers.iter().map(|number| number.payload * 100 / sum).collect();
        numbers.each(parts, |number, part, out| {
            out.emit(format!("{part}%"))?;
            if part > 50 {
                out.to("large").emit(number.payload)?;
            }
            self.had.update(|had| *had += number.payload)?;
            if number.payload < 0 { Err("negative".into()) } else { Ok(()) }
        })
    }
}

fn keyed(records: &[(&str, &str)]) -> Vec<Record> {
    records.iter().map(|(key, payload)| Record::new(payload).key(key)).collect()
}

#[test]
fn every_record_gets_its_answer_under_its_own_key_and_number() {
    let mut lane = testing::Process::<Part>::open(json!({})).unwrap();
    let outcome = lane.run(keyed(&[("a", "10"), ("b", "60"), ("a", "30")]));
    assert_eq!(outcome.texts(), ["10%", "60%", "30%"]);
    assert_eq!(outcome.keys(), ["a", "b", "a"]);
    assert_eq!(outcome.on("large"), ["60"]);
    let parents: Vec<_> = outcome.outputs.iter().map(|output| (output.port.as_str(), output.parent)).collect();
    assert_eq!(parents, [("", Some(0)), ("", Some(1)), ("", Some(2)), ("large", Some(1))]);
    assert_eq!([lane.value::<i64>("had", "a"), lane.value::<i64>("had", "b")], [Some(40), Some(60)]);
}

#[test]
fn a_rejected_record_leaves_neither_output_nor_state_and_the_others_go_on() {
    let mut lane = testing::Process::<Part>::open(json!({})).unwrap();
    let outcome = lane.run(keyed(&[("a", "x"), ("a", "120"), ("b", "-20"), ("a", ""), ("c", "100")]));
    assert_eq!(outcome.texts(), ["60%", "50%"]);
    assert_eq!(outcome.keys(), ["a", "c"]);
    let failures: Vec<_> = outcome.failures.iter().map(|failure| (failure.record, failure.message.as_str())).collect();
    let unread = |text| format!("payload is not a whole number of 64 bits (i64): {text:?}");
    assert_eq!(failures, [(0, unread("x").as_str()), (2, "negative"), (3, unread("").as_str())]);
    assert_eq!(lane.value::<i64>("had", "b"), None);
}

#[test]
fn an_error_rejects_every_record_of_the_batch() {
    let mut lane = testing::Process::<Part>::open(json!({})).unwrap();
    let outcome = lane.run(["1", "x", "-1"]);
    assert!(outcome.outputs.is_empty());
    let unread = r#"payload is not a whole number of 64 bits (i64): "x""#;
    assert_eq!(outcome.messages(), ["nothing to divide by", unread, "nothing to divide by"]);
    assert_eq!(lane.run(["1"]).texts(), ["100%"], "and the next one is as if nothing had been");
}

#[test]
fn a_batch_of_which_nothing_can_be_read_is_not_handed_over() {
    let mut lane = testing::Process::<Part>::open(json!({})).unwrap();
    assert_eq!(lane.run(["x", "y"]).failures.len(), 2);
    assert_eq!(lane.run(Vec::<Record>::new()), testing::Outcome::default());
}

/// Gives the number of answers that its configuration asks for, and may fail after all of them.
struct Answers {
    answers: usize,
    late_error: bool,
}

#[sage_guest::process]
impl Answers {
    fn open(context: &Context) -> Result<Self, Error> {
        let (answers, late_error) = context.config()?;
        Ok(Self { answers, late_error })
    }

    fn process_batch(&mut self, records: Records) -> Result<(), Error> {
        records.each(vec![(); self.answers], |record, (), out| out.emit(record.payload))?;
        if self.late_error { Err("too late".into()) } else { Ok(()) }
    }
}

#[test]
fn answers_too_many_or_too_few_reject_the_batch_before_anything_comes_out() {
    for (answers, message) in [(1, "1 answers for a batch of 2 records"), (3, "3 answers for a batch of 2 records")] {
        let mut lane = testing::Process::<Answers>::open(json!([answers, false])).unwrap();
        let outcome = lane.run(["a", "b"]);
        assert_eq!((outcome.messages(), outcome.outputs.len()), (vec![message, message], 0));
    }
}

#[test]
#[should_panic(expected = "`process_batch` failed: too late")]
fn an_error_when_every_record_is_processed_already_fails_the_call() {
    let mut lane = testing::Process::<Answers>::open(json!([2, true])).unwrap();
    lane.run(["a", "b"]);
}
