//! ONNX's own node tests, run by each backend: every model that the examination accepts gives the results
//! that ONNX defines.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use sage_models::{Backend, DType, InferenceError, NamedTensor, Tensor, TensorData, Trial, examine};
use sage_test_support::{Need, skip};
use serde::Deserialize;

use crate::backends::{OPTIONS, all};

/// A test in the format that `tests/onnx_node_tests/prepare.py` writes.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Variants of the model: with fixed and with free dimensions.
    models: std::collections::BTreeMap<String, String>,
    inputs: Vec<Written>,
    outputs: Vec<Written>,
    rtol: f64,
    atol: f64,
}

/// Name, type, shape and bytes of a tensor.
type Written = (String, String, Vec<usize>, String);

/// Result of one model.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Refused(String),
    Wrong(String),
}

/// File of `make onnx-node-tests` for this version of ONNX, or of the environment variable, if it exists.
fn prepared() -> Option<PathBuf> {
    let cache = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/sage-host/onnx-node-tests/1.23.2.jsonl"));
    let named = std::env::var_os("SAGE_ONNX_NODE_TESTS").map(PathBuf::from);
    named.or_else(cache).filter(|path| path.exists())
}

#[test]
fn each_backend_answers_onnx_node_tests_right_or_refuses_the_model() {
    let Some(path) = prepared() else {
        return skip(Need::OnnxNodeTests, "make onnx-node-tests has not prepared them");
    };
    none_is_wrong(&path);
}

/// Cases that libraries answered wrong at the edges of attributes, types and numbers.
/// `tests/onnx_node_tests/README.md` explains how they were made.
#[test]
fn each_backend_answers_extreme_cases_right_or_refuses_the_model() {
    none_is_wrong(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/extremes.jsonl"));
}

fn none_is_wrong(path: &Path) {
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    let cases: Vec<Case> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let wrong: Vec<String> = all().iter().flat_map(|backend| judge(&**backend, &cases)).collect();
    assert!(wrong.is_empty(), "wrong:\n{}", wrong.join("\n"));
}

/// Runs every variant of every case, and returns a line for each wrong result.
pub(crate) fn judge(backend: &dyn Backend, cases: &[Case]) -> Vec<String> {
    let work: Mutex<Vec<(&Case, &str, &str)>> = Mutex::new(
        cases
            .iter()
            .flat_map(|case| case.models.iter().map(move |(variant, model)| (case, variant.as_str(), model.as_str())))
            .rev()
            .collect(),
    );
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(2, |count| count.get().min(8));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((case, variant, model)) = work.lock().unwrap().pop() else { break };
                    let outcome = try_one(backend, case, &unhex(model));
                    done.lock().unwrap().push((&case.name, variant, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(name, variant, _)| (*name, *variant));
    let report = std::env::var_os("SAGE_ONNX_REPORT").is_some();
    let (mut right, mut refused, mut wrong) = (0, 0, Vec::new());
    for (name, variant, outcome) in &done {
        if report {
            println!("{} {name} {variant}: {outcome:?}", backend.name());
        }
        match outcome {
            Outcome::Right => right += 1,
            Outcome::Refused(_) => refused += 1,
            Outcome::Wrong(why) => wrong.push(format!("{}: {name} ({variant}): {why}", backend.name())),
        }
    }
    println!("{}: {right} right, {refused} refused, {} wrong", backend.name(), wrong.len());
    wrong
}

fn try_one(backend: &dyn Backend, case: &Case, model: &[u8]) -> Outcome {
    let loaded = match backend.load(model, &OPTIONS) {
        Ok(loaded) => loaded,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let passed = case.inputs.iter().map(|written| NamedTensor { name: written.0.clone(), tensor: read(written) });
    let answer = loaded.facts().arrange(passed.collect()).and_then(|(inputs, _)| loaded.run(inputs));
    match answer {
        Ok(outputs) => {
            let apart = case.outputs.iter().zip(&outputs).find_map(|(expected, got)| differs(case, expected, got));
            apart.map_or(Outcome::Right, Outcome::Wrong)
        }
        // The inputs violate the contract, so they never reach the backend.
        Err(error @ InferenceError::BadInput { .. }) => Outcome::Refused(error.to_string()),
        Err(error) => match examine(model, Trial::Wanted, || None).map(|examined| examined.accepted()) {
            Ok(Err(refused)) if backend.name() == "tract" => Outcome::Refused(refused.to_string()),
            _ => Outcome::Wrong(error.to_string()),
        },
    }
}

fn differs(case: &Case, expected: &Written, got: &Tensor) -> Option<String> {
    let wanted = read(expected);
    if wanted.dtype() != got.dtype() || wanted.shape() != got.shape() {
        let (wanted, got) = ((wanted.dtype(), wanted.shape()), (got.dtype(), got.shape()));
        return Some(format!("output \"{}\": {wanted:?} was expected, got {got:?}", expected.0));
    }
    if !matches!(wanted.dtype(), DType::F16 | DType::Bf16 | DType::F32 | DType::F64) {
        let same = wanted.data() == got.data();
        return (!same).then(|| format!("output \"{}\": {} was expected, got {}", expected.0, few(&wanted), few(got)));
    }
    let (left, right) = (floats(&wanted), floats(got));
    // ONNX's own tolerance (1e-3 of each number, and 1e-7) is less than a rounding of f16, and useless if a
    // sum cancels out. The tolerance here is 2e-3 for f16, plus 2e-6 of the largest number in the tensor or
    // of 1.
    let rtol = if wanted.dtype() == DType::F16 { case.rtol.max(2e-3) } else { case.rtol };
    let largest = left.iter().filter(|w| w.is_finite()).fold(1.0, |most: f64, w| most.max(w.abs()));
    let atol = case.atol + 2e-6 * largest;
    let is_close = |w: f64, g: f64| {
        w == g || (w.is_nan() && g.is_nan()) || (w.is_finite() && (w - g).abs() <= atol + rtol * w.abs())
    };
    let at = left.iter().zip(&right).position(|(&w, &g)| !is_close(w, g))?;
    Some(format!("output \"{}\" at {at}: {} was expected, got {}", expected.0, left[at], right[at]))
}

fn few(tensor: &Tensor) -> String {
    let shown = format!("{:?}", tensor.data());
    shown.chars().take(120).collect()
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    match tensor.data() {
        TensorData::F16(all) => all.iter().map(|x| x.to_f64()).collect(),
        TensorData::Bf16(all) => all.iter().map(|x| x.to_f64()).collect(),
        TensorData::F32(all) => all.iter().map(|&x| f64::from(x)).collect(),
        TensorData::F64(all) => all.clone(),
        _ => Vec::new(),
    }
}

fn read((_, dtype, shape, bytes): &Written) -> Tensor {
    let dtype = DType::ALL.into_iter().find(|known| known.name() == dtype).unwrap();
    Tensor::read(dtype, shape.clone(), &unhex(bytes)).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
