//! Models that the host runs, on a device that the operator's instance holds a lease on.
//!
//! An operator with `num_gpus` in its `resources` has a [`Lease`]; `models` beside it lists what it may open. The host runs
//! a [`Model`] over all rows that it is handed at once, so an operator that has a batch of records does well to make one call of it:
//! a `process` that takes [`Records`](crate::Records) sees the whole batch.
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
//! Everything answers instead of trapping: [`InferenceError`] says why there is no answer, and after any error the lease and its models can
//! be used on. In a native test [`testing::Model`](crate::testing::Model) stands in for the host's model.
//!
//! What it costs: a tensor's elements are borrowed, and the host reads them where they lie; an answer is written into this operator's memory once
//! and looked at there.

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
