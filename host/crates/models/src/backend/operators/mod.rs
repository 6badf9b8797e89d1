//! The operators that a library computes as ONNX defines, and the check that refuses all other models.
//!
//! A library that ignores unknown parts of a node silently gives wrong results. Therefore a model is compared
//! with a table before the library sees it. The check covers each node's operator, attributes, inputs,
//! element type, and the version of the operator set. Checked are also nodes in the bodies of branches and
//! loops, and in functions. The table results from ONNX's own node tests and from a sweep over attributes,
//! types and extreme numbers.
//!
//! Other modules decide whether the library can run the model ([`super::Backend::load`]), and compute some
//! operators exactly in place of a library (`super::exact`).

mod check;
mod element;
mod library;
mod rule;
mod table;

pub(super) use check::check;
pub(super) use library::Library;
