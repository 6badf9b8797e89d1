use std::time::{Duration, Instant};

use super::row_trial::try_rows;
use super::{Backend as _, Dimension, InferenceError, LoadOptions, ModelFacts, Tensor, TensorSpec, Tract};
use sage_plan::GraphRows;

/// Loads a model and runs it once. Returns the time to load, the time to run a row of zeros, and whether
/// random rows give the same results alone and in a batch.
pub(super) fn try_out(model: &[u8]) -> Result<(Duration, Option<Duration>, bool), InferenceError> {
    let begun = Instant::now();
    let loaded = Tract.load(model, &LoadOptions { threads: 1, memory: None })?;
    let load = begun.elapsed();
    let facts = loaded.facts();
    let begun = Instant::now();
    match loaded.run(zeros(facts, 1)?) {
        Ok(_) => {}
        Err(_) if !only_rows_are_free(facts) => return Ok((load, None, false)),
        Err(error) => return Err(error),
    }
    let run = begun.elapsed();
    let takes_rows = facts.rows == GraphRows::ByOperators
        && try_rows(facts, 2, |rows| Ok((loaded.run(rows)?, Duration::ZERO))).is_ok();
    Ok((load, Some(run), takes_rows))
}

/// Whether only the first dimensions are free.
fn only_rows_are_free(facts: &ModelFacts) -> bool {
    let inner = facts.inputs.iter().flat_map(|spec| spec.shape.iter().skip(1));
    inner.into_iter().all(|dimension| matches!(dimension, Dimension::Fixed(_)))
}

/// An input of zeros for each spec, with this number of rows, and 1 for all other free dimensions.
fn zeros(facts: &ModelFacts, rows: usize) -> Result<Vec<Tensor>, InferenceError> {
    facts.inputs.iter().map(|spec| zero(spec, rows)).collect()
}

fn zero(spec: &TensorSpec, rows: usize) -> Result<Tensor, InferenceError> {
    let size = |(i, dimension): (usize, &Dimension)| match dimension {
        Dimension::Fixed(size) => *size,
        Dimension::Free(_) if i == 0 => rows,
        Dimension::Free(_) => 1,
    };
    let shape: Vec<usize> = spec.shape.iter().enumerate().map(size).collect();
    let bytes = shape.iter().try_fold(spec.dtype.size(), |bytes, &size| bytes.checked_mul(size));
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    let too_large = || InferenceError::Unsupported(format!("input \"{}\" is {spec}: no memory holds that", spec.name));
    Tensor::read(spec.dtype, shape, &vec![0; bytes.ok_or_else(too_large)?])
        .map_err(|error| InferenceError::Unsupported(error.to_string()))
}
