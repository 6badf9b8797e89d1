use std::fs;
use std::path::Path;

use rustix::process::Signal;
use sage_tests::{Outcome, Scenario, guest, operator};

/// The checkpoints of the scenes. An interval far shorter than in real use puts many epochs into a short run.
pub(super) const CHECKPOINT: &str = "checkpoint = { folder = \"state\", interval = \"20ms\" }";

/// A pipeline and its input.
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// Files before the first run.
    pub(super) files: Vec<(&'static str, String)>,
    stages: String,
    /// Outputs that have each record exactly once.
    pub(super) exact: &'static [&'static str],
    /// The output whose growth tells how far a run has come.
    pub(super) clock: &'static str,
}

impl Scene {
    pub(super) fn new(name: &'static str, stages: String, exact: &'static [&'static str]) -> Self {
        Self { name, files: Vec::new(), stages, exact, clock: exact[0] }
    }

    /// A scenario with the pipeline, which saves epochs if `saves`.
    pub(super) fn scenario(&self, saves: bool) -> Scenario {
        let scenario = Scenario::new();
        for (name, content) in &self.files {
            scenario.file(name, content);
        }
        scenario.pipeline(&self.pipeline(if saves { CHECKPOINT } else { "" }));
        scenario
    }

    pub(super) fn pipeline(&self, settings: &str) -> String {
        format!("[pipeline]\nname = \"{}\"\n{settings}\n{}", self.name, self.stages)
    }

    /// The outputs of a run that nothing disturbed.
    pub(super) fn undisturbed(&self) -> Vec<Vec<String>> {
        let scenario = self.scenario(false);
        scenario.run().expect_exit(0);
        self.outputs(&scenario)
    }

    /// The records of each exact output, sorted: instances send in any order.
    pub(super) fn outputs(&self, scenario: &Scenario) -> Vec<Vec<String>> {
        self.exact.iter().map(|name| records(&scenario.path().join(name))).collect()
    }
}

/// The sorted records of an output. Of dead letters, only what does not differ from run to run.
fn records(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = match bytes.first() {
        Some(0x1f) => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut text).unwrap();
            text
        }
        _ => String::from_utf8(bytes).unwrap(),
    };
    let is_letters = path.file_name().unwrap().to_str().unwrap().starts_with("dead");
    let record = |line: &str| match is_letters {
        false => line.to_owned(),
        true => {
            let letter: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {} {}", letter["source"], letter["offset"], letter["message"])
        }
    };
    let mut records: Vec<String> = text.lines().map(record).collect();
    records.sort();
    records
}

/// Kills a run when its output has this many bytes. Returns `false` if the run ended before.
pub(super) fn killed_at(
    scene: &Scene,
    scenario: &Scenario,
    bytes: u64,
    signal: Signal,
    arguments: &[&str],
) -> Option<Outcome> {
    let partial = scenario.path().join(format!("{}.partial", scene.clock));
    let mut run = scenario.start_with(arguments);
    let reached = run.while_it_runs(|_| fs::metadata(&partial).ok().filter(|file| file.len() >= bytes));
    if reached.is_some() {
        run.signal(signal);
    }
    Some(run.wait()).filter(|_| reached.is_some())
}

/// Generated records with keys, about a second of them, counted by key in two instances, and copied.
pub(super) fn counted() -> Scene {
    let stages = format!(
        r#"
[[source]]
name = "in"
generate = {{ count = 40000, rate = 60000, payload_bytes = 24, keys = 200 }}
[[operator]]
name = "count"
component = "{count}"
input = "in"
partition = "key"
parallelism = 2
[[sink]]
name = "out"
input = "count"
file = {{ path = "counts.txt" }}
[[sink]]
name = "copy"
input = "in"
file = {{ path = "copy.txt.gz" }}
"#,
        count = operator("count").display()
    );
    Scene::new("counted", stages, &["counts.txt", "copy.txt.gz"])
}

/// Files of CSV with bad rows, through an operator that rejects, to CSV and to dead letters, with both outputs of the
/// operator in one sink.
pub(super) fn rejected() -> Scene {
    let row = |n: usize| match n % 97 {
        0 => format!("{n},bad,extra\n"),
        _ => format!("{n},w{}\n", n % 13),
    };
    let csv = |from: usize, to: usize| "n,word\n".to_owned() + &(from..to).map(row).collect::<String>();
    let stages = format!(
        r#"
[[source]]
name = "rows"
file = {{ path = "rows-*.csv", format = "csv" }}
schema = {{ n = "u64", word = "string" }}
on_error = {{ dead_letter = "dead-rows.jsonl" }}
[[source]]
name = "numbers"
generate = {{ count = 20000, rate = 30000, payload_bytes = 8 }}
[[operator]]
name = "all"
component = "{all}"
input = "numbers"
[[operator]]
name = "pass"
component = "{celsius}"
input = "rows"
[[sink]]
name = "both"
input = ["all", "numbers"]
file = {{ path = "both.txt" }}
[[sink]]
name = "csv"
input = "rows"
file = {{ path = "rows.out.csv", format = "csv", fields = ["word", "n"] }}
[[sink]]
name = "passed"
input = ["pass", "pass.rejects"]
file = {{ path = "passed.jsonl" }}
"#,
        all = operator("keep_nonempty").display(),
        celsius = operator("json_celsius").display()
    );
    let mut scene = Scene::new("rejected", stages, &["both.txt", "rows.out.csv", "passed.jsonl", "dead-rows.jsonl"]);
    scene.files = vec![("rows-a.csv", csv(1, 40_000)), ("rows-b.csv", csv(40_000, 70_000))];
    scene
}

/// A source that is a component, in two instances, and a process in several lanes behind it.
pub(super) fn components() -> Scene {
    let stages = format!(
        r#"
[[source]]
name = "numbers"
component = "{counter}"
parallelism = 2
config = {{ count = 20000 }}
[[operator]]
name = "key"
component = "{key}"
input = "numbers"
[[operator]]
name = "first"
component = "{dedupe}"
input = "key"
partition = "key"
parallelism = 2
[[sink]]
name = "out"
input = "first"
file = {{ path = "first.txt" }}
"#,
        counter = operator("counter_source").display(),
        key = guest("key_by_first_word").display(),
        dedupe = operator("dedupe").display()
    );
    Scene::new("components", stages, &["first.txt"])
}

/// Readings a little out of order, and a few that are hours late, in windows of a minute and in sessions.
pub(super) fn windowed() -> Scene {
    // A key is silent in every other spell of 5,000 seconds, which ends its session.
    let key = |n: usize| if n / 5000 % 2 == n % 2 { n % 20 } else { 20 + n % 20 };
    let row = |n: usize| {
        // Far more than event time lags behind the records, whose batches have 4,096 of them.
        let late = if n > 22_000 && n.is_multiple_of(97) { 20_000 } else { n % 7 };
        format!("{},k{},{}\n", 1_767_225_600 + n - late, key(n), n % 31)
    };
    let csv = "time,key,celsius\n".to_owned() + &(0..40_000).map(row).collect::<String>();
    let stages = format!(
        r#"
[[source]]
name = "in"
file = {{ path = "readings.csv", format = "csv" }}
key = "key"
event_time = {{ field = "time", format = "unix" }}
watermark = {{ out_of_order = "10s" }}
[[operator]]
name = "minutes"
component = "{mean}"
input = "in"
partition = "key"
parallelism = 2
window = {{ tumbling = "1m" }}
[[operator]]
name = "spells"
component = "{mean}"
input = "in"
partition = "key"
window = {{ session = "5m" }}
[[sink]]
name = "out"
input = "minutes"
file = {{ path = "minutes.jsonl" }}
[[sink]]
name = "out-spells"
input = "spells"
file = {{ path = "spells.jsonl" }}
[[sink]]
name = "out-late"
input = "minutes.late"
file = {{ path = "late.csv" }}
"#,
        mean = operator("windowed_mean").display()
    );
    let mut scene = Scene::new("windowed", stages, &["minutes.jsonl", "spells.jsonl", "late.csv"]);
    scene.files = vec![("readings.csv", csv)];
    scene
}

/// Records whose newest times come first, counted by key, with rejects beside: event time stands still for most of a
/// run.
pub(super) fn timed() -> Scene {
    let record = |n: usize| {
        let second = if n < RISING { n } else { n % RISING };
        format!("{{\"k\":\"{}\",\"ts\":{}}}\n", n % 50, 1_577_836_800 + second)
    };
    let stages = format!(
        r#"
[[source]]
name = "in"
file = {{ path = "in.jsonl", format = "jsonl" }}
key = "k"
event_time = {{ field = "ts", format = "unix" }}
watermark = {{ out_of_order = "10s" }}
[[operator]]
name = "pass"
component = "{celsius}"
input = "in"
[[operator]]
name = "count"
component = "{count}"
input = ["in", "pass.rejects"]
partition = "key"
parallelism = 2
[[sink]]
name = "out"
input = ["count", "pass"]
file = {{ path = "counts.txt" }}
"#,
        celsius = operator("json_celsius").display(),
        count = operator("count").display()
    );
    let mut scene = Scene::new("timed", stages, &["counts.txt"]);
    scene.files = vec![("in.jsonl", (0..30 * RISING).map(record).collect())];
    scene
}

/// Number of records of [`timed`] whose times rise.
const RISING: usize = 1000;
/// The event time that a run of [`timed`] reaches: that of the newest record, less ten seconds.
pub(super) const REACHED: &str = "2020-01-01T00:16:29Z";
