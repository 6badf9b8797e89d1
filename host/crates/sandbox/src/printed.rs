use sage_text::plain_text;

/// The text that a guest printed during a call that failed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Most bytes of printed text in a failure. The end is kept, because a traceback ends with the error.
const MOST: usize = 4 << 10;

/// The words that runtimes write in front of a panic message.
const PANICKED: &str = "panicked at";

impl Printed {
    /// Text on standard error only.
    #[cfg(test)]
    pub(super) fn on_stderr(stderr: &str) -> Self {
        Self { stdout: String::new(), stderr: stderr.to_owned() }
    }

    /// The panic message: `panicked at src/lib.rs:3:5:` and the lines after it, or else all of standard error.
    pub(super) fn panic(&self) -> Option<String> {
        let (_, text) = self.around_panic();
        let text = text.split("\nnote: run with `RUST_BACKTRACE").next().unwrap_or(text).trim();
        (!text.is_empty()).then(|| plain_text(text).into_owned())
    }

    /// Appends what was printed before the panic to a failure's message. Without a panic, all of it counts.
    pub(super) fn after(&self, message: String, is_panic: bool) -> String {
        let stderr = match (is_panic, self.stderr.contains(PANICKED)) {
            (false, _) => self.stderr.as_str(),
            (true, true) => self.around_panic().0,
            // The message itself is standard error.
            (true, false) => "",
        };
        [("output", self.stdout.as_str()), ("error", stderr)].into_iter().fold(message, |message, (stream, text)| {
            let text = end_of(text.trim());
            if text.is_empty() {
                return message;
            }
            format!("{message}\nprinted to standard {stream} before:\n{}", plain_text(text))
        })
    }

    /// Standard error before the panic message, and from it.
    fn around_panic(&self) -> (&str, &str) {
        let Some(at) = self.stderr.find(PANICKED) else { return ("", &self.stderr) };
        let (before, panic) = self.stderr.split_at(at);
        // The line of the message begins with the name of the thread.
        let before = match before.rfind('\n') {
            Some(line) => before.get(..line).unwrap_or_default(),
            None => "",
        };
        (before, panic)
    }
}

/// The last bytes of a text, from the beginning of a line.
fn end_of(text: &str) -> &str {
    let Some(from) = text.len().checked_sub(MOST) else { return text };
    let line = text.bytes().skip(from).position(|byte| byte == b'\n').map_or(text.len(), |line| from + line + 1);
    text.get(line..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "Traceback (most recent call last):\n  File \"/0/app.py\", line 3, in f\nKeyError: 'x'\n\n\
        thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1280:25:\nPython function threw\n\
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";

    #[test]
    fn text_before_a_panic_is_kept_and_the_name_of_the_thread_is_not() {
        let printed = Printed { stdout: "row 7\n".to_owned(), stderr: PYTHON.to_owned() };
        let panic = printed.panic().unwrap();
        assert_eq!(panic, "panicked at runtime/src/lib.rs:1280:25:\nPython function threw");
        assert_eq!(
            printed.after(panic, true),
            "panicked at runtime/src/lib.rs:1280:25:\nPython function threw\n\
             printed to standard output before:\nrow 7\n\
             printed to standard error before:\nTraceback (most recent call last):\n  File \"/0/app.py\", line 3, in f\n\
             KeyError: 'x'"
        );
    }

    #[test]
    fn a_panic_without_anything_before_it_stays_as_it_is() {
        let printed = Printed::on_stderr("\nthread 'main' panicked at a.rs:1:1:\nno\n");
        assert_eq!(printed.after(printed.panic().unwrap(), true), "panicked at a.rs:1:1:\nno");
    }

    #[test]
    fn standard_error_without_a_panic_is_told_once() {
        let printed = Printed::on_stderr("assertion failed\n");
        assert_eq!(printed.after(printed.panic().unwrap(), true), "assertion failed");
        assert_eq!(
            printed.after("a limit".to_owned(), false),
            "a limit\nprinted to standard error before:\nassertion failed"
        );
    }

    #[test]
    fn the_end_of_a_long_text_is_kept_from_the_beginning_of_a_line() {
        let text: String = (0..2_000).map(|line| format!("läuft {line}\n")).collect();
        let kept = end_of(text.trim());
        assert!(kept.len() <= MOST && kept.ends_with("läuft 1999"), "{} bytes", kept.len());
        assert!(kept.starts_with("läuft "));
        assert_eq!(end_of("short"), "short");
        assert_eq!(end_of(&"ä".repeat(MOST)), "", "one line that is too long is left out");
    }
}
