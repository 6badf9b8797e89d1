/// A producer of an [`Inbox`](super::Inbox): the stream whose event time its batches move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer(pub(super) usize);
