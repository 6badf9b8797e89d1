/// Nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a clock is not that precise")]
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
