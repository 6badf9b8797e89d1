/// What a call of a window operator answers with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum WindowCall {
    /// The call is another one, or the answer comes from another process, which has checked it once.
    #[default]
    Elsewhere,
    /// This number of accumulators. The text is the call's name.
    Accumulates(&'static str, usize),
    /// Records of windows.
    Finishes,
}
