//! Components that no compiler would write. Valid ones are written in the text format, invalid ones as bytes.
//! Each either runs beside a healthy neighbour with an output that must be complete, or is refused before any output
//! exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod at_compile;
mod at_start;
mod beside_a_lane;
mod in_the_cache;
mod on_a_record;
mod refused;
