use serde::{Deserialize, Serialize};

use super::Window;

/// How event time is cut into windows. All lengths are microseconds and greater than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowShape {
    /// Windows of `size`, one after the other.
    Tumbling {
        /// Length of a window.
        size: i64,
    },
    /// Windows of `size`, one of which starts each `every`. `every` is at most `size`, so every record has a window.
    Sliding {
        /// Length of a window.
        size: i64,
        /// Distance from the start of one window to the start of the next.
        every: i64,
    },
    /// A window of each spell of activity: it ends when no record came for `gap`.
    Session {
        /// Length of the silence that ends a session.
        gap: i64,
    },
}

/// The windows of an operator: their shape, and how long late records still count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRules {
    /// The shape of the windows.
    pub shape: WindowShape,
    /// Shift of the grid of tumbling and sliding windows from the Unix epoch.
    pub offset: i64,
    /// For how long after its end, by the watermark, a window takes late records. Not negative.
    pub allowed: i64,
}

impl WindowRules {
    /// The tumbling or sliding windows of a record with this time, by rising start; for sessions, the window that the
    /// record has alone.
    ///
    /// `None` means that a window of the record would begin or end outside of the range of times.
    #[must_use]
    pub fn assign(&self, time: i64) -> Option<impl Iterator<Item = Window> + use<>> {
        let (size, every, last) = match self.shape {
            WindowShape::Tumbling { size } => (size, size, self.last_start(time, size)?),
            WindowShape::Sliding { size, every } => (size, every, self.last_start(time, every)?),
            WindowShape::Session { gap } => (gap, gap, time),
        };
        // The windows start at `last`, `last - every`, … as long as they still hold `time`.
        let more = match self.shape {
            WindowShape::Session { .. } => 0,
            _ => (i128::from(size) - 1 - (i128::from(time) - i128::from(last))).div_euclid(i128::from(every)),
        };
        let more = i64::try_from(more.max(0)).ok()?;
        let first = last.checked_sub(more.checked_mul(every)?)?;
        last.checked_add(size)?;
        Some((0..=more).map(move |number| {
            let start = first + number * every;
            Window { start, end: start + size }
        }))
    }

    /// The start of the last window that starts at `time` or before it.
    fn last_start(&self, time: i64, every: i64) -> Option<i64> {
        let behind = (i128::from(time) - i128::from(self.offset)).rem_euclid(i128::from(every));
        i64::try_from(i128::from(time) - behind).ok()
    }

    /// The tumbling window of a record with this time, without a wide division. As [`WindowRules::assign`].
    #[must_use]
    pub fn tumbling(&self, time: i64, size: i64) -> Option<Window> {
        let start = match time.checked_sub(self.offset) {
            Some(shifted) => time.checked_sub(shifted.rem_euclid(size))?,
            None => self.last_start(time, size)?,
        };
        Some(Window { start, end: start.checked_add(size)? })
    }

    /// The watermark from which on a window takes no more records, and is forgotten.
    #[must_use]
    pub fn forgotten_at(&self, window: Window) -> i64 {
        window.end.saturating_add(self.allowed)
    }

    /// Whether a record of this window comes too late.
    #[must_use]
    pub fn is_late(&self, window: Window, watermark: i64) -> bool {
        self.forgotten_at(window) <= watermark
    }

    /// Whether anything may happen to a window when the watermark rises from `before` to `now`: a window may close, or
    /// may be forgotten. A caller may pass over every other step.
    #[must_use]
    pub fn matters(&self, before: i64, now: i64) -> bool {
        let every = match self.shape {
            WindowShape::Tumbling { size } => size,
            WindowShape::Sliding { every, .. } => every,
            WindowShape::Session { .. } => return now > before,
        };
        let size = match self.shape {
            WindowShape::Tumbling { size } | WindowShape::Sliding { size, .. } => size,
            WindowShape::Session { gap } => gap,
        };
        // A window ends at each `offset + size + n * every`.
        let ends = |time: i64, later: i64| {
            let shift = i128::from(self.offset) + i128::from(size) + i128::from(later);
            (i128::from(time) - shift).div_euclid(i128::from(every))
        };
        now > before
            && (now == i64::MAX || ends(before, 0) != ends(now, 0) || {
                self.allowed > 0 && ends(before, self.allowed) != ends(now, self.allowed)
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(shape: WindowShape, offset: i64) -> WindowRules {
        WindowRules { shape, offset, allowed: 0 }
    }

    fn assigned(rules: WindowRules, time: i64) -> Option<Vec<(i64, i64)>> {
        Some(rules.assign(time)?.map(|window| (window.start, window.end)).collect())
    }

    #[test]
    fn records_fall_into_the_windows_that_hold_their_time() {
        let tumbling = WindowShape::Tumbling { size: 10 };
        let sliding = WindowShape::Sliding { size: 10, every: 4 };
        let session = WindowShape::Session { gap: 7 };
        for (shape, offset, time, windows) in [
            (tumbling, 0, 0, Some(vec![(0, 10)])),
            (tumbling, 0, 9, Some(vec![(0, 10)])),
            (tumbling, 0, 10, Some(vec![(10, 20)])),
            (tumbling, 0, -1, Some(vec![(-10, 0)])),
            (tumbling, 3, 2, Some(vec![(-7, 3)])),
            (tumbling, -3, 6, Some(vec![(-3, 7)])),
            (tumbling, 13, 3, Some(vec![(3, 13)])),
            (sliding, 0, 9, Some(vec![(0, 10), (4, 14), (8, 18)])),
            (sliding, 0, 10, Some(vec![(4, 14), (8, 18)])),
            (sliding, 0, -1, Some(vec![(-8, 2), (-4, 6)])),
            (session, 0, -3, Some(vec![(-3, 4)])),
            (tumbling, 0, i64::MAX, None),
            (tumbling, 0, i64::MIN, None),
            (tumbling, i64::MIN, i64::MIN, Some(vec![(i64::MIN, i64::MIN + 10)])),
            (tumbling, i64::MAX, i64::MIN + 5, Some(vec![(i64::MIN + 5, i64::MIN + 15)])),
            (sliding, 0, i64::MIN + 3, None),
            (session, 0, i64::MAX - 6, None),
            (session, 0, i64::MIN, Some(vec![(i64::MIN, i64::MIN + 7)])),
        ] {
            assert_eq!(assigned(rules(shape, offset), time), windows, "{shape:?} + {offset}, {time}");
        }
    }

    #[test]
    fn a_day_with_an_offset_begins_at_local_midnight() {
        const HOUR: i64 = 3_600_000_000;
        let rules = rules(WindowShape::Tumbling { size: 24 * HOUR }, -HOUR);
        assert_eq!(assigned(rules, 23 * HOUR), Some(vec![(23 * HOUR, 47 * HOUR)]));
        assert_eq!(assigned(rules, 23 * HOUR - 1), Some(vec![(-HOUR, 23 * HOUR)]));
    }

    fn shapes() -> impl Strategy<Value = WindowShape> {
        prop_oneof![
            (1..50_i64).prop_map(|size| WindowShape::Tumbling { size }),
            (1..50_i64, 1..50_i64)
                .prop_map(|(one, other)| WindowShape::Sliding { size: one.max(other), every: one.min(other) }),
        ]
    }

    proptest! {
        #[test]
        fn windows_are_those_of_a_search_over_all_starts(shape in shapes(), offset in -100..100_i64, time in -300..300_i64) {
            let (size, every) = match shape {
                WindowShape::Tumbling { size } => (size, size),
                WindowShape::Sliding { size, every } => (size, every),
                WindowShape::Session { gap } => (gap, gap),
            };
            let naive: Vec<(i64, i64)> = (time - size - 1..=time)
                .filter(|start| (start - offset).rem_euclid(every) == 0 && *start <= time && time < start + size)
                .map(|start| (start, start + size))
                .collect();
            let rules = rules(shape, offset);
            prop_assert_eq!(assigned(rules, time), Some(naive.clone()));
            if let WindowShape::Tumbling { size } = shape {
                let window = rules.tumbling(time, size).unwrap();
                prop_assert_eq!(vec![(window.start, window.end)], naive);
            }
        }

        #[test]
        fn a_step_of_the_watermark_that_does_not_matter_closes_and_forgets_nothing(
            shape in shapes(), offset in -100..100_i64, allowed in 0..40_i64, before in -200..200_i64, step in 1..60_i64,
        ) {
            let rules = WindowRules { shape, offset, allowed };
            let now = before + step;
            let happens = (before - 200..now + 1).flat_map(|time| rules.assign(time).into_iter().flatten()).any(|window| {
                let passed = |at: i64| before < at && at <= now;
                passed(window.end) || passed(rules.forgotten_at(window))
            });
            prop_assert!(!happens || rules.matters(before, now));
        }

        #[test]
        fn any_time_and_offset_is_assigned_or_refused(time in any::<i64>(), offset in any::<i64>(), size in 1..i64::MAX) {
            let rules = rules(WindowShape::Tumbling { size }, offset);
            for window in rules.assign(time).into_iter().flatten() {
                prop_assert!(window.contains(time));
                prop_assert_eq!(rules.tumbling(time, size), Some(window));
            }
        }
    }
}
