use super::Batch;
use sage_time::Watermark;

/// The result of taking a batch from an inbox.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a batch is passed on and not stored; a box would cost an allocation for each"
)]
pub enum Popped {
    /// A batch, and its number in this inbox (0, 1, 2, …).
    Batch(Batch, u64),
    /// Event time has moved on behind the batches that came before, without another batch. The number is that of a
    /// batch.
    Watermark(Watermark, u64),
    /// No batch came within the timeout.
    Empty,
    /// All producers have marked this epoch, and no batch waits. Nothing comes before the epoch is over.
    Mark(u64),
    /// No producer is left and no batch waits: there will never be more.
    End,
    /// The pipeline stopped.
    Cut,
}

/// A batch that was not taken because the pipeline stopped.
#[derive(Debug)]
pub struct Refused(pub Batch);
