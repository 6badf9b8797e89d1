//! Whether the rows of a model are independent of each other, as far as the operators of its graph show it.
//!
//! Each value of the graph has a symbolic shape. A dimension of the shape may be the rows: then the elements
//! at a row depend only on that row of the inputs and on constants. A value without a row dimension is the
//! same for any rows. Each known operator maps such shapes to its outputs. An operator gives a reason instead
//! of a value if it is unknown, contains a graph, works along the rows, or uses the number of rows as a
//! number. The rows are shown to be independent if each output of the graph has them as its first dimension.
//!
//! **Conservative.** "Not shown" proves nothing about the model; its owner may know better.
//!
//! **Bounds.** The analysis is one pass over the nodes in the order of the file. The only computed constants
//! are short lists of sizes. A number from the file is never used as an unchecked index.
//!
//! The analysis assumes that all inputs of a call have the same number of rows, and that calls in a batch
//! agree in all other dimensions. The queue ensures both.

mod arrange;
mod attributes;
mod content;
mod elementwise;
mod graph;
mod index;
mod linear;
mod operators;
mod reduce;
mod reshape;
mod value;
mod window;

#[cfg(test)]
mod tests;

pub(super) use graph::analyse;
