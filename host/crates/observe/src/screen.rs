use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::fmt::MakeWriter;

/// Standard error, shared by progress bars and messages. The bars are removed while a message is written and
/// are redrawn below it, so that neither disturbs the other.
#[derive(Clone)]
pub struct Screen {
    bars: MultiProgress,
    lines: Arc<Mutex<Box<dyn Write + Send>>>,
    terminal: bool,
}

impl Screen {
    /// Most redraws of the bars per second.
    const REDRAWS_PER_SECOND: u8 = 10;

    /// Standard error.
    #[must_use]
    pub fn stderr() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(Self::REDRAWS_PER_SECOND);
        Self::of(target, Box::new(io::stderr()), io::stderr().is_terminal())
    }

    /// A screen with other outputs: bars go to `target`, messages go to `lines`.
    pub(super) fn of(target: ProgressDrawTarget, lines: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), lines: Arc::new(Mutex::new(lines)), terminal }
    }

    /// Whether the screen is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Number of columns, if the screen is a terminal.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        let (_, columns) = self.terminal.then(|| Term::stderr().size_checked()).flatten()?;
        Some(columns.into())
    }

    /// Whether the screen is a terminal and colours are wanted.
    #[must_use]
    pub fn is_coloured(&self) -> bool {
        self.terminal && colours_wanted()
    }

    /// The set of bars, to which a display adds its own.
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes a message of whole lines. A failure to write is ignored: there is no other place to report it.
    pub fn print(&self, message: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        self.bars.suspend(|| {
            let _ = lines.write_all(message.as_bytes());
            let _ = lines.flush();
        });
    }
}

/// Whether colours are wanted: by the convention of <https://no-color.org>, unless `NO_COLOR` is set and not
/// empty.
#[must_use]
pub fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

/// A log message on its way to the screen.
#[derive(Debug)]
pub struct MessageWriter {
    screen: Screen,
    message: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = MessageWriter;

    fn make_writer(&'a self) -> Self::Writer {
        MessageWriter { screen: self.clone(), message: Vec::new() }
    }
}

impl Write for MessageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.message.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.message.is_empty() {
            self.screen.print(&one_message(&String::from_utf8_lossy(&self.message)));
            self.message.clear();
        }
        Ok(())
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Indents all lines after the first, so that a guest cannot fake another message with a line end in its own.
fn one_message(text: &str) -> String {
    let mut message = text.trim_end_matches('\n').replace('\n', "\n  | ");
    message.push('\n');
    message
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A terminal that records everything that is written to it, bars and lines alike.
    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Recorder(Arc<Mutex<String>>);

    impl Recorder {
        pub(in super::super) fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }

        /// A screen that writes to this recorder, with bars or without.
        pub(in super::super) fn screen(&self, bars: bool) -> Screen {
            let target =
                if bars { ProgressDrawTarget::term_like(Box::new(self.clone())) } else { ProgressDrawTarget::hidden() };
            Screen::of(target, Box::new(self.clone()), bars)
        }

        fn put(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
    }

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.put(std::str::from_utf8(bytes).unwrap())?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl indicatif::TermLike for Recorder {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            if n == 0 { Ok(()) } else { self.put(&format!("<up {n}>")) }
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            if n == 0 { Ok(()) } else { self.put(&format!("<down {n}>")) }
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.put("<clear>")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bars_are_taken_away_while_a_message_is_written_and_drawn_again() {
        let recorder = Recorder::default();
        let screen = recorder.screen(true);
        let bar = screen.bars().add(indicatif::ProgressBar::new(10));
        bar.set_style(indicatif::ProgressStyle::with_template("BAR").unwrap());
        bar.tick();
        screen.print("message\n");
        bar.finish();
        let text = recorder.text();
        let (before, after) = text.split_once("message\n").unwrap();
        assert!(before.contains("BAR") && before.trim_end().ends_with("<clear>"), "{text:?}");
        assert!(after.contains("BAR"), "{text:?}");
    }

    #[test]
    fn lines_after_the_first_are_set_in() {
        assert_eq!(one_message("a\nERROR b\n"), "a\n  | ERROR b\n");
        let recorder = Recorder::default();
        writeln!(recorder.screen(false).make_writer(), "{} {}", 1, 2).unwrap();
        assert_eq!(recorder.text(), "1 2\n");
    }
}
