use super::Watermark;

/// The watermarks of several streams that come together, and the watermark of what comes of them.
///
/// It is the lowest of all streams that are neither idle nor at their end, and it never falls. If all are idle, it is
/// idle too, and stays, or follows the lowest of the idle streams if these go on. If all have ended, it is
/// [`Watermark::END`].
#[derive(Debug, Clone, Default)]
pub struct Watermarks {
    streams: Vec<Stream>,
    current: Watermark,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    at: Watermark,
    /// Number of its senders that have not left.
    senders: u32,
}

/// A stream and the whole before an [advance](Watermarks::advance).
#[derive(Debug, Clone, Copy)]
pub struct Before {
    stream: Watermark,
    current: Watermark,
}

impl Watermarks {
    /// Adds a stream with one sender, and returns its number. All streams are added before the first advance.
    pub fn join(&mut self) -> usize {
        self.streams.push(Stream { at: Watermark::NONE, senders: 1 });
        self.streams.len() - 1
    }

    /// Adds a sender to a stream. Whatever one of its senders announces holds for all of them.
    pub fn join_as(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.senders += 1;
        }
    }

    /// The watermark of all streams together.
    #[must_use]
    pub fn current(&self) -> Watermark {
        self.current
    }

    /// Takes over the time that an earlier run had reached.
    pub fn restore(&mut self, time: i64) {
        self.current.time = self.current.time.max(time);
    }

    /// The state to [go back](Watermarks::undo) to after the next advance of this stream.
    #[must_use]
    pub fn before(&self, stream: usize) -> Before {
        let at = self.streams.get(stream).map_or(Watermark::NONE, |stream| stream.at);
        Before { stream: at, current: self.current }
    }

    /// Takes back the last advance, which was of this stream.
    pub fn undo(&mut self, stream: usize, before: Before) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.at = before.stream;
        }
        self.current = before.current;
    }

    /// A stream has announced how far it is. Returns the watermark of all together. A lower time than before counts
    /// as the time before.
    pub fn advance(&mut self, stream: usize, to: Watermark) -> Watermark {
        let current = self.current;
        let Some(stream) = self.streams.get_mut(stream).filter(|stream| stream.senders > 0) else { return current };
        let before = stream.at;
        stream.at = Watermark { time: before.time.max(to.time), idle: to.idle };
        // A stream in front of others, which goes on, changes nothing. With a thousand streams, that is nearly every
        // call.
        let is_ahead = before.time > current.time && !before.idle && !to.idle && !current.idle;
        if before != stream.at && !is_ahead {
            self.look();
        }
        self.current
    }

    /// One of the senders of a stream has left. Returns the watermark of all streams together.
    pub fn leave(&mut self, stream: usize) -> Watermark {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.senders = stream.senders.saturating_sub(1);
        }
        self.look();
        self.current
    }

    fn look(&mut self) {
        let live = || self.streams.iter().filter(|stream| stream.senders > 0).map(|stream| stream.at);
        let active = live().filter(|at| !at.idle).map(|at| at.time).min();
        let (lowest, idle) = match (active, live().map(|at| at.time).min()) {
            (Some(active), _) => (active, false),
            (None, Some(idle)) => (idle, true),
            (None, None) => (i64::MAX, false),
        };
        self.current = Watermark { time: self.current.time.max(lowest), idle };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn idle(time: i64) -> Watermark {
        Watermark { time, idle: true }
    }

    /// The watermark after each step of `(stream, watermark)`; `None` means that the stream leaves.
    fn after(streams: usize, steps: &[(usize, Option<Watermark>)]) -> Vec<Watermark> {
        let mut all = Watermarks::default();
        (0..streams).for_each(|stream| assert_eq!(all.join(), stream));
        let step = |&(stream, to): &(usize, Option<Watermark>)| match to {
            Some(to) => all.advance(stream, to),
            None => all.leave(stream),
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn the_slowest_stream_that_is_not_idle_decides() {
        let at = |time| Some(Watermark::at(time));
        let none = Watermark::NONE;
        let cases = [
            ("nothing before all have spoken", 2, vec![(0, at(5)), (1, at(3))], vec![none, Watermark::at(3)]),
            ("it never falls", 1, vec![(0, at(5)), (0, at(3))], vec![Watermark::at(5); 2]),
            (
                "an idle stream is left out",
                2,
                vec![(0, at(5)), (1, Some(idle(i64::MIN)))],
                vec![none, Watermark::at(5)],
            ),
            (
                "a stream that comes back as the only live one moves it on at once",
                2,
                vec![(0, at(5)), (1, at(9)), (0, Some(idle(5))), (1, Some(idle(9))), (0, at(20))],
                vec![none, Watermark::at(5), Watermark::at(9), idle(9), Watermark::at(20)],
            ),
            (
                "a stream that comes back behind the others does not make it fall",
                2,
                vec![(0, Some(idle(i64::MIN))), (1, at(9)), (0, at(1)), (0, at(7)), (0, at(30))],
                vec![Watermark::NONE, Watermark::at(9), Watermark::at(9), Watermark::at(9), Watermark::at(9)],
            ),
            (
                "all idle: it stays, or goes on with the lowest of them",
                2,
                vec![(0, Some(idle(4))), (1, Some(idle(6))), (0, Some(idle(8)))],
                vec![Watermark::NONE, idle(4), idle(6)],
            ),
            (
                "a stream at its end is left out, and the last end is the end",
                2,
                vec![(0, at(5)), (1, None), (0, at(7)), (0, None)],
                vec![none, Watermark::at(5), Watermark::at(7), Watermark::END],
            ),
        ];
        for (what, streams, steps, expected) in cases {
            assert_eq!(after(streams, &steps), expected, "{what}");
        }
    }

    #[test]
    fn a_stream_of_two_senders_ends_with_the_second() {
        let mut all = Watermarks::default();
        let (first, other) = (all.join(), all.join());
        all.join_as(first);
        all.advance(first, Watermark::at(5));
        all.advance(other, Watermark::at(9));
        assert_eq!(all.leave(first), Watermark::at(5));
        assert_eq!(all.leave(first), Watermark::at(9));
    }

    #[test]
    fn it_goes_on_where_an_earlier_run_was() {
        let mut all = Watermarks::default();
        let stream = all.join();
        all.restore(100);
        assert_eq!(all.advance(stream, Watermark::at(5)), Watermark::at(100));
        assert_eq!(all.advance(stream, Watermark::at(101)), Watermark::at(101));
    }

    fn step() -> impl Strategy<Value = (usize, Option<Watermark>)> {
        let at = (-20i64..20, prop::bool::weighted(0.2)).prop_map(|(time, idle)| Watermark { time, idle });
        (0usize..4, prop::option::weighted(0.95, at))
    }

    proptest! {
        #[test]
        fn it_equals_a_plain_model(steps in prop::collection::vec(step(), 0..60)) {
            let mut all = Watermarks::default();
            let mut model = [Some(Watermark::NONE); 4];
            (0..4).for_each(|stream| assert_eq!(all.join(), stream));
            let mut floor = Watermark::NONE;
            for (stream, to) in steps {
                let before = all.before(stream);
                let now = match to {
                    Some(to) => all.advance(stream, to),
                    None => all.leave(stream),
                };
                if let (Some(own), Some(to)) = (model[stream], to) {
                    model[stream] = Some(Watermark { time: own.time.max(to.time), idle: to.idle });
                    all.undo(stream, before);
                    prop_assert_eq!(all.current(), floor);
                    all.advance(stream, to);
                } else if to.is_none() {
                    model[stream] = None;
                }
                let live: Vec<Watermark> = model.iter().flatten().copied().collect();
                let active: Vec<i64> = live.iter().filter(|at| !at.idle).map(|at| at.time).collect();
                let lowest = match (active.iter().min(), live.iter().map(|at| at.time).min()) {
                    (Some(&active), _) => active,
                    (None, Some(idle)) => idle,
                    (None, None) => i64::MAX,
                };
                prop_assert!(now.time >= floor.time);
                prop_assert_eq!(now.time, floor.time.max(lowest));
                prop_assert_eq!(now.idle, !live.is_empty() && active.is_empty());
                floor = now;
            }
        }
    }
}
