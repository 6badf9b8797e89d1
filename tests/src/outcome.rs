use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde_json::Value;

/// Results of a run.
pub struct Outcome {
    status: ExitStatus,
    /// Standard output, which holds the summary.
    pub stdout: String,
    /// Standard error, which holds the messages.
    pub stderr: String,
    folder: PathBuf,
}

impl Outcome {
    pub(crate) fn new(status: ExitStatus, stdout: String, stderr: String, folder: PathBuf) -> Self {
        Self { status, stdout, stderr, folder }
    }

    /// The exit code. A run that a signal ended fails the test, because no guest may cause that.
    pub fn exit(&self) -> i32 {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => code,
            (None, signal) => panic!("the host was ended by signal {signal:?}\n{self:?}"),
        }
    }

    /// Fails the test unless the run ended with `code`.
    #[track_caller]
    pub fn expect_exit(&self, code: i32) -> &Self {
        assert_eq!(self.exit(), code, "exit code\n{self:?}");
        self
    }

    /// Fails the test unless a message contains `part`.
    #[track_caller]
    pub fn expect_stderr(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "nothing says {part:?}\n{self:?}");
        self
    }

    /// The JSON summary.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or("");
        serde_json::from_str(last).unwrap_or_else(|e| panic!("the summary is not JSON: {e}\n{self:?}"))
    }

    /// A stage of the summary.
    #[track_caller]
    pub fn stage(&self, name: &str) -> Stage {
        self.stages()
            .into_iter()
            .find(|stage| stage.name == name)
            .unwrap_or_else(|| panic!("no stage {name:?}\n{self:?}"))
    }

    /// All stages of the summary.
    #[track_caller]
    pub fn stages(&self) -> Vec<Stage> {
        let summary = self.summary();
        let stages = summary["stages"].as_array().unwrap_or_else(|| panic!("a summary without stages\n{self:?}"));
        stages
            .iter()
            .map(|stage| Stage { name: stage["name"].as_str().unwrap().to_owned(), value: stage.clone() })
            .collect()
    }

    /// The error that stopped the pipeline.
    #[track_caller]
    pub fn error(&self) -> Value {
        let error = self.summary()["error"].clone();
        assert!(error.is_object(), "a summary without error\n{self:?}");
        error
    }

    /// Asserts that every record that came into a stage is counted as handled, rejected, dead-lettered,
    /// failed or unfinished.
    #[track_caller]
    pub fn expect_conservation(&self) -> &Self {
        for stage in self.stages() {
            let ends = ["handled", "rejected", "dead_lettered", "failed", "unfinished"];
            let sum: u64 = ends.iter().map(|end| stage.count(end)).sum();
            assert_eq!(stage.count("records_in"), sum, "records of {:?} do not add up\n{self:?}", stage.name);
        }
        self
    }

    /// The dead letters in a file, ordered by offset.
    #[track_caller]
    pub fn dead_letters(&self, name: &str) -> Vec<DeadLetter> {
        let text =
            std::fs::read_to_string(self.folder.join(name)).unwrap_or_else(|e| panic!("no {name}: {e}\n{self:?}"));
        let mut letters: Vec<DeadLetter> = text
            .lines()
            .map(|line| DeadLetter(serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?} is not JSON: {e}"))))
            .collect();
        letters.sort_by_key(|letter| letter.0["offset"].as_u64());
        letters
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "--- {}", self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}

/// A stage in the summary.
#[derive(Debug)]
pub struct Stage {
    /// Name of the stage in the pipeline.
    pub name: String,
    /// JSON object of the stage.
    pub value: Value,
}

impl Stage {
    /// A count of the stage.
    #[track_caller]
    pub fn count(&self, field: &str) -> u64 {
        self.value[field].as_u64().unwrap_or_else(|| panic!("{:?} has no count {field:?}: {}", self.name, self.value))
    }

    /// A text of the stage.
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_else(|| panic!("{:?} has no text {field:?}: {}", self.name, self.value))
    }

    /// Count of a failure code.
    pub fn errors(&self, code: &str) -> u64 {
        self.value["errors"][code].as_u64().unwrap_or(0)
    }
}

/// A dead letter, as JSON.
#[derive(Debug, Clone)]
pub struct DeadLetter(pub Value);

impl DeadLetter {
    /// A text field.
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {}", self.0))
    }

    /// A number field.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| panic!("no number {field:?} in {}", self.0))
    }
}
