use std::sync::Arc;

use super::lane_guest::{LaneGuest, Measured};
use crate::batch::Batch;
use crate::sandbox::{Answer, Carried, Failure, FailureCode, Guest, GuestSpec, KeyedState, Loaded, Pacer, Progress};

/// A guest in the lane's own thread.
pub(super) struct ThreadGuest {
    loaded: Arc<Loaded>,
    spec: GuestSpec,
    guest: Option<Guest>,
    carried: Option<Carried>,
    /// How the call over the batch under way went.
    called: Result<(), Failure>,
}

impl ThreadGuest {
    pub(super) fn new(loaded: Arc<Loaded>, spec: GuestSpec, pacer: Option<Box<dyn Pacer>>) -> Self {
        let carried = Carried { state: KeyedState::new(Arc::clone(&spec.budget)), pacer };
        Self { loaded, spec, guest: None, carried: Some(carried), called: Ok(()) }
    }

    /// The guest, which is there between [`LaneGuest::start`] and [`LaneGuest::close`].
    fn guest(&mut self) -> Result<&mut Guest, Failure> {
        self.guest.as_mut().ok_or_else(|| Failure::new(FailureCode::Restarts, "the guest is not running"))
    }
}

impl LaneGuest for ThreadGuest {
    fn start(&mut self) -> Result<(), Failure> {
        if let Some(guest) = self.guest.take() {
            self.carried = Some(guest.into_carried());
        }
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

    fn window(&self) -> usize {
        1
    }

    fn submit(&mut self, batch: &Batch) -> bool {
        self.called = self.guest().and_then(|guest| guest.call(batch).map(|_| ()));
        true
    }

    fn answer(&mut self, _batch: &Batch) -> Result<&mut Answer, Failure> {
        std::mem::replace(&mut self.called, Ok(()))?;
        self.guest()?.answered()
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

    fn close(&mut self) -> Result<(), Failure> {
        self.guest.take().map_or(Ok(()), Guest::close)
    }

    fn measure(&mut self) -> Measured {
        let Some(guest) = &mut self.guest else { return Measured::default() };
        guest.pace();
        Measured {
            throttled: guest.take_throttled(),
            log_bytes_dropped: guest.take_log_bytes_dropped(),
            ..Measured::default()
        }
    }

    fn rest(&mut self) {
        if let Some(guest) = &mut self.guest {
            guest.rest();
        }
    }
}
