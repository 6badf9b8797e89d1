use sage_models::{LoadedModel, Tensor, TensorData};
use sage_plan::GraphRows;
use sage_test_support::{Need, skip};

use crate::backends::{all, load, model_file, onnxruntime, run};

const MAGIKA: &str = "examples/file-types/magika.onnx";
const CLASSIFIER: &str = "tests/models/ocr-classifier.onnx";

/// Beginnings and ends of files as magika takes them: 2048 bytes for each row, here with a few patterns.
fn bytes_of_files(rows: usize) -> Tensor {
    let data = (0..rows * 2048).map(|i| ((i * 31 + i / 2048 * 7) % 257) as i32).collect();
    Tensor::new(vec![rows, 2048], TensorData::I32(data)).unwrap()
}

/// Pictures of lines of text, 48 by 192, with values between -1 and 1.
fn lines_of_text(rows: usize) -> Tensor {
    let data = (0..rows * 3 * 48 * 192).map(|i| ((i * 37 + i / 27648 * 11) % 511) as f32 / 255.0 - 1.0).collect();
    Tensor::new(vec![rows, 3, 48, 192], TensorData::F32(data)).unwrap()
}

/// The output of a model with one input and one output.
fn answer(model: &dyn LoadedModel, input: &Tensor) -> Tensor {
    let name = model.facts().inputs[0].name.clone();
    run(model, &[(&name, input)]).remove(0)
}

fn furthest(a: &Tensor, b: &Tensor) -> f32 {
    let (TensorData::F32(left), TensorData::F32(right)) = (a.data(), b.data()) else { panic!("not f32") };
    assert_eq!(a.shape(), b.shape());
    left.iter().zip(right).map(|(l, r)| (l - r).abs()).fold(0.0, f32::max)
}

#[test]
fn real_models_say_what_they_are() {
    for backend in all() {
        for (path, input, output) in
            [(MAGIKA, "i32[?, 2048]", "f32[?, 214]"), (CLASSIFIER, "f32[?, 3, ?, ?]", "f32[?, 2]")]
        {
            let model = load(&*backend, &model_file(path));
            let facts = model.facts();
            let shown = (facts.inputs[0].to_string(), facts.outputs[0].to_string());
            assert_eq!(shown, (input.to_owned(), output.to_owned()), "{}: {path}", backend.name());
            assert_eq!(facts.rows, GraphRows::ByOperators, "{}: {path}", backend.name());
        }
    }
}

#[test]
fn both_backends_agree_on_real_models() {
    let other = match onnxruntime() {
        Ok(backend) => backend,
        Err(why) => return skip(Need::Onnxruntime, why),
    };
    for backend in all().iter().filter(|backend| backend.name() != other.name()) {
        for (path, input) in [(MAGIKA, bytes_of_files as fn(usize) -> Tensor), (CLASSIFIER, lines_of_text)] {
            let file = model_file(path);
            let (one, two) = (load(&**backend, &file), load(&*other, &file));
            for rows in [1, 2, 5] {
                let input = input(rows);
                let apart = furthest(&answer(&*one, &input), &answer(&*two, &input));
                assert!(apart < 1e-5, "{path}: {rows} rows: {} and {} are {apart} apart", backend.name(), other.name());
            }
        }
    }
}

#[test]
fn rows_of_a_real_model_do_not_depend_on_their_company_beyond_rounding() {
    for backend in all() {
        let model = load(&*backend, &model_file(MAGIKA));
        let input = bytes_of_files(4);
        let together = answer(&*model, &input);
        for row in 0..4 {
            let alone = answer(&*model, &input.slice_rows(row, 1).unwrap());
            assert!(furthest(&alone, &together.slice_rows(row, 1).unwrap()) < 1e-5, "{}: row {row}", backend.name());
        }
    }
}

/// Not a test: `cargo test ... -- --ignored --nocapture figures` prints the time of a call.
#[test]
#[ignore = "prints figures"]
fn figures() {
    for backend in all() {
        for (path, input, rows) in
            [(MAGIKA, bytes_of_files as fn(usize) -> Tensor, [1, 32]), (CLASSIFIER, lines_of_text, [1, 32])]
        {
            let file = model_file(path);
            let begun = std::time::Instant::now();
            let model = load(&*backend, &file);
            println!("{:<12} {path}: load {:.1} ms", backend.name(), begun.elapsed().as_secs_f64() * 1e3);
            for rows in rows {
                println!("{:<12} {path}: {rows:>2} rows {:.2} ms", backend.name(), quickest(&*model, &input(rows)));
            }
        }
    }
}

fn quickest(model: &dyn LoadedModel, input: &Tensor) -> f64 {
    let time = |_| {
        let begun = std::time::Instant::now();
        answer(model, input);
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..10).map(time).fold(f64::INFINITY, f64::min)
}
