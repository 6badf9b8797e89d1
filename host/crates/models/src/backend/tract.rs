use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use tract_onnx::prelude::{
    Datum, DatumType, InferenceFact, InferenceModel, InferenceModelExt as _, IntoRunnable as _, TDim, TValue, TVec,
    Tensor as TractTensor, TractError, TypedRunnableModel,
};

use super::contained::contained;
use super::exact;
use super::operators::{self, Library};
use super::{Backend, LoadOptions, LoadedModel};
use crate::onnx_file::OnnxFile;
use crate::{DType, Dimension, InferenceError, ModelFacts, Tensor, TensorData, TensorSpec};

/// tract: a library in pure Rust, part of this program, on the CPU.
///
/// A model with free dimensions is compiled once for all sizes if tract can do so, and otherwise once for
/// each shape.
///
/// **Types.** All except bf16, which tract does not read from ONNX.
///
/// **Threads.** One thread. [`LoadOptions::threads`] cannot add more. Several calls may run at once, each on
/// its caller's thread.
///
/// **Memory.** Not bounded here ([`LoadOptions::memory`] is ignored). A process of the device's own is the
/// bound, and that process may die if memory is exhausted. Each input and output is copied once, because
/// tract aligns its tensors for vector instructions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tract;

impl Backend for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn load(&self, model: &[u8], _options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
        let (file, facts, graph) = contained("reading the model", || {
            let file = OnnxFile::parse(model)?;
            let facts = file.facts()?;
            for (side, spec) in sides(&facts) {
                datum_type(spec.dtype).ok_or_else(|| unsupported_type(side, spec))?;
            }
            let graph = parse(&file)?;
            Ok((file, facts, graph))
        })?;
        // The graph has its own copy of all data that it needs.
        drop(file);
        let plans = plans(graph, &facts)?;
        Ok(Box::new(Loaded { facts, plans }))
    }
}

fn plans(graph: InferenceModel, facts: &ModelFacts) -> Result<Plans, InferenceError> {
    let all = || compile(graph.clone(), facts, &Sizes::Any).map_err(|error| refused(&error));
    if !has_free_dimension(facts) {
        return contained("compiling the model", all).map(Plans::OfAllSizes);
    }
    let smallest = smallest(facts);
    let by_size = PlansBySize { graph: Box::new(graph.clone()), known: Mutex::default() };
    let of_smallest = || by_size.of(facts, &smallest).map_err(|error| refused(&error));
    let runs = |plan: &Plan| run(plan, zeros(facts, &smallest)?, facts).map(drop);
    Ok(match one_that_runs(all, of_smallest, runs)? {
        Some(of_all) => Plans::OfAllSizes(of_all),
        None => Plans::BySize(by_size),
    })
}

/// The plan for all sizes, if it runs. `None` if only a plan for the smallest sizes runs. A panic with one
/// plan does not exclude the other.
fn one_that_runs<P>(
    all: impl FnOnce() -> Result<P, InferenceError>,
    of_smallest: impl FnOnce() -> Result<P, InferenceError>,
    runs: impl Fn(&P) -> Result<(), InferenceError>,
) -> Result<Option<P>, InferenceError> {
    let runs = |plan: &P| contained("running the model", || runs(plan)).is_ok();
    let of_all = contained("compiling the model", all);
    if let Ok(plan) = &of_all
        && runs(plan)
    {
        return of_all.map(Some);
    }
    match (of_all, contained("compiling the model", of_smallest)) {
        // The error of the plan for all sizes explains more.
        (Err(of_all), Err(_)) => Err(of_all),
        // If a model does not run with the smallest sizes, no valid sizes are known for a test.
        (Ok(of_all), Err(_)) => Ok(Some(of_all)),
        (Ok(of_all), Ok(plan)) if !runs(&plan) => Ok(Some(of_all)),
        (_, Ok(_)) => Ok(None),
    }
}

struct Loaded {
    facts: ModelFacts,
    plans: Plans,
}

enum Plans {
    OfAllSizes(Plan),
    BySize(PlansBySize),
}

type Plan = Arc<TypedRunnableModel>;

/// The shapes of all inputs.
type Shapes = Vec<Vec<usize>>;

struct PlansBySize {
    graph: Box<InferenceModel>,
    /// Plans in the order of their last use, the most recent at the end.
    known: Mutex<VecDeque<(Shapes, Plan)>>,
}

/// Number of plans to keep for different shapes. The number is small because each plan may have its own
/// packed copy of the weights. A queue that batches rows mostly makes full calls, single-row calls and a few
/// partial calls.
const MOST_PLANS: usize = 8;

impl LoadedModel for Loaded {
    fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError> {
        contained("running the model", || {
            let plan = match &self.plans {
                Plans::OfAllSizes(plan) => Arc::clone(plan),
                Plans::BySize(plans) => {
                    let shapes: Shapes = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
                    plans.of(&self.facts, &shapes).map_err(|error| failed(&error))?
                }
            };
            run(&plan, inputs, &self.facts)
        })
    }
}

fn run(plan: &Plan, inputs: Vec<Tensor>, facts: &ModelFacts) -> Result<Vec<Tensor>, InferenceError> {
    let inputs = inputs.into_iter().map(into_tract).collect::<Result<TVec<_>, _>>().map_err(|e| failed(&e))?;
    let outputs = plan.run(inputs).map_err(|error| failed(&error))?;
    facts.outputs.iter().zip(outputs).map(|(spec, value)| from_tract(spec, &value)).collect()
}

/// Largest size of an input, in bytes, with which a model is tested when it is loaded.
const MOST_ZEROS: usize = 256 << 20;

/// An input of zeros for each shape.
fn zeros(facts: &ModelFacts, shapes: &Shapes) -> Result<Vec<Tensor>, InferenceError> {
    let zero = |(spec, shape): (&TensorSpec, &Vec<usize>)| {
        let bytes = shape.iter().try_fold(spec.dtype.size(), |bytes, &size| bytes.checked_mul(size));
        let bytes = bytes.filter(|bytes| *bytes <= MOST_ZEROS);
        let too_large = || InferenceError::Unsupported(format!("input \"{}\" is {spec}: too much to try", spec.name));
        let zeros = vec![0; bytes.ok_or_else(too_large)?];
        Tensor::read(spec.dtype, shape.clone(), &zeros).map_err(|error| InferenceError::Unsupported(error.to_string()))
    };
    facts.inputs.iter().zip(shapes).map(zero).collect()
}

impl PlansBySize {
    /// The plan for these shapes. Compilation does not hold the lock, so two callers may compile the same
    /// plan; both are then in the list.
    fn of(&self, facts: &ModelFacts, shapes: &Shapes) -> Result<Plan, TractError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = known.iter().position(|(of, _)| of == shapes)
            && let Some(found) = known.remove(at)
        {
            let plan = Arc::clone(&found.1);
            known.push_back(found);
            return Ok(plan);
        }
        drop(known);
        let plan = compile(InferenceModel::clone(&self.graph), facts, &Sizes::These(shapes))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_PLANS {
            known.pop_front();
        }
        known.push_back((shapes.clone(), Arc::clone(&plan)));
        Ok(plan)
    }
}

/// The sizes for which a model is compiled.
enum Sizes<'a> {
    /// Free dimensions stay free.
    Any,
    /// Each input has this shape.
    These(&'a Shapes),
}

fn parse(file: &OnnxFile) -> Result<InferenceModel, InferenceError> {
    // The shapes that the file declares for intermediate values name dimensions of their own. Here these
    // would be other symbols than those of the inputs. tract infers the shapes itself.
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    exact::register(&mut onnx);
    let unknown: Vec<&str> =
        file.operators().into_iter().filter(|operator| !onnx.op_register.0.contains_key(*operator)).collect();
    if !unknown.is_empty() {
        return Err(InferenceError::Unsupported(format!("tract has no operator {}", unknown.join(", "))));
    }
    operators::check(file, Library::Tract)?;
    let parsed = onnx.parse(file.proto(), None).map_err(|error| refused(&error))?;
    if !parsed.unresolved_inputs.is_empty() {
        let missing = parsed.unresolved_inputs.join(", ");
        return Err(InferenceError::Unsupported(format!("the graph uses values that no node produces: {missing}")));
    }
    Ok(parsed.model)
}

fn compile(mut graph: InferenceModel, facts: &ModelFacts, sizes: &Sizes<'_>) -> Result<Plan, TractError> {
    let mut symbols: Vec<(&str, TDim)> = Vec::new();
    for (i, spec) in facts.inputs.iter().enumerate() {
        let shape: TVec<TDim> = match sizes {
            Sizes::These(shapes) => shapes.get(i).into_iter().flatten().map(|&size| TDim::from(size)).collect(),
            Sizes::Any => {
                let dimensions = spec.shape.iter().map(|dimension| match dimension {
                    Dimension::Fixed(size) => TDim::from(*size),
                    Dimension::Free(name) => {
                        match symbols.iter().find(|(known, _)| !name.is_empty() && known == name) {
                            Some((_, symbol)) => symbol.clone(),
                            None => {
                                let symbol = TDim::from(graph.symbols.new_with_prefix("d"));
                                symbols.push((name, symbol.clone()));
                                symbol
                            }
                        }
                    }
                });
                dimensions.collect()
            }
        };
        if let Some(datum_type) = datum_type(spec.dtype) {
            graph.set_input_fact(i, InferenceFact::dt_shape(datum_type, shape))?;
        }
    }
    let mut graph = graph.into_typed()?;
    exact::replace(&mut graph)?;
    graph.into_optimized()?.into_runnable()
}

/// The shapes of all inputs if every free dimension is 1.
fn smallest(facts: &ModelFacts) -> Shapes {
    let size = |dimension: &Dimension| match dimension {
        Dimension::Fixed(size) => *size,
        Dimension::Free(_) => 1,
    };
    facts.inputs.iter().map(|spec| spec.shape.iter().map(size).collect()).collect()
}

fn has_free_dimension(facts: &ModelFacts) -> bool {
    facts.inputs.iter().flat_map(|spec| &spec.shape).any(|dimension| matches!(dimension, Dimension::Free(_)))
}

fn sides(facts: &ModelFacts) -> impl Iterator<Item = (&'static str, &TensorSpec)> {
    let inputs = facts.inputs.iter().map(|spec| ("input", spec));
    inputs.chain(facts.outputs.iter().map(|spec| ("output", spec)))
}

fn unsupported_type(side: &str, spec: &TensorSpec) -> InferenceError {
    InferenceError::Unsupported(format!("{side} \"{}\" is {}, which tract does not read", spec.name, spec.dtype))
}

fn datum_type(dtype: DType) -> Option<DatumType> {
    Some(match dtype {
        DType::Bool => DatumType::Bool,
        DType::U8 => DatumType::U8,
        DType::I32 => DatumType::I32,
        DType::I64 => DatumType::I64,
        DType::F16 => DatumType::F16,
        DType::Bf16 => return None,
        DType::F32 => DatumType::F32,
        DType::F64 => DatumType::F64,
    })
}

fn into_tract(tensor: Tensor) -> Result<TValue, TractError> {
    let (shape, data) = tensor.into_parts();
    let tensor = match data {
        TensorData::Bool(bits) => {
            let bits: Vec<bool> = bits.into_iter().map(|bit| bit != 0).collect();
            TractTensor::from_shape(&shape, &bits)
        }
        TensorData::U8(elements) => TractTensor::from_shape(&shape, &elements),
        TensorData::I32(elements) => TractTensor::from_shape(&shape, &elements),
        TensorData::I64(elements) => TractTensor::from_shape(&shape, &elements),
        TensorData::F16(elements) => TractTensor::from_shape(&shape, &elements),
        TensorData::Bf16(_) => Err(TractError::msg("bf16 was refused when the model was loaded")),
        TensorData::F32(elements) => TractTensor::from_shape(&shape, &elements),
        TensorData::F64(elements) => TractTensor::from_shape(&shape, &elements),
    }?;
    Ok(tensor.into())
}

fn from_tract(spec: &TensorSpec, value: &TractTensor) -> Result<Tensor, InferenceError> {
    // Inside tract, sizes have a type of their own. Outside, they are integers.
    let value = if value.datum_type() == DatumType::TDim {
        value.cast_to::<i64>().map_err(|error| failed(&error))?
    } else {
        std::borrow::Cow::Borrowed(value)
    };
    fn elements<T: Datum + Clone>(value: &TractTensor) -> Result<Vec<T>, InferenceError> {
        let view = value.try_as_plain_ram().and_then(|view| view.as_slice::<T>());
        view.map(<[T]>::to_vec).map_err(|error| failed(&error))
    }
    let data = match spec.dtype {
        DType::Bool => TensorData::Bool(elements::<bool>(&value)?.into_iter().map(u8::from).collect()),
        DType::U8 => TensorData::U8(elements(&value)?),
        DType::I32 => TensorData::I32(elements(&value)?),
        DType::I64 => TensorData::I64(elements(&value)?),
        DType::F16 => TensorData::F16(elements::<f16>(&value)?),
        DType::Bf16 => return Err(unsupported_type("output", spec)),
        DType::F32 => TensorData::F32(elements(&value)?),
        DType::F64 => TensorData::F64(elements(&value)?),
    };
    Tensor::new(value.shape().to_vec(), data).map_err(|error| InferenceError::Backend(error.to_string()))
}

fn refused(error: &TractError) -> InferenceError {
    InferenceError::Unsupported(format!("tract cannot load the model: {}", reason(error)))
}

fn failed(error: &TractError) -> InferenceError {
    InferenceError::Backend(format!("tract: {}", reason(error)))
}

/// tract's chain of errors in one line of limited length. The chain contains names and values from the file.
fn reason(error: &TractError) -> String {
    const LONGEST: usize = 600;
    let mut text = format!("{error:#}").replace('\n', " ");
    if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans = match &self.plans {
            Plans::OfAllSizes(_) => "one for all sizes".to_owned(),
            Plans::BySize(plans) => {
                format!("{} by size", plans.known.lock().unwrap_or_else(PoisonError::into_inner).len())
            }
        };
        f.debug_struct("Loaded").field("facts", &self.facts).field("plans", &plans).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_one_way_of_compiling_or_running_tries_the_other() {
        type Answer = Result<&'static str, InferenceError>;
        let panics = || -> Answer { panic!("as told") };
        let fails = || -> Answer { Err(InferenceError::Backend("no such operator".to_owned())) };
        let all_runs = |_: &&str| Ok(());
        let all_panics = |plan: &&str| if *plan == "all" { panic!("as told") } else { Ok(()) };

        assert_eq!(one_that_runs(panics, || Ok("smallest"), all_runs), Ok(None));
        assert_eq!(one_that_runs(|| Ok("all"), || Ok("smallest"), all_panics), Ok(None));
        assert_eq!(one_that_runs(|| Ok("all"), panics, all_panics), Ok(Some("all")));
        assert_eq!(one_that_runs(|| Ok("all"), || Ok("smallest"), all_runs), Ok(Some("all")));
        let why = "it panicked compiling the model: as told".to_owned();
        assert_eq!(one_that_runs(panics, fails, all_runs), Err(InferenceError::Backend(why)));
    }
}
