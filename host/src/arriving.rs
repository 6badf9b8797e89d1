use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};

use super::failure::Failure;

/// Receives the signals that ask a run to end. A thread passes them on; the drop closes the thread's
/// iterator, which ends the thread, and joins it.
pub(super) struct Arriving {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Arriving {
    /// Starts a thread of this name that passes every signal to `pass_on`, until `pass_on` returns `false`.
    pub(super) fn start(name: &str, pass_on: impl Fn(i32) -> bool + Send + 'static) -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        // A program that was started with nohup should outlive the terminal.
        let hangup = (!is_ignored(SIGHUP)).then_some(SIGHUP);
        let mut arriving = Signals::new([SIGINT, SIGTERM, SIGXCPU].into_iter().chain(hangup)).map_err(unwatched)?;
        let handle = arriving.handle();
        let listen = move || {
            for signal in arriving.forever() {
                if !pass_on(signal) {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(listen).map_err(unwatched)?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// Like [`Arriving::start`], with a channel as the receiver.
    pub(super) fn channel(name: &str) -> Result<(Self, Receiver<i32>), Failure> {
        let (sender, signals) = mpsc::channel();
        Ok((Self::start(name, move |signal| sender.send(signal).is_ok())?, signals))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

/// The name of a signal.
pub(super) fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGHUP => "SIGHUP",
        SIGXCPU => "SIGXCPU (the CPU time that RLIMIT_CPU allows is over)",
        _ => "SIGTERM",
    }
}

/// Makes a write beyond the limit on file sizes (`ulimit -f`) fail with an error, like a full disk, instead
/// of ending the program. A handler that does nothing is enough. A child program starts with the system's
/// default again, so a worker is still held to its own limit.
pub(super) fn survive_the_file_size_limit() {
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))) {
        tracing::debug!(%error, "SIGXFSZ ends the program");
    }
}

/// True if the program was started with the signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
