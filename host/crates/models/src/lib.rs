//! Models that the host runs for guests, on devices that their instances hold leases on.
//!
//! ```text
//!  guest ─ import ─▶ ModelAccess ─▶ Lease::enter ─▶ queue of the model ─▶ Runner (threads here, or the device's process) ─▶ Backend
//!                      │ open: is the model this operator's?   │ fair by share, batched by rows
//!                      └ errors: a closed enum, never a trap    └ deadline, revocation: the answer is dropped, the guest is told
//! ```
//!
//! - [`Tensor`], [`ModelFacts`]: what goes in and comes out, checked before anything is queued.
//! - [`Backend`], [`LoadedModel`]: a library that runs models. [`Runner`]: where it does, for one device: [`ThreadRunner`] in this process.
//! - [`DeviceQueue`]: the queue in front of one, see its folder. [`Turns`]: among the runs that share a device.
//! - [`Device`], [`Devices`]: what there is to run models on, declared and found. [`NvmlReport`]: what the driver said.
//! - [`Lease`]: the right to use a device, which can end while it is used. [`HeldDevices`]: a run's leases, kept alive in the machine's book.
//! - [`ModelFile`], [`ModelInspection`], [`ExamineElsewhere`]: a model's file before anybody loads it; it is a stranger's.
//! - [`ModelAccess`]: all of this as one instance sees it; the same trait on both sides of a worker's link.
//!
//! Invariants: nothing runs for a lease that is not held; an answer that comes after its lease ended is dropped; no guest sees a
//! device, a driver or a model's bytes; whatever a guest passes is an answer's error, never a panic here.
//!
//! Left to others: who gets which device (admission), what is written down machine-wide (resources), processes (worker), the
//! shape of the import (sandbox).

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
