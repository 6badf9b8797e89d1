use std::path::Path;

use super::{Backend, InferenceError, LoadOptions, LoadedModel};
use sage_plan::config::BackendChoice;

/// The libraries that run models on this machine's CPUs, the preferred one first. ONNX Runtime's library is
/// loaded only if it is preferred or if its path is given.
///
/// # Errors
/// The preferred library is not part of this build, or its file is missing or broken. The message names it.
pub fn cpu_backends(preferred: BackendChoice, library: Option<&Path>) -> Result<Vec<Box<dyn Backend>>, InferenceError> {
    let mut found: Vec<Box<dyn Backend>> = Vec::new();
    #[cfg(feature = "tract")]
    found.push(Box::new(super::Tract));
    let named = library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some();
    if preferred == BackendChoice::Onnxruntime {
        found.insert(0, onnxruntime(library)?);
    } else if named {
        match onnxruntime(library) {
            Ok(backend) => found.push(backend),
            Err(error) => {
                tracing::warn!(%error, "models that ask for ONNX Runtime cannot be run");
                found.push(Box::new(NotThere { name: BackendChoice::Onnxruntime.name(), why: error }));
            }
        }
    }
    let wanted = match preferred {
        BackendChoice::Auto => found.first().map_or("tract", |backend| backend.name()),
        named => named.name(),
    };
    if found.iter().any(|backend| backend.name() == wanted) {
        return Ok(found);
    }
    Err(InferenceError::Unsupported(format!("this program was built without {wanted} (feature \"{wanted}\")")))
}

/// The libraries that run models on CUDA device number 0 of this process, with at most `memory` bytes in ONNX
/// Runtime's own arena.
///
/// # Errors
/// The errors of [`cpu_backends`].
pub fn cuda_backends(memory: Option<u64>, library: Option<&Path>) -> Result<Vec<Box<dyn Backend>>, InferenceError> {
    #[cfg(feature = "onnxruntime")]
    {
        Ok(vec![Box::new(super::Onnxruntime::cuda(library, 0, memory)?)])
    }
    #[cfg(not(feature = "onnxruntime"))]
    {
        let _ = memory;
        onnxruntime(library).map(|backend| vec![backend])
    }
}

/// A library that is named but cannot be used. Every attempt to load a model with it returns the reason.
#[derive(Debug)]
struct NotThere {
    name: &'static str,
    why: InferenceError,
}

impl Backend for NotThere {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&self, _model: &[u8], _options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
        Err(self.why.clone())
    }
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(library: Option<&Path>) -> Result<Box<dyn Backend>, InferenceError> {
    Ok(Box::new(super::Onnxruntime::cpu(library)?))
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_library: Option<&Path>) -> Result<Box<dyn Backend>, InferenceError> {
    let what = "this program was built without ONNX Runtime (feature \"onnxruntime\")";
    Err(InferenceError::Unsupported(what.to_owned()))
}
