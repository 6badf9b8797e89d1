use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::ExitCode;
use super::arriving::{Arriving, name};
use super::failure::Failure;
use super::last_word::LastWord;
use sage_observe::Screen;
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
/// When the run has ended and its summary has been printed, these transitions no longer happen; a signal then
/// ends the program.
///
/// A single thread waits for signals and timeouts. The thread never waits for the run, for a lock or for the
/// screen without a time limit, since the run may hang in a write, and the screen may be the output that
/// hangs.
#[derive(Debug)]
pub(super) struct SignalWatch {
    events: Sender<Event>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Signal(i32),
    /// The run fails or is stopped: its lanes should end soon.
    Cut,
    /// The run is over, and its summary has been printed.
    Over,
}

impl SignalWatch {
    /// Watches until the program ends.
    pub(super) fn start(
        stop: StopHandle,
        drain_timeout: Duration,
        last_word: Arc<LastWord>,
        screen: Screen,
    ) -> Result<Self, Failure> {
        let unwatched = |error| Failure::fault(format!("cannot watch for signals: {error}"));
        let (events, happening) = mpsc::channel();
        let signals = events.clone();
        let arriving = Arriving::start("signals", move |signal| signals.send(Event::Signal(signal)).is_ok())?;
        let cuts = events.clone();
        // If the run has already ended, no watch receives the event, which is fine.
        stop.when_cut(move || {
            let _ = cuts.send(Event::Cut);
        });
        let watch = Watch { happening, stop, drain_timeout, last_word, screen };
        let watch = move || {
            watch.run();
            drop(arriving);
        };
        std::thread::Builder::new().name("ending".to_owned()).spawn(watch).map_err(unwatched)?;
        Ok(Self { events })
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
    stop: StopHandle,
    drain_timeout: Duration,
    last_word: Arc<LastWord>,
    screen: Screen,
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
        self.last_word.leave();
    }

    /// Returns when the program must end without the run.
    fn until_it_should_end(&self) -> Result<(), Over> {
        let why = match self.wait(None)? {
            Some(Event::Signal(first)) => {
                self.say(format!(
                    "{}: draining, records already read are finished; a second signal stops at once",
                    name(first)
                ));
                self.stop.drain();
                "the drain"
            }
            _ => "the end of the failed run",
        };
        let words = self.drained(why)?;
        self.say(words);
        self.stop.abort();
        self.wait(Some(TIMEOUT)).map(drop)
    }

    /// Waits for the drain within its time limits. Returns the reason for stopping at once, as text.
    fn drained(&self, why: &str) -> Result<String, Over> {
        let allowed = format_duration(self.drain_timeout);
        let too_long = || format!("{why} has taken {allowed} (--drain-timeout): stopping at once");
        let Some(until) = Instant::now().checked_add(self.drain_timeout) else { return Ok(too_long()) };
        let standstill = self.drain_timeout / STANDSTILL_PARTS;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(too_long());
            }
            if let Some(Event::Signal(second)) = self.wait(Some(left.min(LOOK)))? {
                return Ok(format!("{}: stopping at once", name(second)));
            }
            if let Some(output) = self.stop.stands_still(standstill) {
                let standstill = format_duration(standstill);
                return Ok(format!(
                    "{output} has taken nothing for {standstill} (a third of --drain-timeout): stopping at once"
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

    /// Prints a message and waits only a moment for it, because the screen may be a pipe without a reader.
    fn say(&self, words: String) {
        let screen = self.screen.clone();
        let (said, heard) = mpsc::channel::<()>();
        let speak = move || {
            screen.print(&format!("{words}\n"));
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
