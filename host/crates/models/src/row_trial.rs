use std::time::{Duration, Instant};

use half::{bf16, f16};

use super::short_name::short;
use super::{DType, Dimension, InferenceError, ModelFacts, Tensor, TensorData, TensorSpec};

/// Largest number of random rows.
const ROWS: usize = 8;
/// Time limit for the runs of single rows. At least two rows are run, however long they take.
const LONG_ENOUGH: Duration = Duration::from_secs(2);
/// Sizes to try for free dimensions other than the rows: a sentence of tokens, the smallest size, a picture.
const FREE: [usize; 3] = [32, 1, 224];
/// Largest input in bytes.
const LARGEST: usize = 64 << 20;

/// The result of running rows alone and in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    /// Number of rows that gave the same results, within [`tolerance`].
    pub(super) rows: usize,
    /// The shortest run of a single row.
    pub(super) alone: Duration,
    /// The shortest run of a batch of all rows.
    pub(super) together: Duration,
}

/// Runs random rows alone and in random batches, and compares the results within [`tolerance`]. `run` also
/// returns the time of a run.
///
/// The random numbers are the same each time, so a model passes on every start or on none.
///
/// # Errors
/// The output that differed, with the difference; or the model does not run with any of the random rows.
pub(super) fn try_rows(
    facts: &ModelFacts,
    company: usize,
    mut run: impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError>,
) -> Result<Trial, String> {
    let most = company.clamp(2, ROWS);
    let mut obstacle = None;
    for free in FREE {
        for span in [Span::Wide, Span::Narrow] {
            let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
            let Some(pool) = (0..most).map(|_| row(facts, free, span, &mut chance)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            match alone(&pool, &mut run) {
                Ok((answers, alone)) => {
                    let (rows, together) = in_company(facts, &pool, &answers, &mut chance, &mut run)?;
                    return Ok(Trial { rows, alone, together });
                }
                Err(error) => obstacle.get_or_insert(error),
            };
        }
    }
    Err(match obstacle {
        Some(error) => format!("it does not run with random rows: {error}"),
        None => "its rows are too large to be tried".to_owned(),
    })
}

/// The results of single rows, at least two, and the shortest run.
fn alone(
    pool: &[Vec<Tensor>],
    run: &mut impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError>,
) -> Result<(Vec<Vec<Tensor>>, Duration), InferenceError> {
    let began = Instant::now();
    let (mut answers, mut best) = (Vec::new(), Duration::MAX);
    for row in pool {
        if answers.len() >= 2 && began.elapsed() > LONG_ENOUGH {
            break;
        }
        let (answer, took) = run(row.clone())?;
        answers.push(answer);
        best = best.min(took);
    }
    Ok((answers, best))
}

/// Number of rows with the same results in batches as alone, and the shortest run of a batch of all rows.
fn in_company(
    facts: &ModelFacts,
    pool: &[Vec<Tensor>],
    answers: &[Vec<Tensor>],
    chance: &mut Chance,
    run: &mut impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError>,
) -> Result<(usize, Duration), String> {
    let mut best = Duration::MAX;
    let known = answers.len();
    let any: Vec<usize> = (0..known).map(|_| chance.below(known)).collect();
    let half = chance.shuffled(known).split_off(known / 2);
    for company in [chance.shuffled(known), any, chance.shuffled(known), half] {
        let joined = (0..facts.inputs.len()).map(|input| {
            let rows: Option<Vec<&Tensor>> = company.iter().map(|row| pool.get(*row)?.get(input)).collect();
            Tensor::concatenate(&rows?)
        });
        let joined: Vec<Tensor> = joined.collect::<Option<_>>().ok_or("rows of one shape do not fit together")?;
        let (together, took) =
            run(joined).map_err(|error| format!("it does not run with {} rows: {error}", company.len()))?;
        if company.len() == known {
            best = best.min(took);
        }
        for (at, row) in company.iter().enumerate() {
            let alone = answers.get(*row).map(Vec::as_slice).unwrap_or_default();
            for (spec, (alone, together)) in facts.outputs.iter().zip(alone.iter().zip(&together)) {
                let part = together.slice_rows(at, 1).filter(|_| together.rows() == company.len());
                let part = part.filter(|part| part.shape() == alone.shape()).ok_or_else(|| {
                    let (name, rows) = (short(&spec.name), company.len());
                    let (one, all) = (alone.shape(), together.shape());
                    format!("output {name} is {one:?} for a row and {all:?} for {rows}")
                })?;
                if let Some((one, other)) = differs(alone.data(), part.data()) {
                    let name = short(&spec.name);
                    return Err(format!(
                        "output {name} of a row differs in a batch: {one} alone, {other} in the batch"
                    ));
                }
            }
        }
    }
    Ok((known, best))
}

/// The first element that differs by more than another order of summation may change.
fn differs(alone: &TensorData, together: &TensorData) -> Option<(String, String)> {
    fn exact<T: PartialEq + ToString>(one: &[T], other: &[T]) -> Option<(String, String)> {
        one.iter().zip(other).find(|(a, b)| a != b).map(|(a, b)| (a.to_string(), b.to_string()))
    }
    fn near<T: Copy + Into<f64>>(one: &[T], other: &[T], tolerance: f64) -> Option<(String, String)> {
        let pairs = one.iter().zip(other).map(|(a, b)| ((*a).into(), (*b).into()));
        let is_near = |(a, b): &(f64, f64)| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
        };
        let mut apart = pairs.filter(|pair| !is_near(pair));
        apart.next().map(|(a, b): (f64, f64)| (a.to_string(), b.to_string()))
    }
    let tolerance = tolerance(alone.dtype());
    match (alone, together) {
        (TensorData::Bool(a), TensorData::Bool(b)) | (TensorData::U8(a), TensorData::U8(b)) => exact(a, b),
        (TensorData::I32(a), TensorData::I32(b)) => exact(a, b),
        (TensorData::I64(a), TensorData::I64(b)) => exact(a, b),
        (TensorData::F16(a), TensorData::F16(b)) => near(a, b, tolerance),
        (TensorData::Bf16(a), TensorData::Bf16(b)) => near(a, b, tolerance),
        (TensorData::F32(a), TensorData::F32(b)) => near(a, b, tolerance),
        (TensorData::F64(a), TensorData::F64(b)) => near(a, b, tolerance),
        (one, other) => Some((one.dtype().to_string(), other.dtype().to_string())),
    }
}

/// Allowed difference between an element in a batch and alone: absolute for values up to 1, relative for
/// larger values. Integers must be equal. Real models differ by 1e-7 in `f32`.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::Bool | DType::U8 | DType::I32 | DType::I64 => 0.0,
        DType::F16 | DType::Bf16 => 2e-2,
        DType::F32 => 1e-4,
        DType::F64 => 1e-6,
    }
}

/// Range of random numbers. A model may use numbers as indices of a small table, so a narrow range exists.
#[derive(Debug, Clone, Copy)]
enum Span {
    /// Integers from 0 to 99, floats between -1 and 1.
    Wide,
    /// Integers 0 and 1, floats between 0 and 1.
    Narrow,
}

/// Inputs of one row. `None` if they are too large.
fn row(facts: &ModelFacts, free: usize, span: Span, chance: &mut Chance) -> Option<Vec<Tensor>> {
    facts.inputs.iter().map(|spec| tensor(spec, free, span, chance)).collect()
}

fn tensor(spec: &TensorSpec, free: usize, span: Span, chance: &mut Chance) -> Option<Tensor> {
    let size = |(at, dimension): (usize, &Dimension)| match dimension {
        _ if at == 0 => 1,
        Dimension::Fixed(size) => *size,
        Dimension::Free(_) => free,
    };
    let shape: Vec<usize> = spec.shape.iter().enumerate().map(size).collect();
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    count.checked_mul(spec.dtype.size()).filter(|bytes| *bytes <= LARGEST)?;
    let (below, least) = match span {
        Span::Wide => (100, -1.0),
        Span::Narrow => (2, 0.0),
    };
    let mut whole = || u8::try_from(chance.below(below)).unwrap_or(0);
    let data = match spec.dtype {
        DType::Bool => TensorData::Bool((0..count).map(|_| whole() % 2).collect()),
        DType::U8 => TensorData::U8((0..count).map(|_| whole()).collect()),
        DType::I32 => TensorData::I32((0..count).map(|_| whole().into()).collect()),
        DType::I64 => TensorData::I64((0..count).map(|_| whole().into()).collect()),
        DType::F16 => TensorData::F16((0..count).map(|_| f16::from_f32(chance.between(least))).collect()),
        DType::Bf16 => TensorData::Bf16((0..count).map(|_| bf16::from_f32(chance.between(least))).collect()),
        DType::F32 => TensorData::F32((0..count).map(|_| chance.between(least)).collect()),
        DType::F64 => TensorData::F64((0..count).map(|_| chance.between(least).into()).collect()),
    };
    Tensor::new(shape, data).ok()
}

/// Pseudo-random numbers (xorshift, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from((self.next() >> 11) % end).unwrap_or(0)
    }

    /// A number from `least` to 1.
    fn between(&mut self, least: f32) -> f32 {
        let part = f32::from(u16::try_from(self.next() >> 48).unwrap_or(0)) / f32::from(u16::MAX);
        least + (1.0 - least) * part
    }

    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}
