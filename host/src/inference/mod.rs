//! Models that the host runs for guests, on devices that their instances hold leases on.
//!
//! ```text
//!  guest ─ import ─▶ ModelAccess ─▶ Lease::enter ─▶ queue of the model ─▶ Runner (threads here, or the device's process) ─▶ Backend
//!                      │ open: is the model this operator's?   │ fair by share, batched by rows
//!                      └ errors: a closed enum, never a trap    └ deadline, revocation: the answer is dropped, the guest is told
//! ```
//!
//! - [`Tensor`], [`ModelFacts`]: what goes in and comes out, checked before anything is queued.
//! - [`Backend`], [`LoadedModel`]: a library that runs models. [`Runner`]: where it does, for one device.
//! - [`ModelFile`], [`ModelInspection`], [`ExamineElsewhere`]: a model's file before anybody loads it; it is a stranger's.
//! - [`Lease`]: the right to use a device, which can end while it is used.
//! - [`ModelAccess`]: all of this as one instance sees it; the same trait on both sides of a worker's link.
//!
//! Invariants: nothing runs for a lease that is not held; an answer that comes after its lease ended is dropped; no guest sees a
//! device, a driver or a model's bytes; whatever a guest passes is an answer's error, never a panic here.
//!
//! Left to others: who gets which device (admission), what is written down machine-wide (resources), processes (worker), the
//! shape of the import (sandbox).

mod access;
mod backend;
mod dtype;
mod error;
mod examine;
mod facts;
mod inspection;
mod lease;
mod model_error;
mod model_file;
#[cfg(feature = "tract")]
mod onnx_file;
mod runner;
mod tensor;
#[cfg(feature = "tract")]
mod try_out;

pub use access::{LeaseView, ModelAccess, NoModels};
#[cfg(feature = "onnxruntime")]
pub use backend::Onnxruntime;
#[cfg(feature = "tract")]
pub use backend::Tract;
pub use backend::{Backend, Fake, LoadOptions, LoadedModel, panic_is_an_answer};
pub use dtype::DType;
pub use error::{InferenceError, LeaseEnd};
pub use examine::{ExamineElsewhere, ExamineLimits, Examined, Trial, Tried, examine};
pub use facts::{Dimension, ModelFacts, TensorSpec};
pub use inspection::ModelInspection;
pub use lease::{Lease, LeaseState, LeaseUse};
pub use model_error::ModelError;
pub use model_file::ModelFile;
pub use runner::{RunAnswer, Runner};
pub use tensor::{NamedTensor, Tensor, TensorData, TensorError};
