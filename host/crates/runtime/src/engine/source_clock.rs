use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sage_batch::Batch;
use sage_observe::{EventTimeGauge, InstanceCounters};
use sage_plan::WatermarkSpec;
use sage_time::{SourceWatermark, Watermark, WatermarkRule};

/// The event time of an instance of a source.
pub(super) struct SourceClock {
    source: SourceWatermark,
    /// How long the source may be without a record before it counts as idle.
    idle: Option<Duration>,
    idle_advances: bool,
    /// Time of the last record, or of the beginning.
    last: Option<Instant>,
    stage: Arc<str>,
    counters: Arc<InstanceCounters>,
    shown: Arc<EventTimeGauge>,
}

/// How often the event time of an idle source is moved on.
const TICK: Duration = Duration::from_millis(100);

impl SourceClock {
    /// The event time of a source, which goes on where an earlier run was.
    pub(super) fn new(
        spec: &WatermarkSpec,
        saved: Option<i64>,
        stage: Arc<str>,
        counters: Arc<InstanceCounters>,
        shown: Arc<EventTimeGauge>,
    ) -> Self {
        let mut source = SourceWatermark::new(WatermarkRule {
            out_of_order: micros(spec.out_of_order),
            max_ahead: micros(spec.max_ahead),
            idle_advances: spec.idle_advances,
        });
        saved.into_iter().for_each(|time| source.restore(time));
        let WatermarkSpec { idle, idle_advances, .. } = *spec;
        Self { source, idle, idle_advances, last: None, stage, counters, shown }
    }

    /// Takes the event times of records that are about to be sent.
    pub(super) fn saw(&mut self, batch: &Batch) {
        if batch.is_empty() {
            return;
        }
        self.last = Some(Instant::now());
        let Some(times) = batch.timestamps() else { return };
        // A clock before 1970 is 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros);
        let before = self.source.ahead();
        self.source.saw(times, wall);
        let ahead = self.source.ahead() - before;
        if ahead > 0 {
            self.counters.records_ahead.add(ahead);
            if before == 0 {
                let (source, newest) = (&*self.stage, times.iter().max());
                tracing::warn!(
                    source,
                    newest,
                    "event times are ahead of the clock by more than max_ahead (logged once)"
                );
            }
        }
    }

    /// How far event time is behind everything that was sent.
    pub(super) fn watermark(&mut self) -> Watermark {
        let last = *self.last.get_or_insert_with(Instant::now);
        let watermark = match self.idle {
            Some(idle) if last.elapsed() >= idle => self.source.idle_for(micros(last.elapsed())),
            _ => self.source.watermark(),
        };
        self.shown.show(watermark.time);
        watermark
    }

    /// The time until the watermark of a source without records changes.
    pub(super) fn changes_in(&self) -> Option<Duration> {
        let left = self.idle?.saturating_sub(self.last.map_or(Duration::ZERO, |last| last.elapsed()));
        match left.is_zero() {
            false => Some(left),
            true => self.idle_advances.then_some(TICK),
        }
    }

    /// The event time, for an epoch. `None` if there is none.
    pub(super) fn save(&self) -> Option<Vec<u8>> {
        let time = self.source.watermark().time;
        (time != i64::MIN).then(|| time.to_le_bytes().to_vec())
    }
}

/// A time in microseconds, at most the end of the range.
fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
