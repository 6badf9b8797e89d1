use super::Window;

/// The sessions of one key. No two of them overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions<T> {
    /// The sessions by rising start, each with what the caller keeps of it.
    live: Vec<(Window, T)>,
}

impl<T> Sessions<T> {
    /// Sessions that do not overlap, by rising start.
    #[must_use]
    pub fn new(live: Vec<(Window, T)>) -> Self {
        Self { live }
    }

    /// The session that `window` would belong to: the union with all that it overlaps.
    #[must_use]
    pub fn with(&self, window: Window) -> Window {
        let (from, to) = self.overlapping(window);
        let overlapped = self.live.get(from..to).unwrap_or_default();
        overlapped.iter().fold(window, |union, (session, _)| union.union(*session))
    }

    /// The range of the sessions that overlap the window.
    fn overlapping(&self, window: Window) -> (usize, usize) {
        let from = self.live.partition_point(|(session, _)| session.end <= window.start);
        let to = self.live.partition_point(|(session, _)| session.start < window.end);
        (from, to.max(from))
    }

    /// Adds `window`. The sessions that it overlaps become one, for which the caller keeps the result of `keep`: it gets
    /// the one session and those that it is made of, by rising start.
    pub fn join(&mut self, window: Window, keep: impl FnOnce(Window, &[(Window, T)]) -> T) -> Window {
        let session = self.with(window);
        let (from, to) = self.overlapping(window);
        let kept = keep(session, self.live.get(from..to).unwrap_or_default());
        match self.live.get_mut(from).filter(|_| from < to) {
            Some(first) => {
                *first = (session, kept);
                self.live.drain(from + 1..to);
            }
            None => self.live.insert(from, (session, kept)),
        }
        session
    }

    /// The sessions by rising start.
    pub fn iter(&self) -> impl Iterator<Item = &(Window, T)> {
        self.live.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_that_comes_exactly_one_gap_later_begins_a_session() {
        let mut sessions = Sessions::default();
        sessions.join(Window { start: 0, end: 10 }, |_, _| ());
        sessions.join(Window { start: 10, end: 20 }, |_, _| ());
        assert_eq!(sessions.iter().count(), 2);
        let joined = sessions.join(Window { start: 9, end: 19 }, |_, from| assert_eq!(from.len(), 2));
        assert_eq!(joined, Window { start: 0, end: 20 });
    }

    proptest! {
        #[test]
        fn sessions_are_those_of_the_sorted_times_in_any_order(times in prop::collection::vec(-50..50_i64, 0..30), gap in 1..12_i64) {
            let mut sessions: Sessions<usize> = Sessions::default();
            for time in &times {
                let count = |_, from: &[(Window, usize)]| 1 + from.iter().map(|(_, count)| count).sum::<usize>();
                sessions.join(Window { start: *time, end: time + gap }, count);
            }
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let mut naive: Vec<(Window, usize)> = Vec::new();
            for time in sorted {
                match naive.last_mut() {
                    Some((last, count)) if time < last.end => {
                        last.end = time + gap;
                        *count += 1;
                    }
                    _ => naive.push((Window { start: time, end: time + gap }, 1)),
                }
            }
            let found: Vec<_> = sessions.iter().copied().collect();
            prop_assert_eq!(found, naive);
        }
    }
}
