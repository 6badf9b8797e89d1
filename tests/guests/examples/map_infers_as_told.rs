//! Executes the `inference` command in each record, and answers with the result:
//!
//! - `acquire MS`: acquires the lease; `state` and `share` read it;
//! - `open MODEL`: opens a model and lists its inputs and outputs;
//! - `run MODEL [deadline=MS] NAME=DTYPE[SHAPE]:BYTE ...`: runs a model. Every byte of a tensor's data is
//!   BYTE, or the bytes are `..N`: 0, 1, 2, up to N of them. The answer has each output's shape and the sum
//!   of its bytes;
//! - `alias MODEL COUNT BYTES`: passes COUNT tensors that share one name of BYTES bytes;
//! - `longname BYTES`: opens a model with a name of BYTES bytes;
//! - `drop`: drops all handles.
use std::cell::RefCell;
use std::fmt::Write as _;

use contract::inference::{Dtype, Error, Lease, LeaseEnd, LeaseState, Model, Tensor};
use contract::*;

struct Guest;

thread_local! {
    static LEASE: RefCell<Option<Lease>> = const { RefCell::new(None) };
}

impl Mapper for Guest {
    fn map(payloads: Column) {
        let answers: Vec<String> = entries(&payloads).map(|told| told_to(&String::from_utf8_lossy(told))).collect();
        output::payloads(&column(answers.iter().map(String::as_bytes)));
    }
}

fn told_to(told: &str) -> String {
    let words: Vec<&str> = told.split(' ').collect();
    let done = match words.as_slice() {
        ["acquire", patience] => acquire(patience.parse().unwrap()).map(|()| "acquired".to_owned()),
        ["state"] => with_lease(|lease| Ok(state(lease.state()).to_owned())),
        ["share"] => with_lease(|lease| Ok(lease.share().to_string())),
        ["open", model] => with_lease(|lease| lease.open(model).map(|model| described(&model))),
        ["run", model, rest @ ..] => with_lease(|lease| run(&lease.open(model)?, rest)),
        ["alias", model, count, bytes] => with_lease(|lease| alias(&lease.open(model)?, count, bytes)),
        ["longname", bytes] => {
            with_lease(|lease| lease.open(&"n".repeat(bytes.parse().unwrap())).map(|model| described(&model)))
        }
        ["drop"] => {
            LEASE.take();
            Ok("dropped".to_owned())
        }
        _ => panic!("told {told:?}"),
    };
    done.unwrap_or_else(|error| named(&error))
}

fn acquire(patience: u32) -> Result<(), Error> {
    let lease = Lease::acquire(patience)?;
    LEASE.set(Some(lease));
    Ok(())
}

fn with_lease<R>(call: impl FnOnce(&Lease) -> Result<R, Error>) -> Result<R, Error> {
    if LEASE.with_borrow(Option::is_none) {
        acquire(1000)?;
    }
    LEASE.with_borrow(|lease| call(lease.as_ref().unwrap()))
}

fn described(model: &Model) -> String {
    let mut text = String::new();
    for (side, specs) in [("in", model.inputs()), ("out", model.outputs())] {
        for spec in specs {
            let shape: Vec<String> =
                spec.shape.iter().map(|size| size.map_or("?".to_owned(), |size| size.to_string())).collect();
            let _ = write!(text, "{side} {} {}[{}];", spec.name, name(spec.dtype), shape.join(","));
        }
    }
    text
}

fn run(model: &Model, words: &[&str]) -> Result<String, Error> {
    let mut deadline = None;
    let mut inputs = Vec::new();
    for word in words {
        match word.strip_prefix("deadline=") {
            Some(ms) => deadline = Some(ms.parse().unwrap()),
            None => inputs.push(tensor(word)),
        }
    }
    let mut text = String::new();
    for output in model.run(&inputs, deadline)? {
        let sum: u64 = output.data.iter().map(|&byte| u64::from(byte)).sum();
        let _ = write!(text, "{} {}{:?} {sum};", output.name, name(output.dtype), output.shape);
    }
    Ok(text)
}

/// Each tensor has a copy of the name in memory; the host must not care.
fn alias(model: &Model, count: &str, bytes: &str) -> Result<String, Error> {
    let named =
        || Tensor { name: "n".repeat(bytes.parse().unwrap()), dtype: Dtype::U8, shape: vec![0], data: Vec::new() };
    let inputs: Vec<Tensor> = (0..count.parse::<usize>().unwrap()).map(|_| named()).collect();
    model.run(&inputs, None).map(|_| "ran".to_owned())
}

/// Parses an input such as `x=f32[2,3]:1`.
fn tensor(word: &str) -> Tensor {
    let (input, rest) = word.split_once('=').unwrap();
    let (dtype, rest) = rest.split_once('[').unwrap();
    let (shape, fill) = rest.split_once("]:").unwrap();
    let dtype = DTYPES.into_iter().find(|(_, known, _)| *known == dtype).unwrap();
    let shape: Vec<u32> = shape.split(',').filter(|size| !size.is_empty()).map(|size| size.parse().unwrap()).collect();
    let count = shape.iter().map(|&size| u64::from(size)).product::<u64>().min(1 << 26) as usize;
    let data = match fill.strip_prefix("..") {
        Some(bytes) => (0..bytes.parse::<usize>().unwrap()).map(|i| i as u8).collect(),
        None => vec![fill.parse().unwrap(); count * dtype.2],
    };
    Tensor { name: input.to_owned(), dtype: dtype.0, shape, data }
}

const DTYPES: [(Dtype, &str, usize); 8] = [
    (Dtype::Bool, "bool", 1),
    (Dtype::U8, "u8", 1),
    (Dtype::I32, "i32", 4),
    (Dtype::I64, "i64", 8),
    (Dtype::F16, "f16", 2),
    (Dtype::Bf16, "bf16", 2),
    (Dtype::F32, "f32", 4),
    (Dtype::F64, "f64", 8),
];

fn name(dtype: Dtype) -> &'static str {
    DTYPES.into_iter().find(|(known, ..)| *known == dtype).unwrap().1
}

fn state(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Pending => "pending",
        LeaseState::Held => "held",
        LeaseState::Draining => "draining",
        LeaseState::Released => "released",
        LeaseState::Revoked => "revoked",
        LeaseState::Expired => "expired",
        LeaseState::DeviceLost => "device-lost",
    }
}

fn named(error: &Error) -> String {
    match error {
        Error::NoLease => "no-lease".to_owned(),
        Error::LeaseLost(LeaseEnd::Draining) => "lease-lost draining".to_owned(),
        Error::LeaseLost(LeaseEnd::Revoked) => "lease-lost revoked".to_owned(),
        Error::LeaseLost(LeaseEnd::Expired) => "lease-lost expired".to_owned(),
        Error::DeviceLost(why) => format!("device-lost {why}"),
        Error::UnknownModel(model) => format!("unknown-model {model}"),
        Error::DeniedModel(model) => format!("denied-model {model}"),
        Error::BadInput(wrong) => format!("bad-input {}: {} not {}", wrong.input, wrong.expected, wrong.got),
        Error::TooLarge(excess) => format!("too-large {} {} of {}", excess.what, excess.size, excess.limit),
        Error::OutOfMemory(why) => format!("out-of-memory {why}"),
        Error::Busy => "busy".to_owned(),
        Error::Deadline => "deadline".to_owned(),
        Error::Unsupported(what) => format!("unsupported {what}"),
        Error::Backend(why) => format!("backend {why}"),
    }
}

export!(map, Guest);
