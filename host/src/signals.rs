use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::ExitCode;
use super::arriving::{Arriving, name};
use super::failure::Failure;
use super::run_owner::RunOwner;
use sage_plan::config::format_duration;
use sage_runtime::engine::StopHandle;

/// Time limit for a run to stop at once, after which the program ends without it. A write to a pipe without a
/// reader, for example, cannot be interrupted. Closing outputs takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);

/// An output that accepts nothing for this part of the drain timeout will not accept the rest either: its
/// reader is stopped, or waits for the program's end.
const STANDSTILL_PARTS: u32 = 3;
/// Interval at which outputs are checked during a drain.
const LOOK: Duration = Duration::from_millis(250);

/// Makes a run end when it should, from its start to the end of the program.
///
/// ```text
///             signal                    signal, or drain timeout          2 s, or signal
///  running ───────────▶ draining ─────────────────────────────▶ stopping ───────────────▶ the program ends,
///     └──────── failed ────▶ failing ─── signal, or drain timeout ──▶ ┘                    with the last word
/// ```
///
/// A request for a drain or a stop has the same effect as a signal. A signal before [`SignalWatch::watch`] ends the
/// program at once, because nothing runs.
///
/// When the run has ended and its summary has been reported, these transitions no longer happen; a signal then
/// ends the program.
///
/// A single thread waits for signals and timeouts. The thread never waits for the run, for a lock or for the
/// screen without a time limit, since the run may hang in a write, and the screen may be the output that
/// hangs.
#[derive(Debug)]
pub(super) struct SignalWatch {
    events: Sender<Event>,
    stop: Arc<OnceLock<StopHandle>>,
}

/// Asks for the end of a run, as signals do.
#[derive(Debug, Clone)]
pub(super) struct StopRequests(Sender<Event>);

#[derive(Debug, Clone, Copy)]
enum Event {
    Signal(i32),
    /// Someone asks for a drain, with a time limit of its own perhaps.
    Drain(Option<Duration>),
    /// Someone asks for a stop at once.
    Abort,
    /// The run fails or is stopped: its lanes should end soon.
    Cut,
    /// The run is over, and its summary has been printed.
    Over,
}

impl SignalWatch {
    /// Watches until the program ends.
    pub(super) fn start(drain_timeout: Duration, owner: Arc<dyn RunOwner>) -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let (events, happening) = mpsc::channel();
        let signals = events.clone();
        let arriving = Arriving::start("signals", move |signal| signals.send(Event::Signal(signal)).is_ok())?;
        let stop = Arc::<OnceLock<StopHandle>>::default();
        let watch = Watch { happening, stop: Arc::clone(&stop), drain_timeout, owner };
        let watch = move || {
            watch.run();
            drop(arriving);
        };
        std::thread::Builder::new().name("ending".to_owned()).spawn(watch).map_err(unwatched)?;
        Ok(Self { events, stop })
    }

    /// The run to watch. There is only one, so this is the only call.
    pub(super) fn watch(&self, stop: StopHandle) {
        let cuts = self.events.clone();
        // If the run has already ended, no watch receives the event, which is fine.
        stop.when_cut(move || {
            let _ = cuts.send(Event::Cut);
        });
        let _ = self.stop.set(stop);
    }

    /// Asks for the end of the run.
    pub(super) fn requests(&self) -> StopRequests {
        StopRequests(self.events.clone())
    }
}

impl StopRequests {
    /// Drains the run, within this time or that of the run. Another request sets the time anew.
    pub(super) fn drain(&self, within: Option<Duration>) {
        // If the run has ended, there is nothing to drain.
        let _ = self.0.send(Event::Drain(within));
    }

    /// Stops the run at once.
    pub(super) fn abort(&self) {
        let _ = self.0.send(Event::Abort);
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        // The watch thread lasts as long as the program.
        let _ = self.events.send(Event::Over);
    }
}

struct Watch {
    happening: Receiver<Event>,
    /// Empty before there is a run.
    stop: Arc<OnceLock<StopHandle>>,
    drain_timeout: Duration,
    owner: Arc<dyn RunOwner>,
}

/// The run is over.
struct Over;

impl Watch {
    fn run(&self) {
        if self.until_it_should_end().is_err() {
            // The last output may have no reader.
            while let Ok(event) = self.happening.recv() {
                if let Event::Signal(_) = event {
                    std::process::exit(ExitCode::Interrupted.number().into());
                }
            }
            return;
        }
        self.owner.leave();
    }

    /// Returns when the program must end without the run.
    fn until_it_should_end(&self) -> Result<(), Over> {
        let first = self.wait(None)?;
        let Some(stop) = self.stop.get() else { return Ok(()) };
        let (why, allowed) = match first {
            Some(Event::Signal(first)) => {
                let first = name(first);
                self.drain(
                    stop,
                    &format!("{first}: draining, records already read are finished; a second signal stops at once"),
                );
                (Some("the drain"), self.drain_timeout)
            }
            Some(Event::Drain(within)) => {
                self.drain(stop, "asked to drain: records already read are finished");
                (Some("the drain"), within.unwrap_or(self.drain_timeout))
            }
            Some(Event::Abort) => (None, Duration::ZERO),
            _ => (Some("the end of the failed run"), self.drain_timeout),
        };
        let words = match why {
            Some(why) => self.drained(stop, why, allowed)?,
            None => "asked to stop: stopping at once".to_owned(),
        };
        self.say(words);
        stop.abort();
        self.owner.changed();
        self.wait(Some(TIMEOUT)).map(drop)
    }

    fn drain(&self, stop: &StopHandle, words: &str) {
        self.say(words.to_owned());
        stop.drain();
        self.owner.changed();
    }

    /// Waits for the drain within its time limits. Returns the reason for stopping at once, as text.
    fn drained(&self, stop: &StopHandle, why: &str, mut allowed: Duration) -> Result<String, Over> {
        let timeout = self.owner.timeout_name();
        let mut began = Instant::now();
        loop {
            let left = allowed.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(format!("{why} has taken {} ({timeout}): stopping at once", format_duration(allowed)));
            }
            match self.wait(Some(left.min(LOOK)))? {
                Some(Event::Signal(second)) => return Ok(format!("{}: stopping at once", name(second))),
                Some(Event::Abort) => return Ok("asked to stop: stopping at once".to_owned()),
                Some(Event::Drain(Some(within))) => (began, allowed) = (Instant::now(), within),
                _ => {}
            }
            let standstill = allowed / STANDSTILL_PARTS;
            if let Some(output) = stop.stands_still(standstill) {
                let standstill = format_duration(standstill);
                return Ok(format!(
                    "{output} has taken nothing for {standstill} (a third of {timeout}): stopping at once"
                ));
            }
        }
    }

    /// Waits for the next event; `None` after `most`. [`Event::Cut`] is ignored if the wait has a time limit.
    fn wait(&self, most: Option<Duration>) -> Result<Option<Event>, Over> {
        let Some(most) = most else { return self.happening.recv().map_or(Err(Over), not_over) };
        let until = Instant::now().checked_add(most);
        loop {
            let left = until.map_or(most, |until| until.saturating_duration_since(Instant::now()));
            match self.happening.recv_timeout(left) {
                Ok(Event::Cut) => {}
                Ok(event) => return not_over(event),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(Over),
            }
        }
    }

    /// Says something and waits only a moment for it, because the screen may be a pipe without a reader.
    fn say(&self, words: String) {
        let owner = Arc::clone(&self.owner);
        let (said, heard) = mpsc::channel::<()>();
        let speak = move || {
            owner.say(&words);
            drop(said);
        };
        if std::thread::Builder::new().name("saying".to_owned()).spawn(speak).is_ok() {
            let _ = heard.recv_timeout(Duration::from_millis(200));
        }
    }
}

fn not_over(event: Event) -> Result<Option<Event>, Over> {
    if let Event::Over = event { Err(Over) } else { Ok(Some(event)) }
}
