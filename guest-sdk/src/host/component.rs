use crate::bindings::process::sage::operator::{log as wit_log, metrics};
use crate::log::Level;

pub(crate) use crate::bindings::fields_map::sage::operator::fields_output::{
    columns, emit as field_emit, rows as field_rows,
};
pub(crate) use crate::bindings::process::sage::operator::edges::current as edge;
pub(crate) use crate::bindings::process::sage::operator::output::{emit, failures, keep, keys, payloads, rows};
pub(crate) use crate::bindings::window::sage::operator::windows_output::accumulators;
pub(crate) use metrics::{counter, gauge, histogram};

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit_log::Level::Trace,
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::write(level, message);
}

/// Keyed state; see `wit/imports.wit`.
pub(crate) mod state {
    use crate::bindings::process::sage::operator::state as wit;
    use crate::host::{Entries, Values};
    use crate::types::Column;

    pub(crate) use wit::{delete, map_delete, map_put, put};

    pub(crate) fn get(table: &str, keys: &Column) -> Values {
        let wit::Values { present, values } = wit::get(table, keys);
        Values { present, values }
    }

    pub(crate) fn map_get(table: &str, key: &[u8], subkeys: &Column) -> Values {
        let wit::Values { present, values } = wit::map_get(table, key, subkeys);
        Values { present, values }
    }

    pub(crate) fn map_scan(table: &str, key: &[u8], after: Option<&[u8]>, limit: u32) -> Entries {
        let wit::Entries { subkeys, values } = wit::map_scan(table, key, after, limit);
        Entries { subkeys, values }
    }

    pub(crate) fn keys_scan(table: &str, after: Option<&[u8]>, limit: u32) -> Entries {
        let wit::Entries { subkeys, values } = wit::keys_scan(table, after, limit);
        Entries { subkeys, values }
    }
}

/// Models; see `wit/inference.wit`.
pub(crate) mod inference {
    use crate::bindings::inference::sage::operator::inference as wit;
    use crate::inference::{DType, InferenceError, LeaseEnd, LeaseState, Output, Outputs, Tensor, TensorSpec};

    pub(crate) struct Lease(wit::Lease);
    pub(crate) struct Model(wit::Model);

    pub(crate) fn acquire(patience_ms: u32) -> Result<Lease, InferenceError> {
        wit::Lease::acquire(patience_ms).map(Lease).map_err(error)
    }

    impl Lease {
        pub(crate) fn state(&self) -> LeaseState {
            match self.0.state() {
                wit::LeaseState::Pending => LeaseState::Pending,
                wit::LeaseState::Held => LeaseState::Held,
                wit::LeaseState::Draining => LeaseState::Draining,
                wit::LeaseState::Released => LeaseState::Released,
                wit::LeaseState::Revoked => LeaseState::Revoked,
                wit::LeaseState::Expired => LeaseState::Expired,
                wit::LeaseState::DeviceLost => LeaseState::DeviceLost,
            }
        }

        pub(crate) fn share(&self) -> u32 {
            self.0.share()
        }

        pub(crate) fn open(&self, name: &str) -> Result<Model, InferenceError> {
            self.0.open(name).map(Model).map_err(error)
        }
    }

    impl Model {
        pub(crate) fn inputs(&self) -> Vec<TensorSpec> {
            self.0.inputs().into_iter().map(spec).collect()
        }

        pub(crate) fn outputs(&self) -> Vec<TensorSpec> {
            self.0.outputs().into_iter().map(spec).collect()
        }

        pub(crate) fn run(&self, inputs: &[Tensor<'_>], deadline_ms: Option<u32>) -> Result<Outputs, InferenceError> {
            let lent: Vec<_> = inputs.iter().map(lend).collect();
            let outputs = self.0.run(&lent, deadline_ms).map_err(error)?;
            Ok(Outputs::of(outputs.into_iter().map(output).collect()))
        }
    }

    fn lend<'a>(tensor: &'a Tensor<'_>) -> wit::TensorParam<'a> {
        let dtype = match tensor.dtype() {
            DType::Bool => wit::Dtype::Bool,
            DType::U8 => wit::Dtype::U8,
            DType::I32 => wit::Dtype::I32,
            DType::I64 => wit::Dtype::I64,
            DType::F16 => wit::Dtype::F16,
            DType::Bf16 => wit::Dtype::Bf16,
            DType::F32 => wit::Dtype::F32,
            DType::F64 => wit::Dtype::F64,
        };
        wit::TensorParam { name: tensor.name(), dtype, shape: tensor.shape(), data: tensor.bytes() }
    }

    fn output(tensor: wit::TensorResult) -> Output {
        let wit::TensorResult { name, dtype, shape, data } = tensor;
        Output::new(name, dtype_of(dtype), shape.into_iter().map(|size| size as usize).collect(), data)
    }

    fn spec(spec: wit::TensorSpec) -> TensorSpec {
        let wit::TensorSpec { name, dtype, shape } = spec;
        let shape = shape.into_iter().map(|size| size.map(|size| size as usize)).collect();
        TensorSpec { name, dtype: dtype_of(dtype), shape }
    }

    fn dtype_of(dtype: wit::Dtype) -> DType {
        match dtype {
            wit::Dtype::Bool => DType::Bool,
            wit::Dtype::U8 => DType::U8,
            wit::Dtype::I32 => DType::I32,
            wit::Dtype::I64 => DType::I64,
            wit::Dtype::F16 => DType::F16,
            wit::Dtype::Bf16 => DType::Bf16,
            wit::Dtype::F32 => DType::F32,
            wit::Dtype::F64 => DType::F64,
        }
    }

    #[cold]
    fn error(error: wit::Error) -> InferenceError {
        match error {
            wit::Error::NoLease => InferenceError::NoLease,
            wit::Error::LeaseLost(wit::LeaseEnd::Draining) => InferenceError::LeaseLost(LeaseEnd::Draining),
            wit::Error::LeaseLost(wit::LeaseEnd::Revoked) => InferenceError::LeaseLost(LeaseEnd::Revoked),
            wit::Error::LeaseLost(wit::LeaseEnd::Expired) => InferenceError::LeaseLost(LeaseEnd::Expired),
            wit::Error::DeviceLost(why) => InferenceError::DeviceLost(why),
            wit::Error::UnknownModel(name) => InferenceError::UnknownModel(name),
            wit::Error::DeniedModel(name) => InferenceError::DeniedModel(name),
            wit::Error::BadInput(wit::Mismatch { input, expected, got }) => {
                InferenceError::BadInput { input, expected, got }
            }
            wit::Error::TooLarge(wit::Excess { what, size, limit }) => InferenceError::TooLarge { what, size, limit },
            wit::Error::OutOfMemory(why) => InferenceError::OutOfMemory(why),
            wit::Error::Busy => InferenceError::Busy,
            wit::Error::Deadline => InferenceError::Deadline,
            wit::Error::Unsupported(what) => InferenceError::Unsupported(what),
            wit::Error::Backend(why) => InferenceError::Backend(why),
        }
    }
}
