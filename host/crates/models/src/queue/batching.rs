use std::fmt;
use std::time::Duration;

use crate::row_trial::Trial;
use crate::{Dimension, InferenceError, ModelFacts, RowIndependence, Tensor, TensorSpec};
use sage_plan::ModelSpec;

/// Whether calls of a model run together, with the reason.
#[derive(Debug, Clone, PartialEq)]
pub enum Batching {
    /// The model's declaration decides.
    Declared(bool),
    /// The model is declared `deterministic`: a row's result must not depend on the other rows of its batch.
    Deterministic,
    /// Its calls run whole and alone.
    Whole,
    /// `max_rows` allows only one row per run.
    OneRow,
    /// A single row was measured against several rows together. Batching is on if it gives at least a tenth
    /// more rows per second.
    Measured {
        /// Rows per second, one at a time.
        alone: f64,
        /// Rows per second, together.
        together: f64,
        /// Number of rows in a batch of the measurement.
        rows: usize,
    },
    /// The measurement failed with this error, so batching is off.
    Unmeasured(InferenceError),
}

/// The choice, and the time of one row if it was measured.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) batching: Batching,
    pub(super) row_time: Option<Duration>,
}

/// Number of rows in a measured batch. A model that gains from batching shows it with this number (MiniLM's
/// gain is visible with 8), and a model without gain costs little time.
const ROWS: usize = 8;

/// Sizes to try for free dimensions other than the rows. The first is a length of real input (a sentence of
/// tokens), the second is the smallest.
const FREE: [usize; 2] = [32, 1];

/// Repeated runs of each batch size. The best run counts, because something delayed the others.
const REPEATS: usize = 3;

/// Time of runs after which a measurement is not repeated, so that ten models are loaded in less than half a
/// minute.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Smallest measurable duration. A clock that shows no difference has measured less than this.
const SHORTEST: Duration = Duration::from_nanos(1);

/// Factor by which batching must raise the rate. Two measurements of the same run can differ by less than
/// this, and calls in a batch wait for each other.
const GAIN: f64 = 1.1;

/// Largest input of a measurement, in bytes. A model with larger inputs does not gain from batching.
const LARGEST: usize = 64 << 20;

impl Batching {
    /// Whether calls run together.
    #[must_use]
    pub fn is_on(&self) -> bool {
        match self {
            Self::Declared(on) => *on,
            Self::Measured { alone, together, .. } => *together >= *alone * GAIN,
            Self::Deterministic | Self::Whole | Self::OneRow | Self::Unmeasured(_) => false,
        }
    }
}

impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_on() { "on" } else { "off" };
        match self {
            Self::Declared(_) => write!(f, "{word}: declared"),
            Self::Deterministic => write!(f, "{word}: the model is deterministic"),
            Self::Whole => write!(f, "{word}: calls run whole and alone"),
            Self::OneRow => write!(f, "{word}: max_rows is 1"),
            Self::Measured { alone, together, rows } => {
                write!(f, "{word}: {together:.0} rows/s with {rows} together, {alone:.0} one at a time")
            }
            Self::Unmeasured(error) => write!(f, "{word}: it could not be measured: {error}"),
        }
    }
}

/// Chooses batching for a model that was just loaded. `run` runs the model and returns the time. A trial with
/// the same number of rows replaces the measurement.
pub(super) fn choose(
    spec: &ModelSpec,
    facts: &ModelFacts,
    (independence, trial): (&RowIndependence, Option<Trial>),
    mut run: impl FnMut(Vec<Tensor>) -> Result<Duration, InferenceError>,
) -> Choice {
    let max_rows = usize::try_from(spec.max_rows).unwrap_or(usize::MAX);
    let known = match spec.batching {
        _ if spec.deterministic => Some(Batching::Deterministic),
        _ if !independence.is_certain() && *independence != RowIndependence::ByGraph => Some(Batching::Whole),
        _ if max_rows <= 1 => Some(Batching::OneRow),
        Some(declared) => Some(Batching::Declared(declared)),
        None => None,
    };
    if let Some(batching) = known {
        return Choice { batching, row_time: trial.map(|trial| trial.alone) };
    }
    let rows = max_rows.min(ROWS);
    let found = |one: Duration, several: Duration| {
        let alone = 1.0 / one.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "at most 8")]
        let together = rows as f64 / several.as_secs_f64();
        Choice { batching: Batching::Measured { alone, together, rows }, row_time: Some(one) }
    };
    if let Some(trial) = trial.filter(|trial| trial.rows == rows) {
        return found(trial.alone.max(SHORTEST), trial.together.max(SHORTEST));
    }
    let mut obstacle = InferenceError::Unsupported("inputs larger than 64 MiB".to_owned());
    for free in FREE {
        let (Some(one), Some(several)) = (zeros(facts, 1, free), zeros(facts, rows, free)) else { continue };
        let measured = best(&one, &mut run).and_then(|one| Ok((one, best(&several, &mut run)?)));
        match measured {
            Ok((one, several)) => return found(one, several),
            Err(error) => obstacle = error,
        }
    }
    Choice { batching: Batching::Unmeasured(obstacle), row_time: None }
}

/// The shortest of several runs. The first run does not count, because a shape's first run includes
/// preparation.
fn best(
    inputs: &[Tensor],
    run: &mut impl FnMut(Vec<Tensor>) -> Result<Duration, InferenceError>,
) -> Result<Duration, InferenceError> {
    let first = run(inputs.to_vec())?;
    let (mut best, mut spent) = (first, first);
    for _ in 0..REPEATS {
        if spent > LONG_ENOUGH {
            break;
        }
        let took = run(inputs.to_vec())?;
        best = best.min(took);
        spent += took;
    }
    Ok(best.max(SHORTEST))
}

/// Inputs with this number of rows, all zero.
fn zeros(facts: &ModelFacts, rows: usize, free: usize) -> Option<Vec<Tensor>> {
    facts.inputs.iter().map(|spec| zero(spec, rows, free)).collect()
}

fn zero(spec: &TensorSpec, rows: usize, free: usize) -> Option<Tensor> {
    let size = |(at, dimension): (usize, &Dimension)| match dimension {
        Dimension::Fixed(size) => *size,
        Dimension::Free(_) if at == 0 => rows,
        Dimension::Free(_) => free,
    };
    let shape: Vec<usize> = spec.shape.iter().enumerate().map(size).collect();
    let elements = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    let bytes = elements.checked_mul(spec.dtype.size()).filter(|&bytes| bytes <= LARGEST)?;
    Tensor::read(spec.dtype, shape, &vec![0; bytes]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use sage_plan::config::BackendChoice;
    use sage_plan::{GraphRows, RowsChoice};

    fn spec(batching: Option<bool>) -> ModelSpec {
        ModelSpec {
            name: "m".to_owned(),
            path: "m.onnx".into(),
            sha256: None,
            backend: BackendChoice::Auto,
            rows: RowsChoice::Shown,
            graph_rows: None,
            max_rows: 32,
            max_delay: Duration::ZERO,
            batching,
            deterministic: false,
            workspace: 0,
        }
    }

    /// Token ids of sentences. The rows and the length are free.
    fn facts() -> ModelFacts {
        let free = |name: &str| Dimension::Free(name.to_owned());
        let tensor = |name: &str, dtype, shape| TensorSpec { name: name.to_owned(), dtype, shape };
        ModelFacts {
            inputs: vec![tensor("ids", DType::I64, vec![free("batch"), free("length")])],
            outputs: vec![tensor("y", DType::F32, vec![free("batch"), Dimension::Fixed(4)])],
            weight_bytes: 0,
            rows: GraphRows::ByOperators,
        }
    }

    /// A run with a fixed time and a time for each row, in microseconds.
    fn takes(fixed: u64, row: u64) -> impl FnMut(Vec<Tensor>) -> Result<Duration, InferenceError> {
        move |inputs| Ok(Duration::from_micros(fixed + row * u64::try_from(inputs[0].rows()).unwrap()))
    }

    fn not_run(_: Vec<Tensor>) -> Result<Duration, InferenceError> {
        panic!("there is nothing to measure")
    }

    #[test]
    fn a_model_that_gains_a_tenth_is_batched_and_one_that_does_not_is_not() {
        for (fixed, row, on) in [(1000, 1000, true), (0, 1000, false), (100, 1000, false), (150, 1000, true)] {
            let choice = choose(&spec(None), &facts(), (&RowIndependence::Declared, None), takes(fixed, row));
            assert_eq!(choice.batching.is_on(), on, "{fixed} + {row} a row: {}", choice.batching);
            assert_eq!(choice.row_time, Some(Duration::from_micros(fixed + row)));
        }
        let choice = choose(&spec(None), &facts(), (&RowIndependence::Declared, None), takes(1000, 1000));
        assert_eq!(choice.batching.to_string(), "on: 889 rows/s with 8 together, 500 one at a time");
    }

    #[test]
    fn a_trial_of_as_many_rows_is_measured_already() {
        let [alone, together] = [1000, 2000].map(Duration::from_micros);
        let shown = RowIndependence::Shown { rows: 8 };
        let trial = Trial { rows: 8, alone, together };
        let choice = choose(&spec(None), &facts(), (&shown, Some(trial)), not_run);
        assert_eq!(choice.batching.to_string(), "on: 4000 rows/s with 8 together, 1000 one at a time");
        assert_eq!(choice.row_time, Some(alone));
        let of_two = Trial { rows: 2, ..trial };
        let choice = choose(&spec(None), &facts(), (&shown, Some(of_two)), takes(0, 1000));
        assert!(!choice.batching.is_on(), "measured: {}", choice.batching);
        let choice = choose(&spec(Some(true)), &facts(), (&shown, Some(trial)), not_run);
        assert_eq!(choice, Choice { batching: Batching::Declared(true), row_time: Some(alone) });
    }

    #[test]
    fn the_best_of_several_runs_counts() {
        let mut runs = 0;
        let choice = choose(&spec(None), &facts(), (&RowIndependence::Declared, None), |inputs| {
            runs += 1;
            // Every other run is delayed, including the first run of each size.
            let disturbance = if runs % 2 == 1 { 50_000 } else { 0 };
            takes(1000, 1000)(inputs).map(|took| took + Duration::from_micros(disturbance))
        });
        assert_eq!(choice.row_time, Some(Duration::from_micros(2000)));
    }

    #[test]
    fn what_is_declared_or_cannot_be_is_not_measured() {
        for declared in [true, false] {
            let choice = choose(&spec(Some(declared)), &facts(), (&RowIndependence::Declared, None), not_run);
            assert_eq!(choice, Choice { batching: Batching::Declared(declared), row_time: None });
        }
        let deterministic = ModelSpec { deterministic: true, ..spec(None) };
        assert_eq!(
            choose(&deterministic, &facts(), (&RowIndependence::Declared, None), not_run).batching,
            Batching::Deterministic
        );
        let one_row = ModelSpec { max_rows: 1, ..spec(None) };
        assert_eq!(choose(&one_row, &facts(), (&RowIndependence::Declared, None), not_run).batching, Batching::OneRow);
        let not_shown = RowIndependence::NotShown("a Softmax".to_owned());
        for whole in [not_shown, RowIndependence::DeclaredWhole] {
            for declared in [None, Some(true), Some(false)] {
                assert_eq!(choose(&spec(declared), &facts(), (&whole, None), not_run).batching, Batching::Whole);
            }
        }
    }

    #[test]
    fn free_dimensions_are_tried_and_a_model_that_takes_none_stays_unbatched() {
        let picky = |wanted: usize| {
            move |inputs: Vec<Tensor>| match inputs[0].shape()[1] == wanted {
                true => takes(1000, 1000)(inputs),
                false => Err(InferenceError::Backend("shape".to_owned())),
            }
        };
        for (wanted, on) in [(32, true), (1, true), (7, false)] {
            assert_eq!(
                choose(&spec(None), &facts(), (&RowIndependence::Declared, None), picky(wanted)).batching.is_on(),
                on,
                "{wanted}"
            );
        }
        let choice = choose(&spec(None), &facts(), (&RowIndependence::Declared, None), picky(7));
        assert_eq!(choice.batching.to_string(), "off: it could not be measured: the backend failed: shape");
    }
}
