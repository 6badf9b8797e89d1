use std::path::Path;

use sage_models::{DType, LoadOptions, LoadedModel, Tensor, cpu_backends, cuda_backends};
use sage_plan::config::BackendChoice;

use super::models::Measured;
use super::served::On;
use crate::figure::Problem;

/// A model that is called without a host, on the same tensor that the guest `map_infers_again` makes.
pub(super) struct Direct {
    model: Box<dyn LoadedModel>,
    inputs: Vec<Tensor>,
}

impl Direct {
    pub(super) fn load(model: &Measured, on: On, backend: &str, rows: usize) -> Result<Self, Problem> {
        let choice = if backend == "tract" { BackendChoice::Tract } else { BackendChoice::Onnxruntime };
        let backends = if on == On::Cuda { cuda_backends(None, None)? } else { cpu_backends(choice, None)? };
        let found = backends.iter().find(|known| known.name() == backend).ok_or("the backend is not there")?;
        let loaded = found.load(&std::fs::read(model.path())?, &LoadOptions { threads: 1, memory: None })?;
        let inputs = vec![tensor(model, rows)?];
        Ok(Self { model: loaded, inputs })
    }

    /// The tensors of one run. A run consumes them, so they are made outside the timed part.
    pub(super) fn inputs(&self) -> Vec<Tensor> {
        self.inputs.clone()
    }

    /// Runs the model. The result is the sum of all output bytes, as in the guest.
    pub(super) fn run(&self, inputs: Vec<Tensor>) -> Result<u64, Problem> {
        let outputs = self.model.run(inputs)?;
        Ok(outputs.iter().flat_map(Tensor::bytes).map(|&byte| u64::from(byte)).sum())
    }
}

/// Element i is i % 64, as in the guest.
pub(super) fn tensor(model: &Measured, rows: usize) -> Result<Tensor, Problem> {
    let shape = model.shape(rows);
    let elements = (0..shape.iter().product::<usize>()).map(|i| (i % 64) as u8);
    let bytes: Vec<u8> = match model.dtype {
        DType::I32 => elements.flat_map(|i| i32::from(i).to_le_bytes()).collect(),
        DType::I64 => elements.flat_map(|i| i64::from(i).to_le_bytes()).collect(),
        DType::F32 => elements.flat_map(|i| f32::from(i).to_le_bytes()).collect(),
        other => return Err(format!("the guest makes no tensor of {other}").into()),
    };
    Ok(Tensor::read(model.dtype, shape, &bytes)?)
}

/// The reason why ONNX Runtime cannot be measured, or `None`.
pub(super) fn no_onnxruntime() -> Option<String> {
    if std::env::var_os("ORT_DYLIB_PATH").is_none_or(|path| !Path::new(&path).exists()) {
        return Some("ORT_DYLIB_PATH names no library (make onnxruntime)".to_owned());
    }
    cpu_backends(BackendChoice::Onnxruntime, None).err().map(|error| error.to_string())
}
