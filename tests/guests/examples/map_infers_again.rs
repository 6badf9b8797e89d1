//! Runs a model on one tensor again and again, to measure the cost of `run` and little else. A record is
//! `MODEL INPUT DTYPE SIZE,SIZE,...`. Element i of the tensor is i % 64. The tensor is made once, whenever a
//! record differs from the one before. The answer is the sum of all output bytes.
use std::cell::RefCell;

use contract::inference::{Dtype, Error, Lease, Model, Tensor};
use contract::*;

struct Guest;

/// The last record and the objects that were made from it.
struct Prepared {
    told: Vec<u8>,
    model: Model,
    inputs: [Tensor; 1],
}

thread_local! {
    static PREPARED: RefCell<Option<Prepared>> = const { RefCell::new(None) };
}

impl Mapper for Guest {
    fn map(payloads: Column) {
        let answers: Vec<String> =
            entries(&payloads).map(|told| again(told).unwrap_or_else(|error| format!("{error:?}"))).collect();
        output::payloads(&column(answers.iter().map(String::as_bytes)));
    }
}

fn again(told: &[u8]) -> Result<String, Error> {
    PREPARED.with_borrow_mut(|prepared| {
        let prepared = match prepared {
            Some(known) if known.told == told => known,
            other => other.insert(prepare(told)?),
        };
        let outputs = prepared.model.run(&prepared.inputs, None)?;
        let bytes = outputs.iter().flat_map(|output| &output.data);
        Ok(bytes.map(|&byte| u64::from(byte)).sum::<u64>().to_string())
    })
}

fn prepare(told: &[u8]) -> Result<Prepared, Error> {
    let words: Vec<&str> = str::from_utf8(told).unwrap().split(' ').collect();
    let [model, input, dtype, shape] = words.as_slice() else { panic!("told {words:?}") };
    let shape: Vec<u32> = shape.split(',').map(|size| size.parse().unwrap()).collect();
    let elements = 0..shape.iter().product::<u32>();
    let (dtype, data) = match *dtype {
        "i32" => (Dtype::I32, elements.flat_map(|i| (i % 64).to_le_bytes()).collect()),
        "i64" => (Dtype::I64, elements.flat_map(|i| u64::from(i % 64).to_le_bytes()).collect()),
        "f32" => (Dtype::F32, elements.flat_map(|i| ((i % 64) as f32).to_le_bytes()).collect()),
        other => panic!("a tensor of {other}"),
    };
    let inputs = [Tensor { name: (*input).to_owned(), dtype, shape, data }];
    Ok(Prepared { told: told.to_vec(), model: Lease::acquire(1000)?.open(model)?, inputs })
}

export!(map, Guest);
