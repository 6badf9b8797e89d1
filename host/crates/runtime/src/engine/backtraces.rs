use tracing::level_filters::LevelFilter;

/// Whether a log message can show the call stack of a guest that failed. Guests do without, and fail faster, if none
/// can.
pub(crate) fn backtraces_are_shown() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}
