use std::path::{Path, PathBuf};

use sage_models::{Backend, LoadOptions, LoadedModel, NamedTensor, Tensor};
use sage_test_support::{Need, skip};

pub(crate) const OPTIONS: LoadOptions = LoadOptions { threads: 1, memory: None };

/// All real backends that are available on this machine; a missing one is reported as skipped.
pub(crate) fn all() -> Vec<Box<dyn Backend>> {
    let mut backends: Vec<Box<dyn Backend>> = Vec::new();
    #[cfg(feature = "tract")]
    backends.push(Box::new(sage_models::Tract));
    match onnxruntime() {
        Ok(backend) => backends.push(backend),
        Err(why) => skip(Need::Onnxruntime, why),
    }
    backends
}

/// ONNX Runtime, if it is built in and `ORT_DYLIB_PATH` names its library (`make onnxruntime` installs one).
#[cfg(feature = "onnxruntime")]
pub(crate) fn onnxruntime() -> Result<Box<dyn Backend>, String> {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        return Err("ORT_DYLIB_PATH names no library (make onnxruntime)".to_owned());
    }
    Ok(Box::new(sage_models::Onnxruntime::cpu(None).unwrap()))
}

#[cfg(not(feature = "onnxruntime"))]
pub(crate) fn onnxruntime() -> Result<Box<dyn Backend>, String> {
    Err("built without it".to_owned())
}

/// Loads a model, or panics with the backend's name.
pub(crate) fn load(backend: &dyn Backend, model: &[u8]) -> Box<dyn LoadedModel> {
    backend.load(model, &OPTIONS).unwrap_or_else(|error| panic!("{}: {error}", backend.name()))
}

/// Checks the inputs and runs the model, as a queue does.
pub(crate) fn run(model: &dyn LoadedModel, inputs: &[(&str, &Tensor)]) -> Vec<Tensor> {
    let passed =
        inputs.iter().map(|(name, tensor)| NamedTensor { name: (*name).to_owned(), tensor: (*tensor).clone() });
    let (arranged, _) = model.facts().arrange(passed.collect()).unwrap();
    model.run(arranged).unwrap()
}

/// Bytes of a real model in this repository.
pub(crate) fn model_file(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap();
    std::fs::read(root.join(path)).unwrap()
}
