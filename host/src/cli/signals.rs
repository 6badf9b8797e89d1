use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::ExitCode;
use super::failure::Failure;
use crate::engine::StopHandle;
use crate::observe::Screen;

/// How long a run may take to stop at once before the program ends without it: a write to a pipe that nobody reads, say,
/// cannot be interrupted. Closing outputs takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Turns signals into the run's two ways to end, until it is dropped.
///
/// A thread waits for signals; `drop` wakes it by closing the iterator (and, after the second signal, by dropping `ended`) and
/// joins it. It never waits for the run without a time limit, so neither can hold the other up.
#[derive(Debug)]
pub(super) struct SignalWatch {
    handle: Handle,
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// First signal: drain. Second: stop at once, and leave without the run if it does not.
    pub(super) fn start(stop: StopHandle, screen: Screen) -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(unwatched)?;
        let handle = signals.handle();
        let (ended, run_ended) = mpsc::channel::<()>();
        let watch = move || {
            let mut arriving = signals.forever();
            let Some(first) = arriving.next() else { return };
            screen.print(&format!("{}: draining, what was read is finished; once more stops at once\n", name(first)));
            stop.drain();
            let Some(second) = arriving.next() else { return };
            screen.print(&format!("{}: stopping at once\n", name(second)));
            stop.abort();
            if run_ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                std::process::exit(ExitCode::Interrupted.number().into());
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(unwatched)?;
        Ok(Self { handle, ended: Some(ended), thread: Some(thread) })
    }
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was said by the hook already.
            let _ = thread.join();
        }
    }
}
