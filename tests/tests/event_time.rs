//! Event time through whole runs: every operator learns how far it is, wherever records go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{PipeWriter, Write};

use sage_tests::{Running, Scenario, free_port, http_get, operator};

/// 2020-01-01T00:00:00Z.
const BEGIN: i64 = 1_577_836_800;

/// A run that reads records of a key and a time from a pipe.
struct Live {
    running: Running,
    pipe: PipeWriter,
    port: u16,
    _scenario: Scenario,
}

impl Live {
    fn start(watermark: &str, stages: &str) -> Self {
        let scenario = Scenario::new();
        scenario.pipeline(&format!(
            "[[source]]\nname = \"in\"\nstdin = {{ format = \"jsonl\" }}\nkey = \"k\"\n\
             event_time = {{ field = \"ts\", format = \"unix_s\" }}\nwatermark = {watermark}\n{stages}"
        ));
        let (reader, pipe) = std::io::pipe().unwrap();
        let port = free_port();
        let running = scenario.start_reading(reader, ["--metrics", &format!("127.0.0.1:{port}")]);
        Self { running, pipe, port, _scenario: scenario }
    }

    fn send(&mut self, key: &str, seconds: i64) {
        writeln!(self.pipe, "{{\"k\":\"{key}\",\"ts\":{seconds}}}").unwrap();
    }

    /// Waits until each instance of these operators, and of the source, has reached this time.
    fn until_all_reach(&mut self, operators: &[(&str, usize)], expected: impl Fn(f64) -> bool) {
        let port = self.port;
        let mut found = Vec::new();
        self.running.until(&format!("all had reached their event time: {operators:?}"), |_| {
            found = watermarks(port)?;
            let all = operators.iter().flat_map(|(name, count)| (0..*count).map(move |at| (*name, at)));
            let mut all = all.chain([("in", 0)]);
            all.all(|(name, at)| {
                let time = found.iter().find(|(operator, instance, _)| operator == name && *instance == at);
                time.is_some_and(|(.., time)| expected(*time))
            })
            .then_some(())
        });
    }

    fn counted(&self, name: &str) -> Option<f64> {
        sage_tests::metric(self.port, name, "operator=\"in\"")
    }

    fn end(self) -> sage_tests::Outcome {
        drop(self.pipe);
        self.running.wait()
    }
}

/// The operator, the instance and the event time of each series.
fn watermarks(port: u16) -> Option<Vec<(String, usize, f64)>> {
    let text = http_get(port, "/metrics")?;
    let lines = text.lines().filter(|line| line.starts_with("sage_watermark_seconds{"));
    let label = |line: &str, name: &str| Some(line.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
    lines
        .map(|line| {
            let instance = label(line, "operator_instance")?.parse().ok()?;
            Some((label(line, "operator")?, instance, line.rsplit_once(' ')?.1.parse().ok()?))
        })
        .collect()
}

/// A chain, instances of which most get no record, lanes that share an inbox, a diamond, rejects and a broadcast.
fn graph() -> String {
    format!(
        r#"
[[operator]]
name = "copy"
component = "{identity}"
input = "in"
parallelism = 2
[[operator]]
name = "reject"
component = "{celsius}"
input = "copy"
[[operator]]
name = "count"
component = "{count}"
input = ["in", "reject.rejects"]
partition = "key"
parallelism = 3
[[operator]]
name = "all"
component = "{identity}"
input = ["count", "in"]
partition = "broadcast"
parallelism = 2
[[sink]]
name = "out"
input = ["all", "reject"]
discard = {{}}
"#,
        identity = operator("identity").display(),
        celsius = operator("json_celsius").display(),
        count = operator("count").display(),
    )
}

const OPERATORS: [(&str, usize); 5] = [("copy", 2), ("reject", 1), ("count", 3), ("all", 2), ("out", 1)];

#[test]
fn every_operator_learns_of_event_time_also_where_no_record_comes() {
    let mut live = Live::start("{ out_of_order = \"5s\" }", &graph());
    live.send("a", BEGIN + 100);
    live.send("a", BEGIN + 60);
    live.until_all_reach(&OPERATORS, |time| time == (BEGIN + 95) as f64);
    live.send("a", BEGIN + 200);
    live.until_all_reach(&OPERATORS, |time| time == (BEGIN + 195) as f64);
    let outcome = live.end();
    outcome.expect_exit(0).expect_conservation();
    for (name, _) in OPERATORS.iter().chain(&[("in", 1)]) {
        assert_eq!(outcome.stage(name).text("watermark"), "2020-01-01T00:03:15Z", "{name}");
    }
}

#[test]
fn a_record_of_the_year_2126_is_counted_and_makes_no_other_late() {
    let mut live = Live::start("{ out_of_order = \"5s\" }", &graph());
    live.send("a", BEGIN + 100);
    live.send("a", 4_923_000_000);
    live.running.until("it was counted", |_| {
        sage_tests::metric(live.port, "sage_records_ahead_total", "operator=\"in\"").filter(|count| *count == 1.0)
    });
    live.send("a", BEGIN + 200);
    live.until_all_reach(&OPERATORS, |time| time == (BEGIN + 195) as f64);
    assert_eq!(live.counted("sage_records_out_total"), Some(3.0), "the record itself goes its way");
    let outcome = live.end();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(outcome.stage("in").count("records_ahead"), 1);
}

#[test]
fn event_time_goes_on_with_the_clock_while_the_source_is_idle_if_it_says_so() {
    let watermark = "{ out_of_order = \"5s\", idle = \"100ms\", idle_advances = true }";
    let mut live = Live::start(watermark, &graph());
    live.send("a", BEGIN + 100);
    live.until_all_reach(&OPERATORS, |time| time > (BEGIN + 95) as f64 && time < (BEGIN + 200) as f64);
    live.end().expect_exit(0);
}

#[test]
fn a_source_without_event_time_holds_the_others_back_until_it_ends() {
    let stages = format!(
        r#"
[[source]]
name = "other"
generate = {{ rate = 100 }}
[[operator]]
name = "alone"
component = "{identity}"
input = "in"
[[operator]]
name = "both"
component = "{identity}"
input = ["in", "other"]
[[sink]]
name = "out"
input = ["both", "alone"]
discard = {{}}
"#,
        identity = operator("identity").display()
    );
    let mut live = Live::start("{ out_of_order = \"0s\" }", &stages);
    live.send("a", BEGIN);
    live.until_all_reach(&[("alone", 1)], |time| time == BEGIN as f64);
    let found = watermarks(live.port).unwrap();
    assert!(found.iter().all(|(name, ..)| name != "both" && name != "out"), "{found:?}");
    live.running.signal(rustix::process::Signal::TERM);
    drop(live.pipe);
    live.running.wait();
}

#[test]
fn times_without_a_zone_follow_on_error_unless_the_source_has_a_timezone() {
    let run = |event_time: &str| {
        let scenario = Scenario::new();
        scenario.file("in.csv", "at,x\n2026-03-29 01:30:00,1\n2026-03-29 02:30:00,2\n2026-03-29 03:30:00,3\n");
        scenario.pipeline(&format!(
            "[[source]]\nname = \"in\"\nfile = {{ path = \"in.csv\", format = \"csv\" }}\non_error = \"skip\"\n\
             event_time = {{ field = \"at\"{event_time} }}\nwatermark = {{ out_of_order = \"0s\" }}\n\
             [[operator]]\nname = \"copy\"\ncomponent = \"{}\"\ninput = \"in\"\n\
             [[sink]]\nname = \"out\"\ninput = \"copy\"\nfile = {{ path = \"out.txt\" }}\n",
            operator("identity").display()
        ));
        let outcome = scenario.run();
        outcome.expect_exit(0);
        outcome
    };
    let without = run("");
    assert_eq!(without.stage("in").count("failed"), 3, "{without:?}");
    without.expect_stderr("it has no zone: write an offset or Z, or set timezone");
    let berlin = run(", timezone = \"Europe/Berlin\"");
    assert_eq!(berlin.stage("in").count("failed"), 1);
    berlin.expect_stderr("a clock change leaves this time out in its zone");
    assert_eq!(berlin.stage("in").text("watermark"), "2026-03-29T01:30:00Z");
    let pattern = run(", format = \"%Y-%m-%d %H:%M:%S\", timezone = \"UTC\"");
    assert_eq!(pattern.stage("in").text("watermark"), "2026-03-29T03:30:00Z");
}
