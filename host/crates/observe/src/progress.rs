use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::progress_bars::ProgressBars;
use super::progress_line::{Pulse, status};
use super::{Registry, Screen, SourceReading};

/// Shows the progress of a run, from its own thread, until it is dropped. Writes to the screen (stderr), never
/// to stdout.
#[derive(Debug)]
pub struct Progress {
    // Dropped before the thread is joined: this wakes the thread and ends it.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The form of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// Bars for sources with a known end, and a status line, redrawn in place.
    Bars,
    /// A line from time to time.
    Lines,
    /// Nothing.
    Quiet,
}

impl ProgressMode {
    /// Bars on a terminal, lines otherwise. `stdout_in_use`: records are written to standard output, and
    /// standard output is the same terminal, so bars and records would overwrite each other.
    #[must_use]
    pub fn for_screen(screen: &Screen, stdout_in_use: bool) -> Self {
        if screen.is_terminal() && !stdout_in_use { Self::Bars } else { Self::Lines }
    }
}

/// Reads the progress of the sources.
pub type ReadSources = Box<dyn Fn() -> Vec<SourceReading> + Send>;

/// The times at which lines are written and bars are redrawn.
#[derive(Debug, Clone, Copy)]
struct Cadence {
    first_line: Duration,
    line: Duration,
    redraw: Duration,
}

impl Cadence {
    /// A run of less than two seconds shows only its summary. Five redraws a second are as many as an eye can
    /// follow.
    const USUAL: Self =
        Self { first_line: Duration::from_secs(2), line: Duration::from_secs(5), redraw: Duration::from_millis(200) };
}

impl Progress {
    /// Starts the display.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        registry: Arc<Registry>,
        sources: ReadSources,
        mode: ProgressMode,
        screen: &Screen,
    ) -> io::Result<Self> {
        Self::with_cadence(registry, sources, mode, screen, Cadence::USUAL)
    }

    fn with_cadence(
        registry: Arc<Registry>,
        sources: ReadSources,
        mode: ProgressMode,
        screen: &Screen,
        cadence: Cadence,
    ) -> io::Result<Self> {
        if mode == ProgressMode::Quiet {
            return Ok(Self { running: None, thread: None });
        }
        let (running, stop) = mpsc::channel();
        let screen = screen.clone();
        let show = move || match mode {
            ProgressMode::Bars => draw_bars(&registry, &sources, &screen, cadence, &stop),
            _ => write_lines(&registry, &sources, &screen, cadence, &stop),
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(show)?;
        Ok(Self { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // The thread waits only for its channel and for the sources' readings, which take at most a tenth
            // of a second.
            let _ = thread.join();
        }
    }
}

fn write_lines(registry: &Registry, sources: &ReadSources, screen: &Screen, cadence: Cadence, stop: &Receiver<()>) {
    let mut pulse = Pulse::new(Instant::now());
    let mut wait = cadence.first_line;
    while waited(stop, wait) {
        let now = Instant::now();
        let line = status(registry, pulse.beat(registry, now), &sources());
        screen.print(&format!("{}: {line}\n", registry.pipeline));
        wait = cadence.line;
    }
}

fn draw_bars(registry: &Registry, sources: &ReadSources, screen: &Screen, cadence: Cadence, stop: &Receiver<()>) {
    let mut pulse = Pulse::new(Instant::now());
    let mut bars = ProgressBars::new(screen);
    while waited(stop, cadence.redraw) {
        let readings = sources();
        let line = status(registry, pulse.beat(registry, Instant::now()), &[]);
        bars.draw(&readings, line);
    }
    bars.clear();
}

/// Waits for `time`. Returns `false` if the display ends before that.
fn waited(stop: &Receiver<()>, time: Duration) -> bool {
    stop.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

#[cfg(test)]
mod tests {
    use super::super::registry::watched;
    use super::super::screen::tests::Recorder;
    use super::*;

    const FAST: Cadence = Cadence {
        first_line: Duration::from_millis(1),
        line: Duration::from_millis(1),
        redraw: Duration::from_millis(1),
    };

    fn sources() -> ReadSources {
        Box::new(|| {
            vec![SourceReading {
                name: "flights".into(),
                done: 512 << 10,
                total: Some(2 << 20),
                bytes: true,
                bounded: true,
            }]
        })
    }

    /// Runs the display until the recorded text contains `awaited`.
    fn shown(mode: ProgressMode, cadence: Cadence, awaited: &str) -> String {
        let recorder = Recorder::default();
        let registry = watched(&[("flights", "source", 1), ("parse", "map", 1)]);
        registry.stages[0].instances[0].counters.records_out.add(12_345);
        registry.stages[1].instances[0].counters.restarts.add(2);
        let screen = recorder.screen(mode == ProgressMode::Bars);
        let progress = Progress::with_cadence(registry, sources(), mode, &screen, cadence).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !recorder.text().contains(awaited) {
            assert!(Instant::now() < deadline, "{awaited:?} is not in {:?}", recorder.text());
            thread::sleep(Duration::from_millis(1));
        }
        drop(progress);
        recorder.text()
    }

    #[test]
    fn lines_say_how_far_the_run_is() {
        let text = shown(ProgressMode::Lines, FAST, "25 %");
        let line = text.lines().next().unwrap();
        assert!(line.starts_with("p: 12,345 records read, "), "{line}");
        assert!(line.ends_with(", 14B waiting, 2 restarts, flights 25 %"), "{line}");
    }

    #[test]
    fn bars_show_bounded_sources_and_are_gone_at_the_end() {
        let text = shown(ProgressMode::Bars, FAST, "restarts");
        assert!(text.contains("flights") && text.contains("512.00 KiB/2.00 MiB"), "{text:?}");
        assert!(text.trim_end().ends_with("<clear>"), "{text:?}");
    }

    #[test]
    fn the_end_is_not_waited_for() {
        for mode in [ProgressMode::Bars, ProgressMode::Lines, ProgressMode::Quiet] {
            let hour = Duration::from_secs(3600);
            let never = Cadence { first_line: hour, line: hour, redraw: hour };
            assert_eq!(shown(mode, never, ""), "");
        }
    }
}
