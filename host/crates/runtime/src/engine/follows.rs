/// The sender's knowledge of the batches behind one that it pushes. Wake-ups depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing. Another batch is likely if one came a moment ago.
    #[default]
    Unknown,
    /// The rest of a run. The first batch wakes the receiver, which then works while the others come.
    Run,
    /// No more of this run: the receiver must not wait for others.
    Last,
    /// The answers to batches that the sender has already. Until then, nothing needs to wake the receiver.
    Answers,
}
