//! A `process` by field that sees the whole batch: its columns, its outputs, its rejections, and the rejection of the
//! records when it fails.
#![allow(missing_docs, clippy::unwrap_used)]

use sage_guest::state::{Tables, Value};
use sage_guest::testing::{self, Record};
use sage_guest::{Batch, Context, Error, Port};
use serde_json::json;

#[derive(sage_guest::Record)]
struct Number<'a> {
    name: &'a str,
    number: i64,
    weight: Option<f64>,
}

#[derive(sage_guest::Record)]
#[record(extends)]
struct Share {
    percent: i64,
}

#[derive(sage_guest::Record)]
struct Large {
    number: i64,
}

/// Emits the share of each number in the sum of the batch, and adds the numbers of each key. Negative numbers are
/// rejected. A batch whose sum is 0 is rejected as a whole.
struct Part {
    had: Value<i64>,
}

#[sage_guest::process]
impl Part {
    fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
        Ok(Self { had: tables.value("had")? })
    }

    fn process_batch(
        &mut self,
        numbers: Batch<Number>,
        shares: &mut Port<Share>,
        large: &mut Port<Large>,
    ) -> Result<(), Error> {
        let (names, values, weights) = numbers.columns();
        assert_eq!((names.len(), values.len(), weights.len()), (numbers.len(), numbers.len(), numbers.len()));
        assert!(numbers.iter().zip(values.iter()).all(|(record, value)| record.payload.number == value));
        let sum = values.as_slice().iter().sum::<i64>();
        match sum {
            0 => return Err("nothing to divide by".into()),
            -1 => return numbers.each((shares, large), [0; 0], |_, _, _| Ok(())),
            -2 => return shares.emit(Share { percent: 0 }),
            -3 => {
                let count = numbers.len();
                numbers.each((shares, large), vec![(); count], |_, (), _| Ok(()))?;
                return Err("too late".into());
            }
            _ => {}
        }
        let weight = |weight: Option<f64>| weight.unwrap_or(1.0) as i64;
        let percents: Vec<i64> =
            values.iter().zip(weights.iter()).map(|(value, of)| value * weight(of) * 100 / sum).collect();
        numbers.each((shares, large), percents, |number, percent, (shares, large)| {
            shares.emit(Share { percent })?;
            if percent > 50 {
                large.key(number.payload.name).emit(Large { number: number.payload.number })?;
            }
            self.had.update(|had| *had += number.payload.number)?;
            if number.payload.number < 0 { Err("negative".into()) } else { Ok(()) }
        })
    }
}

fn number(key: &str, number: i64) -> Record {
    Record::new(json!({ "name": format!("n{number}"), "number": number, "weight": null }).to_string()).key(key)
}

fn lane() -> testing::FieldsProcess<Part> {
    testing::FieldsProcess::open(json!({})).unwrap()
}

#[test]
fn every_record_gets_its_answer_under_its_own_key_and_record() {
    let mut lane = lane();
    let outcome = lane.run([number("a", 10), number("b", 60), number("a", 30)]);
    assert_eq!(
        outcome.texts(),
        [
            r#"{"name":"n10","number":10,"weight":null,"percent":10}"#,
            r#"{"name":"n60","number":60,"weight":null,"percent":60}"#,
            r#"{"name":"n30","number":30,"weight":null,"percent":30}"#,
        ]
    );
    assert_eq!(outcome.on("large"), [r#"{"number":60}"#]);
    let keys: Vec<_> = outcome.outputs.iter().map(|output| output.key.as_deref().unwrap_or_default()).collect();
    assert_eq!(keys, [&b"a"[..], b"b", b"a", b"n60"]);
    assert_eq!([lane.value::<i64>("had", "a"), lane.value::<i64>("had", "b")], [Some(40), Some(60)]);
}

#[test]
fn a_rejected_record_leaves_neither_output_nor_state_and_the_others_go_on() {
    let mut lane = lane();
    let outcome = lane.run([number("a", 120), number("b", -20)]);
    assert_eq!(outcome.texts(), [r#"{"name":"n120","number":120,"weight":null,"percent":120}"#]);
    assert_eq!(outcome.on("large").len(), 1);
    assert_eq!(outcome.messages(), ["negative"]);
    assert_eq!([lane.value::<i64>("had", "a"), lane.value::<i64>("had", "b")], [Some(120), None]);
}

#[test]
fn an_error_of_the_batch_rejects_every_record_that_was_not_yet_processed() {
    for (sum, message) in [
        (0, "nothing to divide by"),
        (-1, "0 answers for a batch of 2 records"),
        (-2, "an output comes from a record: emit it in the closure of `each`, and pass its port to `each`"),
    ] {
        let outcome = lane().run([number("a", 5), number("b", sum - 5)]);
        assert_eq!(outcome.messages(), [message; 2]);
        assert_eq!(outcome.texts(), [""; 0]);
    }
}

#[test]
#[should_panic(expected = "`process_batch` failed: too late")]
fn an_error_after_the_last_record_fails_the_call() {
    lane().run([number("a", -3)]);
}

#[test]
fn a_batch_without_a_sound_record_is_not_processed() {
    let outcome = lane().run([Record::new(r#"{"name":"x"}"#)]);
    assert_eq!((outcome.texts().len(), outcome.failures.len()), (0, 1));
}
