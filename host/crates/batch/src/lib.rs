//! Records in columns, and the bounded places where batches wait.
//!
//! A batch is what moves: 1 to some thousand records as Arrow-style columns ([`Column`], [`Batch`]).
//! Everything that a guest hands over is checked here ([`check_offsets`] and friends) before anybody indexes with it.
//!
//! Invariants: a [`Column`] is always valid (its fields are private); every column of a [`Batch`] has
//! as many entries as its payloads; no queue here is unbounded.

mod bitmap;
mod check;
mod column;
mod direct_send;
mod inbox;
mod origin;
mod pool;
mod record_batch;
pub mod wire;

pub use bitmap::Bitmap;
pub use check::{Malformed, check_bitmap, check_offsets, check_parents, check_rising};
pub use column::Column;
pub use direct_send::{DirectSend, NotTaken};
pub use inbox::{Inbox, Popped, Refused};
pub use origin::Origin;
pub use pool::BatchPool;
pub use record_batch::{Batch, RawColumns, Record};
