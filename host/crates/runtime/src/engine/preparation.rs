use std::time::Duration;

use super::field_reader::Unread;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, Producer};
use sage_time::Watermark;

/// The work on the records of one edge, in the lane that sends them, before the partitioning of the edge.
pub(super) trait Preparation: Send {
    /// Gives records the form and the key that the edge has. Records that cannot have them leave the batch.
    fn prepare(&mut self, batch: Batch, pool: &BatchPool) -> (Batch, Vec<Unread>);

    /// Handles records that [`prepare`](Self::prepare) took out.
    fn refuse(&mut self, refused: Unread) -> Result<(), Stopped>;

    /// Sends gathered records on, because the lane is idle.
    fn flush(&mut self) -> Result<(), Stopped>;

    /// Moves event time on at its outputs, behind everything that was sent.
    fn advance(&mut self, to: Watermark);

    /// Tells receivers in silence of the watermark. Returns the time until the next has to be told.
    fn tell_in_silence(&mut self) -> Result<Option<Duration>, Stopped>;

    /// Tells every receiver, which must be flushed, of the watermark at once.
    fn tell(&mut self) -> Result<(), Stopped>;

    /// Marks an epoch at its outputs, which must be flushed.
    fn mark(&mut self, epoch: u64) -> Result<(), Stopped>;

    /// The producers of its outputs, in order.
    fn producers(&mut self) -> Vec<Producer>;

    /// Makes its outputs a part of these producers.
    fn join_as(&mut self, producers: &mut dyn Iterator<Item = Producer>);
}
