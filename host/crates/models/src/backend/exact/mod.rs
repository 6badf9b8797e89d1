//! Replacements for operators of tract that differ from ONNX at the edges of number ranges.
//!
//! [`register`] gives tract other readers for the nodes of some operators. [`replace`] walks a graph after it
//! was read, with the bodies of its loops and branches, and replaces tract's operators by exact ones. The
//! walk includes operators that tract itself derives from others (tract reads a `Relu` as a maximum).
//!
//! Other modules refuse operators (`super::operators`) and compile graphs.

mod binary;
mod element_wise;
mod import;
mod recurrent;
mod reduce;
mod replace;

pub(super) use import::register;
pub(super) use replace::replace;
