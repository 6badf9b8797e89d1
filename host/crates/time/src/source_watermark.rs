use super::Watermark;

/// How the watermark of a source follows from the event times of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatermarkRule {
    /// How much older than the newest record a record may be without being late, in microseconds. Not negative.
    pub out_of_order: i64,
    /// How far ahead of the wall clock a record may be and still move the watermark, in microseconds. Not negative.
    pub max_ahead: i64,
    /// Whether the watermark goes on with the clock while the source is idle.
    pub idle_advances: bool,
}

/// The watermark of a source: the newest event time, less the disorder that the rule allows.
///
/// A record that is further ahead of the wall clock than the rule allows does not move it: one wrong clock would make
/// all other records late.
#[derive(Debug, Clone)]
pub struct SourceWatermark {
    rule: WatermarkRule,
    newest: i64,
    /// What an earlier run has announced.
    restored: i64,
    /// What a time of idleness has announced.
    floor: i64,
    ahead: u64,
}

/// Microseconds since the Unix epoch, or a number of them.
type Micros = i64;

impl SourceWatermark {
    /// The watermark of a source that has had no record.
    #[must_use]
    pub fn new(rule: WatermarkRule) -> Self {
        Self { rule, newest: i64::MIN, restored: i64::MIN, floor: i64::MIN, ahead: 0 }
    }

    /// Takes over the watermark of an earlier run.
    pub fn restore(&mut self, time: Micros) {
        self.restored = self.restored.max(time);
    }

    /// Takes the event times of records, at this time of the wall clock.
    pub fn saw(&mut self, times: &[Micros], wall: Micros) {
        let latest = wall.saturating_add(self.rule.max_ahead);
        let mut newest = self.newest;
        for &time in times {
            if time > latest {
                self.ahead += 1;
            } else {
                newest = newest.max(time);
            }
        }
        self.newest = newest;
    }

    /// The source has had no record for this time.
    pub fn idle_for(&mut self, time: Micros) -> Watermark {
        let from = self.of_records();
        if self.rule.idle_advances && from != i64::MIN {
            self.floor = self.floor.max(from.saturating_add(time).min(i64::MAX - 1));
        }
        Watermark { idle: true, ..self.watermark() }
    }

    /// The watermark of a source that is not idle.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        Watermark::at(self.of_records().max(self.floor))
    }

    /// The watermark that follows from records alone.
    fn of_records(&self) -> i64 {
        // The end of the range is the end of the stream.
        let newest = self.newest.saturating_sub(self.rule.out_of_order).min(i64::MAX - 1);
        newest.max(self.restored)
    }

    /// Number of records that were too far ahead.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;
    const RULE: WatermarkRule =
        WatermarkRule { out_of_order: 5 * SECOND, max_ahead: 300 * SECOND, idle_advances: false };
    /// 2026-12-01.
    const NOW: i64 = 1_796_083_200 * SECOND;

    fn after(rule: WatermarkRule, times: &[i64]) -> SourceWatermark {
        let mut source = SourceWatermark::new(rule);
        source.saw(times, NOW);
        source
    }

    #[test]
    fn it_is_the_newest_time_less_the_disorder() {
        let cases = [
            (vec![], i64::MIN),
            (vec![NOW], NOW - 5 * SECOND),
            (vec![NOW, NOW - 60 * SECOND], NOW - 5 * SECOND),
            (vec![-1], -1 - 5 * SECOND),
            (vec![i64::MIN], i64::MIN),
            (vec![NOW + 300 * SECOND], NOW + 295 * SECOND),
        ];
        for (times, expected) in cases {
            assert_eq!(after(RULE, &times).watermark(), Watermark::at(expected), "{times:?}");
        }
    }

    #[test]
    fn a_record_of_the_year_2126_moves_nothing_and_is_counted() {
        let far = 4_923_000_000 * SECOND;
        let mut source = after(RULE, &[NOW, far, i64::MAX]);
        assert_eq!((source.watermark().time, source.ahead()), (NOW - 5 * SECOND, 2));
        source.saw(&[NOW + SECOND], NOW + SECOND);
        assert_eq!(source.watermark().time, NOW - 4 * SECOND);
    }

    #[test]
    fn a_wall_clock_that_jumps_back_does_not_make_it_fall() {
        let mut source = after(RULE, &[NOW]);
        source.saw(&[NOW + SECOND], NOW - 86_400 * SECOND);
        assert_eq!((source.watermark().time, source.ahead()), (NOW - 5 * SECOND, 1));
    }

    #[test]
    fn an_idle_source_stays_or_goes_on_with_the_clock() {
        let mut stays = after(RULE, &[NOW]);
        assert_eq!(stays.idle_for(30 * SECOND), Watermark { time: NOW - 5 * SECOND, idle: true });
        let rule = WatermarkRule { idle_advances: true, ..RULE };
        let mut goes_on = after(rule, &[NOW]);
        assert_eq!(goes_on.idle_for(30 * SECOND), Watermark { time: NOW + 25 * SECOND, idle: true });
        goes_on.saw(&[NOW + SECOND], NOW + 31 * SECOND);
        assert_eq!(goes_on.watermark(), Watermark::at(NOW + 25 * SECOND), "it does not fall afterwards");
        let mut new = SourceWatermark::new(rule);
        assert_eq!(new.idle_for(SECOND).time, i64::MIN, "there is nothing to go on from");
        new.restore(NOW);
        assert_eq!(new.idle_for(SECOND).time, NOW + SECOND, "it goes on from where an earlier run was");
    }

    proptest! {
        #[test]
        fn it_never_falls_and_never_says_that_the_stream_has_ended(
            steps in prop::collection::vec((any::<i64>(), any::<i64>(), any::<bool>()), 0..40),
            out_of_order in 0..i64::MAX,
            max_ahead in 0..i64::MAX,
            idle_advances: bool,
        ) {
            let mut source = SourceWatermark::new(WatermarkRule { out_of_order, max_ahead, idle_advances });
            let mut before = i64::MIN;
            for (time, wall, idle) in steps {
                if idle {
                    source.idle_for(wall.saturating_abs());
                } else {
                    source.saw(&[time], wall);
                }
                let now = source.watermark().time;
                prop_assert!(now >= before && now < i64::MAX);
                before = now;
            }
        }
    }
}
