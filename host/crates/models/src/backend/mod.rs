//! Libraries that run models, behind one trait.
//!
//! Each takes the bytes of a file and answers a model that can run. What a library does not know is refused by name when the model is
//! loaded, not when the first row comes; where a library panics or throws, that is an error of that one call.
//!
//! Where a library answers otherwise than ONNX says, without a word, its operators are refused by a table (`operators`); where that would be too much to refuse, they are
//! computed by others (`exact`).
//!
//! Left to others: threads and slots, queues, deadlines ([`super::Runner`] and what is in front of it); whether the file is the declared
//! one, and what a stranger's file may cost ([`super::ExamineElsewhere`]).

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
