use std::sync::Arc;
use std::time::Duration;

use super::answers::Outputs;
use super::lane_guest::Wakers;
use super::operator_lane::OperatorLane;
use super::recovery::Step;
use super::stopped::Stopped;
use sage_batch::Inbox;

/// The result of a lane's turn in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The lane took an answer.
    Moved,
    /// The lane waits for its guest, for batches, or for room.
    Waits,
    /// The lane has sent its last output.
    Ended,
}

/// A lane as a member of a chain.
impl OperatorLane {
    /// Takes an answer, if one is available and `can_go_on` is set, and hands over the available
    /// batches.
    pub(super) fn turn(&mut self, outputs: &mut Outputs, can_go_on: bool) -> Result<Turn, Stopped> {
        if !self.recovery.is_empty() {
            // The outputs of a piece are sent before the next piece makes more.
            if !can_go_on {
                return Ok(Turn::Waits);
            }
            self.recover(outputs)?;
            self.supervisor.measure(&self.policy.counters);
            return Ok(Turn::Moved);
        }
        self.inlet.fill(self.supervisor.guest())?;
        if can_go_on && let Some((watermark, ticket)) = self.inlet.take_risen() {
            self.rise(watermark, ticket, outputs)?;
            return Ok(Turn::Moved);
        }
        let guest = self.supervisor.guest();
        if guest.in_flight() > 0 {
            if !can_go_on || !guest.direct().is_none_or(|guest| guest.is_answered()) {
                return Ok(Turn::Waits);
            }
            self.take_answer(outputs)?;
            self.supervisor.measure(&self.policy.counters);
            return Ok(Turn::Moved);
        }
        if let Some(epoch) = self.inlet.take_crossing() {
            self.cross(epoch, outputs)?;
            return Ok(Turn::Moved);
        }
        if !self.inlet.has_ended() {
            return Ok(Turn::Waits);
        }
        if self.windows.is_some() && !self.has_closed && !self.has_ended {
            // What comes of each step is sent before the next.
            self.has_closed = true;
            self.recovery.first(Step::advance(i64::MAX));
            return Ok(Turn::Moved);
        }
        self.end(outputs)?;
        Ok(Turn::Ended)
    }

    /// Returns `true` if this lane has room for a batch.
    pub(super) fn can_take(&mut self) -> bool {
        self.recovery.is_empty() && self.inlet.is_clear() && self.supervisor.guest().has_room()
    }

    /// Sends the gathered outputs.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.supervisor.guest().rest();
        self.outlets.flush()?;
        self.outlets.tell_in_silence()
    }

    /// The time until receivers have to be told of a watermark.
    pub(super) fn tells_in(&mut self) -> Option<Duration> {
        self.outlets.tells_in()
    }

    /// See [`DirectGuest::arm`](super::DirectGuest::arm).
    pub(super) fn arm(&mut self, lightly: bool) -> bool {
        self.supervisor.guest().direct().is_none_or(|guest| guest.arm(lightly))
    }

    /// See [`DirectGuest::disarm`](super::DirectGuest::disarm). A guest whose process has died is replaced
    /// at once if nothing is in flight. Otherwise the next answer reports the death.
    pub(super) fn disarm(&mut self, died: bool) -> Result<bool, Stopped> {
        let guest = self.supervisor.guest();
        let rung = guest.direct().is_none_or(|guest| guest.disarm(died));
        if died && guest.in_flight() == 0 {
            self.wait(&Outputs::default())?;
        }
        Ok(rung || died)
    }

    /// See [`DirectGuest::wakers`](super::DirectGuest::wakers).
    pub(super) fn wakers(&mut self) -> Option<Wakers<'_>> {
        self.supervisor.guest().direct()?.wakers()
    }

    /// Returns `true` if batches bypass this lane on the way to its guest.
    pub(super) fn goes_past(&self) -> bool {
        self.inlet.has_direct_send()
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        self.inlet.inbox()
    }
}
