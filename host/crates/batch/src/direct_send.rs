use std::fmt::Debug;

use super::Batch;

/// A way past an [`Inbox`](super::Inbox) for batches that can be processed elsewhere at once. The sender itself
/// delivers the batch while the batch is still in its CPU's cache, and no other thread is woken to pass it on.
///
/// An inbox opens its direct send only while no batch waits in the inbox, so that no batch overtakes another.
pub trait DirectSend: Debug + Send + Sync {
    /// Takes a batch. `coalesced`: within moments, another batch or a call of [`DirectSend::announce`] follows.
    ///
    /// `spare` belongs to the sender. If the payloads of the batch are no longer needed here, the batch's
    /// buffer is moved into `spare`. The sender then writes the next batch into memory that it has just
    /// written.
    ///
    /// # Errors
    /// The batch was not taken, and comes back.
    #[expect(clippy::result_large_err, reason = "the error is the batch itself, which was passed by value too")]
    fn take(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), NotTaken>;

    /// Ends a group of coalesced batches: the receiver must now notice the batches that were taken.
    fn announce(&self);

    /// Tells the consumer that a batch waits in the inbox. Does nothing if the consumer is about to check
    /// anyway, because it waits for an answer.
    fn wake(&self);

    /// Whether so few batches are in flight that senders that found the direct send full should try again.
    fn is_low(&self) -> bool;

    /// Bytes of batches that were taken and not yet processed.
    fn bytes(&self) -> usize;
}

/// The reason why a direct send did not take a batch.
#[derive(Debug)]
pub enum NotTaken {
    /// There is no room until other batches have been processed.
    Full(Batch),
    /// The direct send takes no batches.
    Closed(Batch),
}
