use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::{bf16, f16};
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider as _};
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor as OrtTensor, TensorElementType, ValueType};
use ort::{Error, ErrorCode, LoadDynamicError};

use super::contained::contained;
#[cfg(feature = "tract")]
use super::operators::{self, Library};
use super::{Backend, LoadOptions, LoadedModel};
use crate::{DType, Dimension, InferenceError, ModelFacts, Tensor, TensorData, TensorSpec};
use sage_plan::GraphRows;

/// ONNX Runtime. The shared library is loaded when this value is made.
///
/// **Devices.** The CPU, or one CUDA device. A model that CUDA cannot run as a whole is refused at load; no
/// part of it falls back to the CPU.
///
/// **Threads.** A run uses its caller's thread and [`LoadOptions::threads`] - 1 threads of the model, which
/// sleep while they have no work. Runs of one model are sequential. Runs of different models do not wait for
/// each other.
///
/// **Memory.** Inputs are moved, outputs are copied once. On CUDA, the smaller of [`LoadOptions::memory`] and
/// the device's own limit bounds the arena for weights and values. The driver's context and the memory of its
/// libraries are not bounded. On the CPU nothing is bounded here.
#[derive(Debug)]
pub struct Onnxruntime {
    environment: Environment,
    device: Device,
}

#[derive(Debug, Clone, Copy)]
enum Device {
    Cpu,
    Cuda { id: i32, memory: Option<u64> },
}

/// The library that this process has loaded, and its environment. ort keeps them until the process ends and
/// supports only one, so this is a static.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

impl Onnxruntime {
    /// ONNX Runtime on the CPU. `library` is the path of `libonnxruntime.so`. Without it, `ORT_DYLIB_PATH`
    /// gives the path. Without both, the dynamic loader searches for that name. Loading runs the library's
    /// code, so the library is trusted like this program.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] with the library's name: the library is missing, is not ONNX Runtime,
    /// or is older than 1.17; or this process has already loaded another one.
    pub fn cpu(library: Option<&Path>) -> Result<Self, InferenceError> {
        Ok(Self { environment: load(library)?, device: Device::Cpu })
    }

    /// ONNX Runtime on the CUDA device with this number, as CUDA counts the devices that this process may
    /// see. `memory` is the limit of each model's arena in bytes.
    ///
    /// # Errors
    /// The errors of [`Onnxruntime::cpu`]; or the library was built without CUDA. A missing device is an
    /// error only when a model is loaded.
    pub fn cuda(library: Option<&Path>, device: u32, memory: Option<u64>) -> Result<Self, InferenceError> {
        let environment = load(library)?;
        let no_cuda = |why: String| InferenceError::Unsupported(format!("ONNX Runtime has no CUDA here: {why}"));
        let id = i32::try_from(device).map_err(|_| no_cuda(format!("there is no device {device}")))?;
        match contained("looking for CUDA", || ep::CUDA::is_available().map_err(|error| no_cuda(error.to_string())))? {
            true => Ok(Self { environment, device: Device::Cuda { id, memory } }),
            false => Err(no_cuda("its library was built without it".to_owned())),
        }
    }

    fn session(&self, model: &[u8], options: &LoadOptions) -> ort::Result<Session> {
        let mut builder = Session::builder(&self.environment)?
            .with_log_level(LogLevel::Error)?
            .with_intra_threads(options.threads.max(1))?
            // A spinning thread takes CPU time from other threads on its core, and counts as work.
            .with_intra_op_spinning(false)?
            .with_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)?;
        if let Device::Cuda { id, memory } = self.device {
            let mut cuda = ep::CUDA::default()
                .with_device_id(id)
                // With TF32, matrix products have 10 bits of mantissa, and results differ from a CPU's in the
                // third digit.
                .with_tf32(false)
                // The default strategy doubles the arena. It takes up to twice the used memory, so it would
                // fail below the limit.
                .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
            if let Some(limit) = [memory, options.memory].into_iter().flatten().min() {
                cuda = cuda.with_memory_limit(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            builder =
                builder.with_disable_cpu_fallback()?.with_execution_providers([cuda.build().error_on_failure()])?;
        }
        builder.commit_from_memory(model)
    }
}

/// The folder for weights in other files. No file can exist below a device node, so a model must be a single
/// file.
const NO_FOLDER: &str = "/dev/null";

fn load(library: Option<&Path>) -> Result<Environment, InferenceError> {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let library = library.map(Path::to_path_buf).or(named).unwrap_or_else(|| PathBuf::from("libonnxruntime.so"));
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, environment)) = &*loaded {
        if *of == library {
            return Ok(environment.clone());
        }
        let (of, wanted) = (of.display(), library.display());
        let reason = format!("this process has loaded ONNX Runtime from {of} and cannot load {wanted} beside it");
        return Err(InferenceError::Unsupported(reason));
    }
    let refused = |error: &dyn fmt::Display| {
        InferenceError::Unsupported(format!("cannot load ONNX Runtime from {}: {error}", library.display()))
    };
    // The dynamic loader blocks on a pipe until it has a writer, and reads the kernel's own files without
    // end.
    if library.components().count() > 1 {
        match std::fs::metadata(&library) {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {}
            Ok(metadata) if metadata.is_file() => return Err(refused(&"it has no bytes")),
            Ok(_) => return Err(refused(&"it is no plain file")),
            Err(error) => return Err(refused(&error)),
        }
    }
    let environment = contained("loading ONNX Runtime", || {
        let builder = ort::init_from(&library).map_err(|error| refused(&why_not_opened(&error)))?;
        let builder = builder.with_name("sage-host").with_telemetry(false).with_logger(Arc::new(log));
        let environment = builder.build().map_err(|error| refused(&error))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    })
    .map_err(|error| match error {
        InferenceError::Backend(panicked) => refused(&panicked),
        other => other,
    })?;
    *loaded = Some((library, environment.clone()));
    Ok(environment)
}

/// The message of the dynamic loader. ort's own message says only that loading failed.
fn why_not_opened(error: &LoadDynamicError) -> String {
    let loader = match error {
        LoadDynamicError::Dlopen { error, .. } => std::error::Error::source(error).map(ToString::to_string),
        _ => None,
    };
    loader.unwrap_or_else(|| error.to_string())
}

fn log(level: LogLevel, category: &str, _id: &str, place: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::warn!(target: "onnxruntime", category, place, "{message}"),
        LogLevel::Warning => tracing::info!(target: "onnxruntime", category, place, "{message}"),
        _ => tracing::trace!(target: "onnxruntime", category, place, "{message}"),
    }
}

impl Backend for Onnxruntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn load(&self, model: &[u8], options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
        let file = parsed(model)?;
        contained("loading the model", || {
            let session = self.session(model, options).map_err(|error| not_loaded(&error))?;
            let facts = file.told(ModelFacts {
                inputs: specs("input", session.inputs())?,
                outputs: specs("output", session.outputs())?,
                weight_bytes: 0,
                rows: GraphRows::default(),
            });
            Ok(Box::new(Loaded { facts, session: Mutex::new(session) }) as Box<dyn LoadedModel>)
        })
    }
}

struct Loaded {
    facts: ModelFacts,
    /// ort allows one run at a time.
    session: Mutex<Session>,
}

impl LoadedModel for Loaded {
    fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError> {
        contained("running the model", || {
            let inputs = inputs.into_iter().map(into_ort).collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            let outputs = session.run::<0>(inputs.as_slice()).map_err(|error| failed(&error))?;
            self.facts.outputs.iter().zip(outputs.values()).map(|(spec, value)| from_ort(spec, &value)).collect()
        })
    }
}

/// Facts from the file that the session does not know, for a model with operators that the library computes
/// correctly. A build that cannot parse the file counts all its bytes as weights, which is nearly right.
struct Parsed {
    #[cfg(feature = "tract")]
    file: crate::onnx_file::OnnxFile,
    #[cfg(not(feature = "tract"))]
    bytes: u64,
}

#[cfg(feature = "tract")]
fn parsed(model: &[u8]) -> Result<Parsed, InferenceError> {
    contained("reading the model", || {
        let file = crate::onnx_file::OnnxFile::parse(model)?;
        operators::check(&file, Library::Onnxruntime)?;
        Ok(Parsed { file })
    })
}

#[cfg(not(feature = "tract"))]
fn parsed(model: &[u8]) -> Result<Parsed, InferenceError> {
    Ok(Parsed { bytes: model.len() as u64 })
}

impl Parsed {
    #[cfg(feature = "tract")]
    fn told(&self, facts: ModelFacts) -> ModelFacts {
        ModelFacts { weight_bytes: self.file.weight_bytes(), rows: self.file.rows(&facts), ..facts }
    }

    #[cfg(not(feature = "tract"))]
    fn told(&self, facts: ModelFacts) -> ModelFacts {
        let why = "this sage-host was built without tract, which reads graphs";
        ModelFacts { weight_bytes: self.bytes, rows: GraphRows::NotShown(why.to_owned()), ..facts }
    }
}

fn specs(side: &str, outlets: &[ort::value::Outlet]) -> Result<Vec<TensorSpec>, InferenceError> {
    let unsupported = |name: &str, what: String| {
        InferenceError::Unsupported(format!("{side} \"{name}\" is {what}, which cannot be passed to models"))
    };
    let spec = |outlet: &ort::value::Outlet| {
        let name = outlet.name();
        let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
            return Err(unsupported(name, "no tensor".to_owned()));
        };
        let dtype = dtype(*ty).ok_or_else(|| unsupported(name, ty.to_string()))?;
        let dimension = |(i, size): (usize, &i64)| {
            let name = || dimension_symbols.get(i).map_or("", String::as_str);
            usize::try_from(*size).map_or_else(|_| Dimension::free(name()), Dimension::Fixed)
        };
        Ok(TensorSpec { name: name.to_owned(), dtype, shape: shape.iter().enumerate().map(dimension).collect() })
    };
    outlets.iter().map(spec).collect()
}

fn dtype(of: TensorElementType) -> Option<DType> {
    Some(match of {
        TensorElementType::Bool => DType::Bool,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Bfloat16 => DType::Bf16,
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float64 => DType::F64,
        _ => return None,
    })
}

fn into_ort(tensor: Tensor) -> ort::Result<SessionInputValue<'static>> {
    let (shape, data) = tensor.into_parts();
    Ok(match data {
        TensorData::Bool(bits) => {
            let bits: Vec<bool> = bits.into_iter().map(|bit| bit != 0).collect();
            OrtTensor::from_array((shape, bits))?.into()
        }
        TensorData::U8(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::I32(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::I64(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::F16(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::Bf16(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::F32(elements) => OrtTensor::from_array((shape, elements))?.into(),
        TensorData::F64(elements) => OrtTensor::from_array((shape, elements))?.into(),
    })
}

fn from_ort(spec: &TensorSpec, value: &DynValue) -> Result<Tensor, InferenceError> {
    fn elements<T: PrimitiveTensorElementType + Clone>(value: &DynValue) -> Result<Vec<T>, InferenceError> {
        Ok(value.try_extract_tensor::<T>().map_err(|error| failed(&error))?.1.to_vec())
    }
    let data = match spec.dtype {
        DType::Bool => TensorData::Bool(elements::<bool>(value)?.into_iter().map(u8::from).collect()),
        DType::U8 => TensorData::U8(elements(value)?),
        DType::I32 => TensorData::I32(elements(value)?),
        DType::I64 => TensorData::I64(elements(value)?),
        DType::F16 => TensorData::F16(elements::<f16>(value)?),
        DType::Bf16 => TensorData::Bf16(elements::<bf16>(value)?),
        DType::F32 => TensorData::F32(elements(value)?),
        DType::F64 => TensorData::F64(elements(value)?),
    };
    let wrong = |reason: String| InferenceError::Backend(format!("ONNX Runtime: output \"{}\": {reason}", spec.name));
    let shape: Option<Vec<usize>> =
        value.dtype().tensor_shape().and_then(|shape| shape.iter().map(|&size| usize::try_from(size).ok()).collect());
    let shape = shape.ok_or_else(|| wrong("it has no shape".to_owned()))?;
    Tensor::new(shape, data).map_err(|error| wrong(error.to_string()))
}

fn not_loaded(error: &Error) -> InferenceError {
    match error.code() {
        ErrorCode::NotImplemented
        | ErrorCode::InvalidGraph
        | ErrorCode::InvalidProtobuf
        | ErrorCode::InvalidArgument
        | ErrorCode::NoModel => {
            InferenceError::Unsupported(format!("ONNX Runtime cannot load the model: {}", error.message()))
        }
        _ => failed(error),
    }
}

fn failed(error: &Error) -> InferenceError {
    judge(error.code(), error.message())
}

/// Parts of the messages of ONNX Runtime, its arena, CUDA and its libraries when memory is exhausted. There
/// is no error code for this.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of memory",
    "failed to allocate memory",
    "is smaller than requested bytes",
    "bad allocation",
    "bad_alloc",
    "status_alloc_failed",
];
/// CUDA errors about the choice of a device. The device is unchanged after them.
const NO_SUCH_DEVICE: [&str; 2] = ["invalid device ordinal", "no cuda-capable device"];

fn judge(code: ErrorCode, message: &str) -> InferenceError {
    let low = message.to_lowercase();
    let any = |of: &[&str]| of.iter().any(|words| low.contains(words));
    if any(&OUT_OF_MEMORY) {
        return InferenceError::OutOfMemory(message.to_owned());
    }
    // Every other CUDA error stays in the process's context, so later calls fail too.
    if code == ErrorCode::DeviceReset || (low.contains("cuda failure") && !any(&NO_SUCH_DEVICE)) {
        return InferenceError::DeviceLost(message.to_owned());
    }
    InferenceError::Backend(format!("ONNX Runtime: {message}"))
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("facts", &self.facts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_missing() {
        let cases = [
            ("Failed to allocate memory for requested buffer of size 17179869184", "out-of-memory"),
            ("Available memory of 1048576 is smaller than requested bytes of 4194304", "out-of-memory"),
            ("CUDA failure 2: out of memory ; GPU=0 ; hostname=h", "out-of-memory"),
            ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", "out-of-memory"),
            ("CUDA failure 700: an illegal memory access was encountered", "device-lost"),
            ("CUDA failure 101: invalid device ordinal", "backend"),
            ("Non-zero status code returned while running Gather node", "backend"),
        ];
        for (message, code) in cases {
            assert_eq!(judge(ErrorCode::GenericFailure, message).code(), code, "{message}");
        }
        assert_eq!(judge(ErrorCode::DeviceReset, "").code(), "device-lost");
    }
}
