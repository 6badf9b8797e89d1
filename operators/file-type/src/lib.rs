//! `file-type`: tells the type of each file from its bytes, with a model that the host runs. Shows a process
//! that sees its whole batch: one run of the model for all files of the batch.
//!
//! A record is a whole file, and its key is the path (`format = "whole"` of a file source). The output is a
//! JSON object with `path`, `label`, `group`, `mime` and `score`, keyed by the label. `config = { model =
//! "magika" }` is the name under which the pipeline declares the model, `magika.onnx` (`standard_v3_3`).

mod features;
mod types;

use features::{WIDTH, decide, extract};
use sage_guest::inference::{DType, Lease, Model, Tensor, TensorSpec};
use sage_guest::{Context, Describe, Error, Json, Records};
use serde::{Deserialize, Serialize};
use types::{TYPES, Type};

/// Largest number of files in one call, whatever the size of the batch: 2 MiB of numbers. The host splits calls
/// into runs itself, so larger calls gain nothing.
const MOST_ROWS: usize = 256;

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Name under which the pipeline declares the model.
    #[serde(default = "magika")]
    model: String,
}

fn magika() -> String {
    "magika".to_owned()
}

/// The output for one file.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: &'a str,
    label: &'a str,
    group: &'a str,
    mime: &'a str,
    /// Rounded to a thousandth: further digits differ between backends.
    score: f64,
}

/// The operator, with its model.
#[derive(Debug)]
pub struct FileType {
    model: Model,
}

/// Tells the type of each file, with the model magika.
#[sage_guest::process(config = Settings, stateless)]
impl FileType {
    fn open(context: &Context) -> Result<Self, Error> {
        let settings: Settings = context.config()?;
        let model = Lease::acquire()?.open(&settings.model)?;
        check(&model)?;
        Ok(Self { model })
    }

    fn process_batch(&mut self, files: Records<&[u8]>) -> Result<(), Error> {
        // `features` holds the files that the model decides; the other files are decided by rule.
        let mut features = Vec::new();
        let ruled: Vec<Result<(), &Type>> = files.iter().map(|file| extract(file.payload, &mut features)).collect();

        let mut guesses = Vec::new();
        for rows in features.chunks(MOST_ROWS * WIDTH) {
            let bytes = Tensor::new("bytes", [rows.len() / WIDTH, WIDTH], rows)?;
            let outputs = self.model.run(&[bytes])?;
            for scores in outputs.get("target_label")?.rows::<f32>()? {
                guesses.push(decide(scores, &TYPES)?);
            }
        }

        let mut guesses = guesses.into_iter();
        let answers: Vec<_> = ruled
            .into_iter()
            .map(|ruled| match ruled {
                Ok(()) => guesses.next().ok_or("the model gave fewer rows than it was given"),
                Err(found) => Ok((found, 1.0)),
            })
            .collect();
        files.each(answers, |file, answer, out| {
            let (found, score) = answer?;
            let path = file.key_as::<&str>()?;
            let score = (f64::from(score) * 1000.0).round() / 1000.0;
            let &Type { label, group, mime, .. } = found;
            out.key(label).emit(Json(Line { path, label, group, mime, score }))
        })
    }
}

/// Checks the shapes of the model: the numbers of another model of that name would have another meaning.
fn check(model: &Model) -> Result<(), Error> {
    let spec = |name: &str, dtype, width| TensorSpec { name: name.to_owned(), dtype, shape: vec![None, Some(width)] };
    let input = spec("bytes", DType::I32, WIDTH);
    let output = spec("target_label", DType::F32, TYPES.len());
    if model.inputs() == [input] && model.outputs() == [output] {
        return Ok(());
    }
    Err(Error::new(format_args!(
        "model {:?} is not magika's standard_v3_3: it takes {:?} and gives {:?}",
        model.name(),
        model.inputs(),
        model.outputs()
    )))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use sage_guest::inference::{InferenceError, LeaseState};
    use sage_guest::testing::{self, Answer, Record};
    use serde_json::json;

    use super::*;

    /// A test double that decides by the first byte, and counts its runs.
    fn by_first_byte(runs: &Rc<Cell<usize>>) -> testing::Model {
        let runs = Rc::clone(runs);
        testing::Model::new("magika", move |inputs| {
            runs.set(runs.get() + 1);
            let bytes = inputs[0].to_slice::<i32>().unwrap();
            let rows = inputs[0].rows();
            if bytes[0] == i32::from(b'!') {
                return Err(InferenceError::OutOfMemory("the test says so".to_owned()));
            }
            let mut scores = vec![0.0_f32; rows * TYPES.len()];
            for (row, scores) in bytes.chunks(WIDTH).zip(scores.chunks_mut(TYPES.len())) {
                let label = if row[0] == i32::from(b'#') { "markdown" } else { "png" };
                scores[TYPES.iter().position(|class| class.label == label).unwrap()] = 0.87654;
            }
            Ok(Answer::new().with("target_label", [rows, TYPES.len()], &scores))
        })
        .input("bytes", DType::I32, [None, Some(WIDTH)])
        .output("target_label", DType::F32, [None, Some(TYPES.len())])
    }

    fn lane(runs: &Rc<Cell<usize>>) -> testing::Process<FileType> {
        testing::Process::open_with_models(json!({}), [by_first_byte(runs)]).unwrap()
    }

    fn file(path: &str, bytes: &[u8]) -> Record {
        Record::new(bytes).key(path)
    }

    #[test]
    fn a_batch_is_one_run_and_every_file_gets_its_own_answer() {
        let runs = Rc::default();
        let mut lane = lane(&runs);
        let outcome = lane.run([
            file("a.md", b"# Something"),
            file("empty", b""),
            file("short", b"#!"),
            file("b.png", b"\x89PNG\r\n\x1a\n12345"),
        ]);
        let expected = [
            r#"{"path":"a.md","label":"markdown","group":"text","mime":"text/markdown","score":0.877}"#,
            r#"{"path":"empty","label":"empty","group":"inode","mime":"inode/x-empty","score":1.0}"#,
            r#"{"path":"short","label":"txt","group":"text","mime":"text/plain","score":1.0}"#,
            r#"{"path":"b.png","label":"png","group":"image","mime":"image/png","score":0.877}"#,
        ];
        assert_eq!(outcome.texts(), expected);
        assert_eq!(outcome.keys(), ["markdown", "empty", "txt", "png"]);
        assert_eq!(runs.get(), 1);
        lane.run([file("empty", b"")]);
        assert_eq!(runs.get(), 1, "nothing to ask about");
    }

    #[test]
    fn a_large_batch_is_cut_and_stays_in_order() {
        let runs = Rc::default();
        let outcome = lane(&runs).run((0..600).map(|number| {
            let bytes = if number % 7 == 0 { "# Something".to_owned() } else { format!("x{number:09}") };
            file(&number.to_string(), bytes.as_bytes())
        }));
        let labels: Vec<String> = (0..600).map(|n| if n % 7 == 0 { "markdown" } else { "png" }.to_owned()).collect();
        assert_eq!(outcome.keys(), labels);
        assert_eq!(runs.get(), 3);
    }

    #[test]
    fn what_the_model_cannot_do_is_told_for_each_file() {
        let mut lane = lane(&Rc::default());
        let outcome = lane.run([file("a", b"!12345678"), file("b", b"")]);
        assert_eq!(outcome.messages(), ["the device is out of memory: the test says so"; 2]);
        lane.set_lease(LeaseState::Revoked);
        assert_eq!(lane.run([file("a", b"12345678")]).messages(), ["the lease on the device was revoked"]);
    }

    #[test]
    fn another_model_or_none_is_refused_when_it_opens() {
        let error = testing::Process::<FileType>::open(json!({})).unwrap_err();
        assert!(error.contains("num_gpus"), "{error}");
        let other = testing::Model::new("magika", |_| Ok(Answer::new())).input("x", DType::F32, [None]);
        let error = testing::Process::<FileType>::open_with_models(json!({}), [other]).unwrap_err();
        assert!(error.contains(r#"model "magika" is not magika's standard_v3_3"#), "{error}");
        let error = testing::Process::<FileType>::open_with_models(json!({"model": "m"}), []).unwrap_err();
        assert_eq!(error, r#"there is no model "m": declare it as `[model.m]`"#);
    }

    #[test]
    fn a_file_without_a_path_is_rejected() {
        let outcome = lane(&Rc::default()).run(["# Something"]);
        assert!(outcome.messages()[0].contains("no key"), "{outcome:?}");
    }
}
