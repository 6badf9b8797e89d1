//! Whether the rows of a model are independent of each other, as far as the operators of its graph show it.
//!
//! Each value of the graph has a symbolic shape. One dimension of it may be the rows: then what stands at a row depends on that row of the inputs and
//! on constants only. A value without it is the same whatever rows there are. Each operator that is known says what it makes of such shapes; an
//! operator that is unknown, holds a graph, works along the rows, or uses their number as a number, leaves the reason in place of a value.
//! The rows are shown to be independent if each output of the graph has them as its first dimension.
//!
//! **Conservative.** "Not shown" says nothing about the model: its owner may know better. **Bounds.** One pass over the nodes in the order of the file;
//! no constant is computed but short lists of sizes. Nothing is indexed with what the file says.
//!
//! Takes for granted that the inputs of a call have as many rows as each other, and that calls which run together agree in all other dimensions:
//! the queue keeps to both.

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
