//! Runs models for guests, on devices for which their instances hold leases.
//!
//! ```text
//!  guest ─ import ─▶ ModelAccess ─▶ Lease::enter ─▶ queue of the model ─▶ Runner ─▶ Backend
//!                      │                             │                     └ threads here, or the device's process
//!                      │                             ├ fair by share, batched by rows
//!                      │                             └ deadline, revocation: the guest gets an error
//!                      ├ open: does the operator list the model?
//!                      └ errors: a closed enum, never a trap
//! ```
//!
//! - [`Tensor`], [`ModelFacts`]: inputs and outputs, checked before a call is queued.
//! - [`Backend`], [`LoadedModel`]: a library that runs models. [`Runner`]: the place where it runs for one
//!   device. [`ThreadRunner`]: a runner in this process.
//! - [`DeviceQueue`]: the queue in front of a runner, see its folder. [`Turns`]: the turns of runs that share
//!   a device.
//! - [`Device`], [`Devices`]: declared and found devices. [`NvmlReport`]: the answer of the driver.
//! - [`Lease`]: the right to use a device, which can end during use. [`HeldDevices`]: a run's leases, renewed
//!   in the machine's ledger.
//! - [`ModelFile`], [`ModelInspection`], [`ExamineElsewhere`]: a model's file before it is loaded. The file
//!   is untrusted.
//! - [`ModelAccess`]: all of this from the view of one instance. Both ends of a worker's link implement the
//!   same trait.
//!
//! Invariants:
//!
//! - No call runs for a lease that is not held.
//! - A result that comes after its lease ended is dropped.
//! - No guest sees a device, a driver or a model's bytes.
//! - Any input of a guest leads to a result or an error, never to a panic here.
//!
//! Other crates place instances on devices (admission), keep the machine-wide ledger (machine), run worker
//! processes (runtime), and define the import (sandbox).

mod access;
mod backend;
mod backends;
mod compare;
mod device;
mod devices;
mod driven_devices;
mod dtype;
mod error;
mod examine;
mod facts;
mod held_devices;
#[cfg(test)]
mod held_devices_tests;
mod inspection;
mod instance_models;
mod lease;
mod lease_entry;
mod lease_renewer;
mod model_error;
mod model_file;
mod model_service;
mod nvml;
#[cfg(feature = "tract")]
mod onnx_file;
mod open_device;
mod queue;
#[cfg(feature = "tract")]
mod row_analysis;
mod row_independence;
mod row_trial;
mod runner;
mod short_name;
mod tensor;
mod thread_runner;
#[cfg(feature = "tract")]
mod try_out;

pub use access::{LeaseView, ModelAccess, NoModels};
#[cfg(feature = "onnxruntime")]
pub use backend::Onnxruntime;
#[cfg(feature = "tract")]
pub use backend::Tract;
pub use backend::{Backend, Fake, LoadOptions, LoadedModel, panic_is_an_answer};
pub use backends::{cpu_backends, cuda_backends};
pub use compare::{Compared, compare};
pub use device::{Device, DeviceTier};
pub use devices::Devices;
pub use dtype::DType;
pub use error::{InferenceError, LeaseEnd};
pub use examine::{ExamineElsewhere, ExamineLimits, Examined, Trial, Tried, examine};
pub use facts::{Dimension, ModelFacts, TensorSpec};
pub use held_devices::{HeldDevices, InstanceLease};
pub use inspection::ModelInspection;
pub use instance_models::InstanceModels;
pub use lease::{Lease, LeaseState, LeaseUse};
pub use model_error::ModelError;
pub use model_file::ModelFile;
pub use model_service::{ModelService, OTHER_BACKEND, ServiceError};
pub use nvml::{Gpu, GpuPart, NvmlReport};
pub use open_device::{DeviceRequest, LeaseLocks, OpenDevice};
pub use queue::{Batching, DeviceCpus, DeviceQueue, Turns};
pub use row_independence::RowIndependence;
pub use runner::{RunAnswer, Runner};
pub use tensor::{NamedTensor, Tensor, TensorData, TensorError};
pub use thread_runner::{ThreadRunner, ThreadSettings};
