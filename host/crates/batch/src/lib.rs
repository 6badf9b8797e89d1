//! Records in columns, and the bounded inboxes in which batches wait.
//!
//! Records move through a pipeline as batches of 1 to some thousand records in Arrow-style columns ([`Column`],
//! [`Batch`]). Data from a guest is checked here ([`check_offsets`] and the other checks) before it is used as
//! an index.
//!
//! Invariants:
//!
//! - A [`Column`] is always valid (its fields are private).
//! - Every column of a [`Batch`] has as many entries as its payloads.
//! - No queue here is unbounded.

mod append_rows;
mod batch_rows;
mod bitmap;
mod by_field;
mod check;
mod column;
mod direct_send;
mod edge;
mod event_time;
pub mod fields;
pub mod frames;
mod inbox;
mod inbox_state;
mod origin;
mod pool;
mod popped;
mod producer;
mod record_batch;
mod row_text;
mod shared_room;
pub mod wire;

pub use bitmap::Bitmap;
pub use check::{Malformed, check_bitmap, check_offsets, check_parents, check_rising};
pub use column::Column;
pub use direct_send::{DirectSend, NotTaken};
pub use inbox::Inbox;
pub use origin::Origin;
pub use pool::BatchPool;
pub use popped::{Popped, Refused};
pub use producer::Producer;
pub use record_batch::{Batch, RawColumns, Record};
pub use row_text::RowText;
pub use shared_room::SharedRoom;
