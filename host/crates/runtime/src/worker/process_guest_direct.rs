use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ProcessGuest;
use crate::engine::{DirectGuest, Wakers};
use sage_batch::DirectSend;
use sage_process::Link;
use sage_sandbox::Failure;

impl DirectGuest for ProcessGuest {
    fn direct_send(&self) -> Arc<dyn DirectSend> {
        Arc::clone(&self.in_flight) as Arc<dyn DirectSend>
    }

    fn wait(&mut self, most: Duration) -> Result<(), Failure> {
        let Some(link) = &self.link else { return Ok(()) };
        match link.doze(most) {
            Err(error) if self.in_flight.count() == 0 => {
                let failure = self.lost(&error);
                self.take_all_back(None);
                Err(failure)
            }
            // If a batch is in flight, its answer reports the error.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn is_answered(&mut self) -> bool {
        if self.failed.is_some() || self.link.as_ref().is_none_or(Link::has_bytes) {
            self.silent_since = None;
            return true;
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        self.gone || self.link.as_ref().is_some_and(|link| link.is_overdue(since).is_some())
    }

    fn arm(&mut self, lightly: bool) -> bool {
        self.link.as_ref().is_none_or(|link| link.arm(lightly))
    }

    fn disarm(&mut self, died: bool) -> bool {
        self.gone |= died;
        self.link.as_ref().is_none_or(Link::disarm)
    }

    fn wakers(&self) -> Option<Wakers<'_>> {
        let (doorbell, process) = self.link.as_ref()?.wakers();
        Some(Wakers { doorbell, process: process? })
    }
}
