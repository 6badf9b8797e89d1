use std::fmt::Write as _;

use serde::Serialize;

use super::ExitCode;
use sage_machine::limit_named_in;
use sage_text::plain_text;

/// The failure of a command: text for a person, the same as fields for a program, and the exit code.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    #[serde(serialize_with = "as_number")]
    exit_code: ExitCode,
    message: String,
    /// The causes of the message, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    /// True if the command's result on stdout already contains the failure.
    #[serde(skip)]
    in_result: bool,
    /// True if a part of the text comes from a guest.
    #[serde(skip)]
    of_guest: bool,
    /// The errors of a file, in place of the text. Boxed, because few failures have it and all failures are
    /// passed around.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    page: Option<Box<Page>>,
}

/// All errors of a file.
#[derive(Debug, Clone, Serialize)]
struct Page {
    /// The text for a person, with a snippet of the file and a caret for each error.
    #[serde(skip)]
    drawing: String,
    /// The report for a program, with the position of each error.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with a message. A message is in lower case, has no full stop, and names the value, the limit
    /// and the place.
    pub(super) fn new(exit_code: ExitCode, message: impl Into<String>) -> Self {
        // Parts of the text are untrusted: names of files, and texts from a guest or a library.
        let message = plain_text(&message.into()).into_owned();
        Self {
            exit_code,
            message,
            causes: Vec::new(),
            hints: Vec::new(),
            in_result: false,
            of_guest: false,
            page: None,
        }
    }

    /// A failure because of invalid usage or an invalid file.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ExitCode::InvalidUsage, message)
    }

    /// A failure by the host's own fault.
    pub(super) fn fault(message: impl Into<String>) -> Self {
        Self::new(ExitCode::InternalFault, message)
    }

    /// A failure from an error: its message, and its sources as causes.
    pub(super) fn of(exit_code: ExitCode, error: &dyn std::error::Error) -> Self {
        let mut failure = Self::new(exit_code, error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            failure = failure.cause(error.to_string());
            cause = error.source();
        }
        failure
    }

    /// Adds a cause. A cause that the text above already contains is not repeated.
    #[must_use]
    pub(super) fn cause(mut self, cause: impl Into<String>) -> Self {
        let cause = plain_text(&cause.into()).into_owned();
        let said = self.causes.last().unwrap_or(&self.message).contains(&cause);
        if !said {
            self.causes.push(cause);
        }
        self
    }

    /// Adds advice for the user.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(plain_text(&hint.into()).into_owned());
        self
    }

    /// Adds the errors of a file: a drawing for a person, which replaces the text and includes the hints, and
    /// a report for a program.
    #[must_use]
    pub(super) fn drawn(mut self, drawing: String, report: Option<serde_json::Value>) -> Self {
        self.page = Some(Box::new(Page { drawing, report }));
        self
    }

    /// Marks the failure as already contained in the result on stdout, so that with JSON no second object
    /// follows.
    #[must_use]
    pub(super) fn in_result(mut self) -> Self {
        self.in_result = true;
        self
    }

    /// Marks the text as influenced by a guest. Such a text proves nothing about this process.
    #[must_use]
    pub(super) fn of_guest(mut self) -> Self {
        self.of_guest = true;
        self
    }

    /// True if [`Failure::in_result`] was called.
    pub(super) fn is_in_result(&self) -> bool {
        self.in_result
    }

    /// If a limit on this process caused the failure, replaces the hints by one about that limit, and the
    /// exit code by [`ExitCode::Refused`]: the machine refused the run.
    #[must_use]
    pub(super) fn naming_the_limit(mut self) -> Self {
        let page = self.page.as_ref().map(|page| page.drawing.as_str());
        let words = page.map_or_else(|| format!("{}\n{}", self.message, self.causes.join("\n")), str::to_owned);
        let Some(limit) = limit_named_in(&words).filter(|_| !self.in_result && !self.of_guest) else { return self };
        self.exit_code = ExitCode::Refused;
        self.hints = vec![limit.hint.to_owned()];
        self.cause(limit.what)
    }

    /// The exit code of the program.
    pub(super) fn exit_code(&self) -> ExitCode {
        self.exit_code
    }

    /// The lines for stderr.
    pub(super) fn text(&self) -> String {
        let mut text = match &self.page {
            Some(page) => format!("{}\n", page.drawing.trim_end()),
            // A part of the text may come from a guest. Its lines must not look like lines of the host.
            None => format!("error: {}\n", self.message.replace('\n', "\n  | ")),
        };
        for cause in &self.causes {
            let _ = writeln!(text, "  because: {}", cause.trim_end().replace('\n', "\n           "));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "hint: {}", hint.replace('\n', "\n      "));
        }
        text
    }

    /// The failure as an object, as the key `error` of JSON output has it.
    pub(super) fn fields(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The JSON object for stdout.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self })
    }
}

fn as_number<S: serde::Serializer>(code: &ExitCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(code.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_fields_say_the_same() {
        let failure = Failure::new(ExitCode::Refused, "operator \"embed\" wants 12 CPUs, 2 are free")
            .cause("2 CPUs in the affinity set")
            .hint("lower num_cpus");
        assert_eq!(
            failure.text(),
            "error: operator \"embed\" wants 12 CPUs, 2 are free\n  \
             because: 2 CPUs in the affinity set\nhint: lower num_cpus\n"
        );
        assert_eq!(
            failure.json(),
            serde_json::json!({ "error": {
                "exit_code": 3,
                "message": "operator \"embed\" wants 12 CPUs, 2 are free",
                "causes": ["2 CPUs in the affinity set"],
                "hints": ["lower num_cpus"],
            }})
        );
    }

    #[test]
    fn a_cause_that_the_message_already_quotes_is_not_repeated() {
        let failure = Failure::invalid("cannot read a.toml: not found").cause("not found");
        assert_eq!(failure.text(), "error: cannot read a.toml: not found\n");
    }
}
