use std::time::Instant;

use half::{bf16, f16};

use super::{DType, Dimension, InferenceError, ModelFacts, Runner, Tensor, TensorData, TensorSpec};

/// The result of comparing the outputs of two libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The outputs agree, in this number of runs.
    Alike(usize),
    /// The outputs differ. The text names the place and both values.
    Apart(String),
    /// The comparison did not happen, or is incomplete. The text gives the reason.
    Not(String),
}

/// The kinds of numbers in made-up inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// Floats between -2 and 2, integers from 0 to 3.
    Ordinary(u64),
    /// Zeros of both signs, and very small numbers.
    Least,
    /// A thousand times the ordinary numbers. Sums and powers also enlarge rounding errors here, so only
    /// infinite results are compared.
    Large,
    /// Ordinary numbers with NaN and infinities among them. The comparison only checks that NaN is kept.
    NotFinite,
}

const RUNS: [Numbers; 6] = [
    Numbers::Ordinary(1),
    Numbers::Ordinary(2),
    Numbers::Ordinary(3),
    Numbers::Least,
    Numbers::Large,
    Numbers::NotFinite,
];
/// Sizes to try for free dimensions, in order. Free dimensions get the same size. The first size with which
/// both libraries run is used.
const SIZES: [usize; 2] = [3, 1];
/// Largest number of elements of an input.
const MOST_ELEMENTS: usize = 1 << 24;
/// Allowed difference of two numbers, relative to the number itself and to the largest number of the output.
const OF_EACH: f64 = 1e-3;
const OF_LARGEST: f64 = 1e-4;
/// Factor by which the allowed difference grows for types of 16 bits.
const IN_SHORT: f64 = 10.0;

/// Runs a model with two libraries on the same made-up inputs. The model is loaded under two names, and
/// `other` is the reference for `one`.
///
/// Blocks until `until` at most, plus the time of one run.
pub fn compare(runner: &dyn Runner, (one, other): (&str, &str), facts: &ModelFacts, until: Instant) -> Compared {
    let mut why = "no library ran it".to_owned();
    for size in SIZES {
        let mut alike = 0;
        for numbers in RUNS {
            let Some(inputs) = inputs(facts, size, numbers) else {
                return Compared::Not("its inputs are too large".to_owned());
            };
            if Instant::now() >= until {
                return Compared::Not(format!("it took too long: {alike} runs agree"));
            }
            let theirs = match runner.run(other, inputs.clone(), until) {
                Ok(answer) => answer.outputs,
                Err(error) => {
                    why = format!("{other} did not run it with sizes of {size}: {error}");
                    continue;
                }
            };
            match runner.run(one, inputs, until) {
                Ok(answer) => {
                    if let Some(apart) = apart(facts, numbers, &answer.outputs, &theirs) {
                        return Compared::Apart(apart);
                    }
                    alike += 1;
                }
                Err(
                    error @ (InferenceError::Deadline | InferenceError::OutOfMemory(_) | InferenceError::DeviceLost(_)),
                ) => return Compared::Not(format!("{alike} runs agree, and then: {error}")),
                Err(error) => return Compared::Apart(format!("{one} fails where {other} answers: {error}")),
            }
        }
        if alike > 0 {
            return Compared::Alike(alike);
        }
    }
    Compared::Not(why)
}

/// Made-up inputs, the same on every call. `None` if an input would be too large.
fn inputs(facts: &ModelFacts, size: usize, numbers: Numbers) -> Option<Vec<Tensor>> {
    let seed = match numbers {
        Numbers::Ordinary(seed) => seed,
        Numbers::Least => 4,
        Numbers::Large => 5,
        Numbers::NotFinite => 6,
    };
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    facts.inputs.iter().map(|spec| input(spec, size, numbers, &mut chance)).collect()
}

fn input(spec: &TensorSpec, size: usize, numbers: Numbers, chance: &mut Chance) -> Option<Tensor> {
    let of = |dimension: &Dimension| match dimension {
        Dimension::Fixed(fixed) => *fixed,
        Dimension::Free(_) => size,
    };
    let shape: Vec<usize> = spec.shape.iter().map(of).collect();
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    if count > MOST_ELEMENTS {
        return None;
    }
    let mut whole = || (chance.draw() % 4) as u8;
    let data = match spec.dtype {
        DType::Bool => TensorData::Bool((0..count).map(|_| whole() % 2).collect()),
        DType::U8 => TensorData::U8((0..count).map(|_| whole()).collect()),
        DType::I32 => TensorData::I32((0..count).map(|_| i32::from(whole())).collect()),
        DType::I64 => TensorData::I64((0..count).map(|_| i64::from(whole())).collect()),
        DType::F16 => TensorData::F16((0..count).map(|at| f16::from_f64(chance.number(numbers, at))).collect()),
        DType::Bf16 => TensorData::Bf16((0..count).map(|at| bf16::from_f64(chance.number(numbers, at))).collect()),
        DType::F32 => TensorData::F32((0..count).map(|at| chance.number(numbers, at) as f32).collect()),
        DType::F64 => TensorData::F64((0..count).map(|at| chance.number(numbers, at)).collect()),
    };
    Tensor::new(shape, data).ok()
}

/// Pseudo-random numbers that are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// A number between -2 and 2.
    fn ordinary(&mut self) -> f64 {
        (self.draw() % 40_001) as f64 / 10_000.0 - 2.0
    }

    fn number(&mut self, numbers: Numbers, at: usize) -> f64 {
        let ordinary = self.ordinary();
        match numbers {
            Numbers::Ordinary(_) => ordinary,
            Numbers::Least => match at % 4 {
                0 => 0.0,
                1 => -0.0,
                2 => 1e-40,
                _ => -1e-7,
            },
            Numbers::Large => ordinary * 1000.0,
            Numbers::NotFinite => match at % 7 {
                2 => f64::NAN,
                4 => f64::INFINITY,
                6 => f64::NEG_INFINITY,
                _ => ordinary,
            },
        }
    }
}

/// The first place where the outputs differ.
fn apart(facts: &ModelFacts, numbers: Numbers, ours: &[Tensor], theirs: &[Tensor]) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!("{} outputs and {}", ours.len(), theirs.len()));
    }
    facts.outputs.iter().zip(ours.iter().zip(theirs)).find_map(|(spec, (ours, theirs))| {
        let said = |what: String| Some(format!("output \"{}\": {what}", spec.name));
        if ours.dtype() != theirs.dtype() || ours.shape() != theirs.shape() {
            let shown = |tensor: &Tensor| format!("{}{:?}", tensor.dtype(), tensor.shape());
            // The number of elements may depend on their values.
            let is_judged = matches!(numbers, Numbers::Ordinary(_) | Numbers::Least);
            return if is_judged { said(format!("{} and {}", shown(ours), shown(theirs))) } else { None };
        }
        let Some((left, right)) = floats(ours).zip(floats(theirs)) else {
            let is_judged = matches!(numbers, Numbers::Ordinary(_) | Numbers::Least) && ours.bytes() != theirs.bytes();
            return if is_judged { said(format!("other {}", ours.dtype())) } else { None };
        };
        let largest = right.iter().filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
        let short = if matches!(ours.dtype(), DType::F16 | DType::Bf16) { IN_SHORT } else { 1.0 };
        let is_apart = |ours: f64, theirs: f64| match numbers {
            Numbers::Ordinary(_) | Numbers::Least => {
                let alike = ours == theirs || (ours.is_nan() && theirs.is_nan());
                let most = short * (OF_EACH * theirs.abs() + OF_LARGEST * largest);
                let near = ours.is_finite() && theirs.is_finite() && (ours - theirs).abs() <= most;
                !(alike || near)
            }
            Numbers::Large => ours.is_finite() != theirs.is_finite(),
            Numbers::NotFinite => theirs.is_nan() && ours.is_finite(),
        };
        let at = left.iter().zip(&right).position(|(&ours, &theirs)| is_apart(ours, theirs))?;
        let (ours, theirs) = (left.get(at)?, right.get(at)?);
        said(format!("element {at} is {ours} and {theirs}"))
    })
}

fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.data() {
        TensorData::F16(all) => Some(all.iter().map(|x| x.to_f64()).collect()),
        TensorData::Bf16(all) => Some(all.iter().map(|x| x.to_f64()).collect()),
        TensorData::F32(all) => Some(all.iter().map(|&x| f64::from(x)).collect()),
        TensorData::F64(all) => Some(all.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_plan::GraphRows;

    fn facts() -> ModelFacts {
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: vec![Dimension::free("rows"), Dimension::Fixed(3)],
        };
        ModelFacts { inputs: vec![spec("x")], outputs: vec![spec("y")], weight_bytes: 0, rows: GraphRows::ByOperators }
    }

    fn row(numbers: [f32; 3]) -> Vec<Tensor> {
        vec![Tensor::new(vec![1, 3], TensorData::F32(numbers.to_vec())).unwrap()]
    }

    #[test]
    fn inputs_are_the_same_each_time_and_have_what_is_extreme() {
        let at = |numbers| inputs(&facts(), 3, numbers).unwrap().remove(0);
        assert_eq!(at(Numbers::Ordinary(1)), at(Numbers::Ordinary(1)));
        assert_ne!(at(Numbers::Ordinary(1)), at(Numbers::Ordinary(2)));
        let odd = floats(&at(Numbers::NotFinite)).unwrap();
        assert!(odd.iter().any(|x| x.is_nan()) && odd.iter().any(|x| x.is_infinite()), "{odd:?}");
    }

    #[test]
    fn what_is_apart_is_told_with_its_place() {
        let cases = [
            (Numbers::Ordinary(1), [1.0, 2.0, 3.0], [1.0, 2.0005, 3.0], None),
            (Numbers::Ordinary(1), [1.0, 2.5, 3.0], [1.0, 2.0, 3.0], Some("output \"y\": element 1 is 2.5 and 2")),
            (Numbers::Ordinary(1), [1.0, f32::NAN, 3.0], [1.0, f32::NAN, 3.0], None),
            (Numbers::Ordinary(1), [1.0, 0.0, 3.0], [1.0, f32::NAN, 3.0], Some("output \"y\": element 1 is 0 and NaN")),
            (Numbers::Large, [1.0, 9e9, 3.0], [1.0, 8e9, 3.0], None),
            (
                Numbers::Large,
                [1.0, f32::INFINITY, 3.0],
                [1.0, 8e9, 3.0],
                Some("output \"y\": element 1 is inf and 8000000000"),
            ),
            (Numbers::NotFinite, [1.0, f32::NAN, 3.0], [1.0, 2.0, 3.0], None),
            (Numbers::NotFinite, [1.0, 2.0, 3.0], [1.0, f32::NAN, 3.0], Some("output \"y\": element 1 is 2 and NaN")),
        ];
        for (numbers, ours, theirs, said) in cases {
            let apart = apart(&facts(), numbers, &row(ours), &row(theirs));
            assert_eq!(apart.as_deref(), said, "{numbers:?} {ours:?} {theirs:?}");
        }
    }
}
