use std::time::Duration;

/// The believable part of the time that a worker claims: at most the time that has passed. Sums of such times
/// cannot overflow.
pub(super) fn believe(claims: Duration, claimed: &mut Duration, passed: Duration) -> Duration {
    let believed = claims.min(passed.saturating_sub(*claimed));
    *claimed += believed;
    believed
}
