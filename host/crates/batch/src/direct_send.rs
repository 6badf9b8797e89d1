use std::fmt::Debug;

use super::Batch;

/// A way past an [`Inbox`](super::Inbox) for batches that can be worked on elsewhere at once: whoever sends puts them there itself, while it has
/// them in its CPU's cache, and nobody need be woken to carry them on.
///
/// An inbox opens it while nothing waits in it, so that no batch overtakes another.
pub trait DirectSend: Debug + Send + Sync {
    /// Takes a batch. `coalesced`: another one follows within moments, or [`DirectSend::announce`].
    ///
    /// `spare` is the sender's: a batch whose payloads are not needed here any more leaves it its buffer, so that the next one can be written where the
    /// sender has just written.
    ///
    /// # Errors
    /// The batch comes back.
    #[expect(clippy::result_large_err, reason = "the error is the batch, which was moved in just so")]
    fn take(&self, batch: Batch, coalesced: bool, spare: &mut Vec<u8>) -> Result<(), NotTaken>;

    /// No more comes for now: what was taken coalesced is to be seen.
    fn announce(&self);

    /// There is something for the consumer in the inbox. Nothing happens where it will look anyway, since it has an answer to come.
    fn wake(&self);

    /// Whether so few are under way that those who found it full should come again.
    fn is_low(&self) -> bool;

    /// How many bytes of batches were taken and not worked on yet.
    fn bytes(&self) -> usize;
}

/// Why an direct_send did not take a batch.
#[derive(Debug)]
pub enum NotTaken {
    /// There is no room until others were worked on.
    Full(Batch),
    /// It cannot.
    Closed(Batch),
}
