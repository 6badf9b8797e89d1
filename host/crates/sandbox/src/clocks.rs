use std::time::Duration;

use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Clocks in whole milliseconds, for guests without a grant of precise time. With them it is hard to measure
/// how long a neighbour's work takes.
pub(super) struct Coarse<C>(C);

const MILLISECOND: Duration = Duration::from_millis(1);

impl Coarse<WallClock> {
    pub(super) fn wall() -> Self {
        Self(WallClock::new())
    }
}

impl Coarse<MonotonicClock> {
    pub(super) fn monotonic() -> Self {
        Self(MonotonicClock::new())
    }
}

impl HostWallClock for Coarse<WallClock> {
    fn resolution(&self) -> Duration {
        MILLISECOND
    }

    fn now(&self) -> Duration {
        let now = self.0.now();
        Duration::new(now.as_secs(), now.subsec_millis() * 1_000_000)
    }
}

impl HostMonotonicClock for Coarse<MonotonicClock> {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.0.now() / 1_000_000 * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_clocks_tell_whole_milliseconds() {
        for _ in 0..100 {
            assert_eq!(Coarse::monotonic().now() % 1_000_000, 0);
            assert_eq!(Coarse::wall().now().subsec_nanos() % 1_000_000, 0);
        }
    }
}
