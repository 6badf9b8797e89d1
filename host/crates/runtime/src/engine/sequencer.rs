use std::sync::{Condvar, Mutex, PoisonError};

/// Makes the lanes that share an inbox send in the order in which they took batches, so that an instance with
/// several lanes keeps the order of its input.
///
/// **Waiting.** A lane waits for the lanes that took earlier batches. The lane with the earliest batch never
/// waits here, only for room downstream, so at least one lane can always continue.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    cut: bool,
}

/// The pipeline stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut;

impl Sequencer {
    /// Waits until every batch before `ticket` was sent.
    pub(super) fn wait(&self, ticket: u64) -> Result<(), Cut> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.next != ticket && !state.cut {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.cut { Err(Cut) } else { Ok(()) }
    }

    /// Passes the turn on, after the batch of the current turn was sent.
    pub(super) fn advance(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        self.moved.notify_all();
    }

    /// Releases all waiting lanes, because the pipeline stops.
    pub(super) fn cut(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cut = true;
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn lanes_send_in_the_order_they_took() {
        let sequencer = Arc::new(Sequencer::default());
        let (sender, sent) = mpsc::channel();
        let lanes: Vec<_> = [2, 0, 3, 1]
            .map(|ticket| {
                let (sequencer, sender) = (Arc::clone(&sequencer), sender.clone());
                thread::spawn(move || {
                    sequencer.wait(ticket).unwrap();
                    sender.send(ticket).unwrap();
                    sequencer.advance();
                })
            })
            .into();
        lanes.into_iter().for_each(|lane| lane.join().unwrap());
        drop(sender);
        assert_eq!(sent.iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn cutting_lets_a_waiting_lane_go() {
        let sequencer = Sequencer::default();
        sequencer.cut();
        assert_eq!(sequencer.wait(7), Err(Cut));
    }
}
