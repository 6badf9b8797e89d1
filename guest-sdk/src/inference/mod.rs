//! Models that the host runs, on a device on which the operator's instance holds a lease.
//!
//! An operator with `num_gpus` in its `resources` has a [`Lease`]. The list `models` beside `num_gpus` names
//! the models that the operator may open. The host runs a [`Model`] over all rows of a call at once, so an
//! operator should make one call for a whole batch of records. A `process` that takes
//! [`Records`](crate::Records) sees the whole batch.
//!
//! ```
//! use sage_guest::inference::{Lease, Model, Tensor};
//! use sage_guest::{Context, Error, Records};
//!
//! struct Doubler { model: Model }
//!
//! #[sage_guest::process]
//! impl Doubler {
//!     fn open(_: &Context) -> Result<Self, Error> {
//!         Ok(Self { model: Lease::acquire()?.open("doubler")? })
//!     }
//!
//!     fn process_batch(&mut self, numbers: Records<f32>) -> Result<(), Error> {
//!         let column: Vec<f32> = numbers.iter().map(|record| record.payload).collect();
//!         let answer = self.model.run(&[Tensor::new("x", [column.len()], &column)?])?;
//!         let doubled = answer.get("y")?.to_slice::<f32>()?;
//!         numbers.each(doubled, |_, number, out| out.emit(*number))
//!     }
//! }
//! ```
//!
//! Every function returns an error instead of trapping. [`InferenceError`] is the reason, and the lease and its
//! models stay usable after every error. In a native test, [`testing::Model`](crate::testing::Model) replaces
//! the host's model.
//!
//! Cost: the elements of an input tensor are borrowed, and the host reads them directly from guest memory. The
//! host writes an answer into guest memory once, and the operator reads it there.

mod element;
mod error;
mod lease;
mod model;
mod outputs;
mod spec;
mod tensor;

pub use element::{Bf16, DType, Element, F16};
pub use error::{InferenceError, LeaseEnd};
pub use lease::{Lease, LeaseState};
pub use model::Model;
pub use outputs::{Output, Outputs};
pub use spec::TensorSpec;
pub use tensor::Tensor;
