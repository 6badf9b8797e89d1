use std::sync::Arc;
use std::time::Duration;

use super::control::Stopped;
use super::fate::Fate;
use crate::sandbox::{Carried, Failure, FailureCode, Guest, GuestSpec, KeyedState, Loaded, Pacer};

/// Keeps one lane's guest alive: builds a fresh one after a failure, more slowly the more often in a row, and gives up
/// after `limits.restarts_in_a_row`.
pub(super) struct Keeper {
    loaded: Arc<Loaded>,
    spec: GuestSpec,
    guest: Option<Guest>,
    carried: Option<Carried>,
    in_a_row: u32,
}

/// Restarts in a row that cost nothing but their time: the halving of one batch takes up to 13.
const AT_ONCE: u32 = 32;
/// The first and the longest rest before a restart.
const FIRST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(100);

impl Keeper {
    pub(super) fn new(loaded: Arc<Loaded>, spec: GuestSpec, pacer: Option<Box<dyn Pacer>>) -> Self {
        let carried = Carried { state: KeyedState::new(Arc::clone(&spec.budget)), pacer };
        Self { loaded, spec, guest: None, carried: Some(carried), in_a_row: 0 }
    }

    /// Starts the first guest.
    ///
    /// # Errors
    /// How the start failed; nothing is tried again.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let carried = self
            .carried
            .take()
            .unwrap_or_else(|| Carried { state: KeyedState::new(Arc::clone(&self.spec.budget)), pacer: None });
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

    /// The guest, which is there between [`Keeper::start`] and [`Keeper::close`].
    pub(super) fn guest(&mut self) -> Result<&mut Guest, Failure> {
        self.guest.as_mut().ok_or_else(|| Failure::new(FailureCode::Restarts, "the guest is not running"))
    }

    /// A call succeeded.
    #[inline]
    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// Puts a fresh guest in the place of one that failed.
    ///
    /// # Errors
    /// The run stopped meanwhile, or this failed too often in a row, which stops it.
    pub(super) fn rebuild(&mut self, failure: &Failure, fate: &Fate) -> Result<(), Stopped> {
        let mut last = failure.clone();
        if let Some(guest) = self.guest.take() {
            self.carried = Some(guest.into_carried());
        }
        loop {
            self.in_a_row += 1;
            let allowed = self.spec.limits.restarts_in_a_row;
            if self.in_a_row > allowed {
                fate.errors.breach("restarts_in_a_row");
                let message = format!("rebuilt {allowed} times in a row without a call that succeeded; last: {last}");
                return Err(fate.stage_failed(&Failure::new(FailureCode::Restarts, message)));
            }
            if self.in_a_row > AT_ONCE {
                let doubled = FIRST_REST * 2u32.saturating_pow((self.in_a_row - AT_ONCE).min(10));
                fate.control.pause(doubled.min(LONGEST_REST));
            }
            if fate.control.is_stopped() {
                return Err(Stopped);
            }
            fate.counters.restarts.add(1);
            match self.start() {
                Ok(()) => return Ok(()),
                Err(failure) => last = failure,
            }
        }
    }

    /// Says goodbye to the guest.
    pub(super) fn close(&mut self) -> Result<(), Failure> {
        self.guest.take().map_or(Ok(()), Guest::close)
    }
}
