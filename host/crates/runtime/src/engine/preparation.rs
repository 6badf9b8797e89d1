use super::field_reader::Unread;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool};

/// The work on the records of one edge, in the lane that sends them, before the partitioning of the edge.
pub(super) trait Preparation: Send {
    /// Gives records the form and the key that the edge has. Records that cannot have them leave the batch.
    fn prepare(&mut self, batch: Batch, pool: &BatchPool) -> (Batch, Vec<Unread>);

    /// Handles records that [`prepare`](Self::prepare) took out.
    fn refuse(&mut self, refused: Unread) -> Result<(), Stopped>;

    /// Sends gathered records on, because the lane is idle.
    fn flush(&mut self) -> Result<(), Stopped>;

    /// Marks an epoch at its outputs, which must be flushed.
    fn mark(&self, epoch: u64);
}
