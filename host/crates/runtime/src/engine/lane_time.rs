use std::sync::Arc;

use sage_observe::EventTimeGauge;
use sage_time::Watermark;

/// How far event time is in a lane.
pub(super) struct LaneTime {
    reached: Watermark,
    /// The watermark behind the batch that the lane works off.
    due: Watermark,
    shown: Arc<EventTimeGauge>,
}

impl LaneTime {
    /// The event time of a lane, which goes on where an earlier run was. It is `shown` to observers.
    pub(super) fn new(saved: Option<i64>, shown: Arc<EventTimeGauge>) -> Self {
        let reached = saved.map_or(Watermark::NONE, Watermark::at);
        shown.show(reached.time);
        Self { reached, due: reached, shown }
    }

    /// The event time that the lane has reached.
    pub(super) fn reached(&self) -> Watermark {
        self.reached
    }

    /// The lane works off a batch, behind which event time is here.
    pub(super) fn is_due(&mut self, watermark: Watermark) {
        self.due = watermark;
    }

    /// The batch was worked off. Returns the event time that the lane has reached, if it is another one.
    pub(super) fn take_due(&mut self) -> Option<Watermark> {
        let to = Watermark { time: self.due.time.max(self.reached.time), ..self.due };
        if to == self.reached {
            return None;
        }
        self.reached = to;
        self.shown.show(to.time);
        Some(to)
    }

    /// The event time, for an epoch. `None` if there is none.
    pub(super) fn save(&self) -> Option<Vec<u8>> {
        (self.reached.time != i64::MIN).then(|| self.reached.time.to_le_bytes().to_vec())
    }
}
