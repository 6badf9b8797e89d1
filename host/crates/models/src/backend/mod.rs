//! Libraries that run models, behind one trait.
//!
//! A library loads a model from the bytes of a file. If a library does not support a part of a model, loading
//! fails and names the part; the failure does not wait for the first row. If a library panics or throws, that
//! call returns an error.
//!
//! Some operators of a library silently give other results than ONNX defines. A table (`operators`) refuses
//! such operators. If a refusal would exclude too many models, exact operators replace them (`exact`).
//!
//! Other modules are responsible for threads and slots, queues and deadlines ([`super::Runner`] and the code
//! before it), for the check that the file is the declared one, and for the cost of an untrusted file
//! ([`super::ExamineElsewhere`]).

mod contained;
#[cfg(feature = "tract")]
mod exact;
mod fake;
mod interface;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
#[cfg(feature = "tract")]
mod operators;
#[cfg(feature = "tract")]
mod tract;

pub use contained::panic_is_an_answer;
pub use fake::Fake;
pub use interface::{Backend, LoadOptions, LoadedModel};
#[cfg(feature = "onnxruntime")]
pub use onnxruntime::Onnxruntime;
#[cfg(feature = "tract")]
pub use tract::Tract;
