//! Which operators a library answers as ONNX says, and which models are refused because it does not.
//!
//! A library that leaves out what it does not know answers wrong without a word. So a model is held against a table before the library sees it:
//! each node's operator, attributes, inputs, the type of its elements, and the version of the operator set; nodes in the bodies of branches and
//! loops, and in functions, too. The table was made by what ONNX's own node tests and a sweep over attributes, types and extreme numbers showed.
//!
//! Left to others: whether the library can run the model ([`super::Backend::load`]); operators that are computed exactly in a library's place
//! (`super::exact`).

mod check;
mod element;
mod library;
mod rule;
mod table;

pub(super) use check::check;
pub(super) use library::Library;
