//! Operators of tract's that answer otherwise than ONNX says at the edges of numbers, and what is computed in their place.
//!
//! [`register`] gives tract other readers of some operators' nodes; [`replace`] walks a graph that was read, the bodies of its loops and
//! branches too, and puts exact operators in the places of tract's: also of those that tract itself made of others (a `Relu` is a maximum to it).
//!
//! Left to others: operators that are refused (`super::operators`), how a graph is compiled.

mod binary;
mod element_wise;
mod import;
mod recurrent;
mod reduce;
mod replace;

pub(super) use import::register;
pub(super) use replace::replace;
