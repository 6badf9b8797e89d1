use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::lane_guest::{InFlight, LaneGuest, Measured};
use super::stopped::Stopped;
use sage_sandbox::{
    Answer, Carried, Failure, FailureCode, Guest, GuestSpec, KeyedState, Loaded, LostWindow, Pacer, Progress,
};

/// A guest in the lane's own thread.
pub(super) struct ThreadGuest {
    loaded: Arc<Loaded>,
    spec: GuestSpec,
    guest: Option<Guest>,
    carried: Option<Carried>,
    /// CPU time of the helper threads at the last measurement.
    helpers: Duration,
    /// The batch in flight, and the result of its call.
    called: Option<(InFlight, Result<(), Failure>)>,
}

impl ThreadGuest {
    pub(super) fn new(loaded: Arc<Loaded>, spec: GuestSpec, pacer: Option<Box<dyn Pacer>>) -> Self {
        let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), pacer);
        Self { loaded, spec, guest: None, carried: Some(carried), helpers: Duration::ZERO, called: None }
    }

    /// The guest, which exists between [`LaneGuest::start`] and [`LaneGuest::close`].
    fn guest(&mut self) -> Result<&mut Guest, Failure> {
        self.guest.as_mut().ok_or_else(|| Failure::new(FailureCode::Restarts, "the guest is not running"))
    }
}

impl LaneGuest for ThreadGuest {
    fn start(&mut self) -> Result<(), Failure> {
        if let Some(guest) = self.guest.take() {
            self.carried = Some(guest.into_carried());
        }
        let carried =
            self.carried.take().unwrap_or_else(|| Carried::new(KeyedState::new(Arc::clone(&self.spec.budget)), None));
        match Guest::start(&self.loaded, &self.spec, carried) {
            Ok(guest) => {
                self.guest = Some(guest);
                Ok(())
            }
            Err((failure, carried)) => {
                self.carried = Some(carried);
                Err(failure)
            }
        }
    }

    fn has_room(&self) -> bool {
        self.called.is_none()
    }

    fn in_flight(&self) -> usize {
        usize::from(self.called.is_some())
    }

    fn hand_over(&mut self, held: InFlight) -> Result<(), InFlight> {
        if self.called.is_some() {
            return Err(held);
        }
        let called = self.guest().and_then(|guest| guest.call(&held.batch).map(|_| ()));
        self.called = Some((held, called));
        Ok(())
    }

    fn answer(&mut self) -> Option<(InFlight, Result<&mut Answer, Failure>)> {
        let (held, called) = self.called.take()?;
        Some((held, called.and_then(|()| self.guest()?.answered())))
    }

    fn take_back(&mut self) -> VecDeque<InFlight> {
        VecDeque::new()
    }

    fn next(&mut self, max_records: u32, max_bytes: u32) -> Result<(Progress, &mut Answer), Failure> {
        self.guest()?.next(max_records, max_bytes)
    }

    fn position(&mut self) -> Result<Vec<u8>, Failure> {
        self.guest()?.position()
    }

    fn seek(&mut self, position: &[u8]) -> Result<(), Failure> {
        self.guest()?.seek(position)
    }

    fn end(&mut self) -> Result<&mut Answer, Failure> {
        self.guest()?.end()
    }

    fn advance(&mut self, watermark: i64, most: u32) -> Result<(bool, &mut Answer), Failure> {
        self.guest()?.advance(watermark, most)
    }

    fn has_timers(&self) -> bool {
        self.spec.windows.is_some()
    }

    fn waits_between(&self, before: i64, now: i64) -> bool {
        self.spec.windows.is_none_or(|rules| rules.matters(before, now))
    }

    fn give_up_window(&mut self, watermark: i64) -> Option<LostWindow> {
        let rules = self.spec.windows?;
        let state = match (&mut self.guest, &mut self.carried) {
            (Some(guest), _) => guest.state(),
            (None, Some(carried)) => &mut carried.state,
            (None, None) => return None,
        };
        Some(state.give_up_window(rules, watermark)?.0)
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.guest.take().map_or(Ok(()), Guest::close)
    }

    fn measure(&mut self) -> Measured {
        let Some(guest) = &mut self.guest else { return Measured::default() };
        guest.pace();
        let helpers = guest.helpers_cpu_time();
        let cpu = helpers.saturating_sub(std::mem::replace(&mut self.helpers, helpers));
        Measured {
            cpu,
            throttled: guest.take_throttled(),
            log_bytes_dropped: guest.take_log_bytes_dropped(),
            ..Measured::default()
        }
    }

    fn resting_answer(&mut self) -> Option<&mut Answer> {
        self.guest.as_mut()?.answered().ok()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let Some(carried) = &mut self.carried else { return Ok(()) };
        carried.state.play(state).map_err(|error| error.to_string())
    }

    fn note_changes(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.state.note_unsaved();
        }
    }

    fn save(&mut self, whole: bool, send: &mut dyn FnMut(&[u8]) -> Result<(), Stopped>) -> Result<(), Stopped> {
        match (&mut self.guest, &mut self.carried) {
            (Some(guest), _) => guest.state().save(whole, send),
            (None, Some(carried)) => carried.state.save(whole, send),
            (None, None) => Ok(()),
        }
    }

    fn rest(&mut self) {
        if let Some(guest) = &mut self.guest {
            guest.rest();
        }
    }
}
