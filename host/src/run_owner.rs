/// What the watch of a run needs from the command that started it.
pub(super) trait RunOwner: std::fmt::Debug + Send + Sync {
    /// Tells people about a transition of the run. May block.
    fn say(&self, words: &str);

    /// Called when the run was told to drain or to stop. Never blocks.
    fn changed(&self) {}

    /// Name of the drain timeout in messages.
    fn timeout_name(&self) -> &'static str;

    /// Ends the program, although the run has not ended, with a report on the run so far. No step waits without a time
    /// limit, because threads of the run may hold any lock.
    fn leave(&self) -> !;
}
