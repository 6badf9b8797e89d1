use std::borrow::Cow;
use std::ops::Range;

use crate::{InferenceError, Tensor};

/// Joins the inputs of several calls, or of parts of calls, into the inputs of one run. The rows follow each
/// other. Each row is copied once, or twice if its call was split. `None` if the inputs do not fit together.
pub(super) fn join(parts: &[(&[Tensor], Range<usize>)]) -> Option<Vec<Tensor>> {
    let (first, _) = parts.first()?;
    let input = |at: usize| {
        let rows = parts.iter().map(|(tensors, rows)| part(tensors.get(at)?, rows));
        let rows: Vec<Cow<'_, Tensor>> = rows.collect::<Option<_>>()?;
        match <[_; 1]>::try_from(rows) {
            Ok([alone]) => Some(alone.into_owned()),
            Err(rows) => Tensor::concatenate(&rows.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        }
    };
    (0..first.len()).map(input).collect()
}

/// Splits the outputs of a run into the rows of each call, in the order in which the inputs were joined.
///
/// # Errors
/// The model did not return as many rows as it got, so the rows cannot be assigned to the calls.
pub(super) fn split(outputs: Vec<Tensor>, counts: &[usize]) -> Result<Vec<Vec<Tensor>>, InferenceError> {
    let all: usize = counts.iter().sum();
    if let Some(wrong) = outputs.iter().find(|output| output.shape().is_empty() || output.rows() != all) {
        return Err(InferenceError::Backend(format!(
            "an output of shape {:?} for {all} rows of input, so its rows cannot be assigned to calls",
            wrong.shape()
        )));
    }
    if counts.len() == 1 {
        return Ok(vec![outputs]);
    }
    let mut from = 0;
    let parts = counts.iter().map(|&count| {
        let rows: Option<Vec<Tensor>> = outputs.iter().map(|output| output.slice_rows(from, count)).collect();
        from += count;
        rows.ok_or_else(|| InferenceError::Backend(format!("{from} rows were asked for of {all}")))
    });
    parts.collect()
}

/// `None` if the tensor does not have all of these rows.
fn part<'a>(tensor: &'a Tensor, rows: &Range<usize>) -> Option<Cow<'a, Tensor>> {
    if *rows == (0..tensor.rows()) {
        return Some(Cow::Borrowed(tensor));
    }
    tensor.slice_rows(rows.start, rows.len()).map(Cow::Owned)
}
