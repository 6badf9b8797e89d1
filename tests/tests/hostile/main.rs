//! Components that no compiler would write, made by hand: in the text format where they are valid, from bytes where not. Each
//! beside a healthy neighbour whose output must be complete, or refused before anything is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod at_compile;
mod at_start;
mod in_the_cache;
mod on_a_record;
mod refused;
