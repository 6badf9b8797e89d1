use std::thread::JoinHandle;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::ExitCode;
use super::failure::Failure;
use super::printer::Printer;
use crate::engine::StopHandle;

/// Turns signals into the run's two ways to end, until it is dropped.
///
/// A thread waits for signals; `drop` wakes it by closing the iterator and joins it. It never waits for the run, so
/// neither can hold the other up.
#[derive(Debug)]
pub(super) struct SignalWatch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// First signal: drain. Second: stop at once. Third: leave without waiting for anybody.
    pub(super) fn start(stop: StopHandle, printer: Printer) -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(unwatched)?;
        let handle = signals.handle();
        let watch = move || {
            for (count, signal) in signals.forever().enumerate() {
                let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                match count {
                    0 => {
                        printer.note(&format!("{name}: draining, what was read is finished; once more stops at once"));
                        stop.drain();
                    }
                    1 => {
                        printer.note(&format!("{name}: stopping at once"));
                        stop.abort();
                    }
                    _ => std::process::exit(ExitCode::Interrupted.number().into()),
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(unwatched)?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it was said by the hook already.
            let _ = thread.join();
        }
    }
}
