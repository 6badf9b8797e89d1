use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sage_test_support::{Need, skip};
use serde_json::Value;

use crate::program::{command, sage_host};

fn pipeline(folder: &Path, generate: &str, sink: &str) {
    let text = format!(
        "[[source]]\nname = \"made-up\"\ngenerate = {{ {generate} }}\n\n\
        [[sink]]\nname = \"out\"\ninput = \"made-up\"\n{sink} = {{}}\n"
    );
    fs::write(folder.join("pipeline.toml"), text).unwrap();
}

/// Starts a run with stdout and stderr connected to this test.
fn started(folder: &Path, words: &[&str]) -> Child {
    command(folder, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn summary(stdout: &str) -> Value {
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

fn stage<'a>(summary: &'a Value, name: &str) -> &'a Value {
    summary["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap()
}

#[test]
fn records_go_to_stdout_and_the_summary_to_stderr() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 1000, payload_bytes = 16", "stdout");
    let ran = sage_host(folder.path(), &["run", "pipeline.toml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    assert_eq!(ran.stdout.lines().count(), 1000);
    for word in ["made-up", "out", "1000"] {
        let plain = ran.stderr.replace([',', '_'], "");
        assert!(plain.contains(word), "the summary does not say {word}:\n{}", ran.stderr);
    }
}

#[test]
fn a_quiet_run_says_nothing_but_its_records() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 10", "stdout");
    let ran = sage_host(folder.path(), &["run", "pipeline.toml", "--quiet"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    assert_eq!(ran.stdout.lines().count(), 10);
    assert_eq!(ran.stderr, "");
}

#[test]
fn with_json_the_last_line_of_stdout_is_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 10", "stdout");
    let ran = sage_host(folder.path(), &["run", "pipeline.toml", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    assert_eq!(ran.stdout.lines().count(), 11);
    let summary = summary(&ran.stdout);
    assert_eq!(summary["outcome"], "completed");
    assert_eq!(stage(&summary, "out")["records_in"], 10);
    assert_eq!(stage(&summary, "out")["balanced"], true);
}

#[test]
fn explain_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 10", "stdout");
    let text = sage_host(folder.path(), &["run", "pipeline.toml", "--explain"]);
    assert_eq!(text.code, Some(0), "{}", text.transcript());
    assert!(text.stdout.starts_with("operator"), "{}", text.stdout);
    let json = sage_host(folder.path(), &["run", "pipeline.toml", "--explain", "--output", "json"]);
    let ledger: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(ledger["pipeline"], "pipeline");
    assert!(ledger["rows"].is_array() && ledger["totals"].is_object(), "{ledger}");
}

#[test]
fn a_signal_drains_a_source_without_end_and_the_run_is_complete() {
    for stop in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        pipeline(folder.path(), "rate = 1000, payload_bytes = 16", "stdout");
        let mut child = started(folder.path(), &["run", "pipeline.toml", "--output", "json"]);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        stdout.read_line(&mut text).unwrap();
        signal(&child, stop);
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let summary = summary(&text);
        assert_eq!(summary["outcome"], "drained");
        assert_eq!(stage(&summary, "made-up")["stopped_early"], true, "the output is incomplete");
        let written = text.lines().count() as u64 - 1;
        assert_eq!(stage(&summary, "made-up")["records_out"], written, "a record that was read is lost");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("draining"), "{said}");
    }
}

#[test]
fn a_bounded_source_that_is_cut_short_is_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 1000000, rate = 1000", "stdout");
    let mut child = started(folder.path(), &["run", "pipeline.toml", "--output", "json"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    signal(&child, Signal::INT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(summary(&text)["outcome"], "interrupted");
}

#[test]
fn a_second_signal_stops_at_once_even_if_nobody_reads_the_output() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "payload_bytes = 1024", "stdout");
    let mut child = started(folder.path(), &["run", "pipeline.toml", "--quiet"]);
    // The run has started. From here on the pipe has no reader, and the sink waits for room in it.
    let mut one = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut one).unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
    signal(&child, Signal::INT);
    assert!(words.next().unwrap().unwrap().contains("draining"));
    signal(&child, Signal::INT);
    assert!(words.next().unwrap().unwrap().contains("stopping at once"));
    let rest: Vec<String> = words.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.iter().any(|line| line.contains("without waiting any longer for: sink \"out\"")), "{rest:?}");
}

/// SIGHUP, or another signal if this test was started with SIGHUP ignored: the program would inherit that.
fn hangup() -> Signal {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1;
    if ignored { Signal::TERM } else { Signal::HUP }
}

/// Records block standard output, so the JSON summary cannot be written there either.
#[test]
fn one_signal_ends_a_run_whose_output_nobody_reads() {
    for (first, output) in [(Signal::TERM, "text"), (hangup(), "json")] {
        let folder = tempfile::tempdir().unwrap();
        pipeline(folder.path(), "payload_bytes = 1024", "stdout");
        let words = ["run", "pipeline.toml", "--drain-timeout", "300ms", "--output", output];
        let mut child = started(folder.path(), &words);
        let mut one = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut one).unwrap();
        signal(&child, first);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        assert!(said.contains("sink \"out\" has taken nothing for 100ms (a third of --drain-timeout)"), "{said}");
        let equation = said.lines().find(|line| line.contains(" in = ")).unwrap_or_else(|| panic!("{said}"));
        assert!(equation.contains(" unfinished") && !equation.contains("DOES NOT"), "{equation}");
        assert!(said.contains("interrupted"), "{said}");
    }
}

/// A terminal that is not read does not keep the program from handling a signal.
#[test]
fn a_run_ends_where_neither_output_is_read() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "payload_bytes = 1024", "stdout");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = command(folder.path(), &["run", "pipeline.toml", "--drain-timeout", "100ms"])
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut one = [0];
    reader.read_exact(&mut one).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn metrics_are_served_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "rate = 1000", "discard");
    let mut child = started(folder.path(), &["run", "pipeline.toml", "--metrics", "127.0.0.1:0"]);
    let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = words
        .find_map(|line| Some(line.unwrap().split_once("metrics: http://")?.1.trim_end_matches("/metrics").to_owned()))
        .unwrap();
    let mut connection = TcpStream::connect(&address).unwrap();
    write!(connection, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    signal(&child, Signal::TERM);
    // The program must find a reader as long as it writes.
    words.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for series in ["made-up", "out", "sage_"] {
        assert!(answer.contains(series), "{series} is not among them:\n{answer}");
    }
}

#[test]
fn metrics_on_an_address_that_is_taken_are_refused_before_anything_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 10", "stdout");
    let ran = sage_host(folder.path(), &["run", "pipeline.toml", "--metrics", &address]);
    assert_eq!(ran.code, Some(2), "{}", ran.transcript());
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains(&address), "{}", ran.stderr);
}

/// Output of the program on a terminal of `columns` columns; `None` if `script`, which makes the terminal, is
/// missing.
fn on_a_terminal(folder: &Path, columns: u32, no_color: &str, words: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_sage-host");
    let line = format!("stty rows 24 cols {columns}; exec {program} {words}");
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", no_color).env("TERM", "xterm-256color");
    script.env("XDG_CACHE_HOME", folder).env("SAGE_HOST_LEASE_FOLDER", folder.join("leases"));
    let ran = script.output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{text}");
    Some(text.replace('\r', ""))
}

#[test]
fn on_a_terminal_the_summary_and_the_ledger_fit_its_width_and_have_colour_unless_nobody_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 1000", "discard");
    for columns in [80, 40] {
        for words in ["run pipeline.toml", "run pipeline.toml --explain"] {
            let Some(plain) = on_a_terminal(folder.path(), columns, "1", words) else {
                return skip(Need::Script, "there is no script(1) to make a terminal with");
            };
            assert!(!plain.contains("\u{1b}[3"), "{plain:?}");
            let shown = plain.lines().filter(|line| !line.contains('\u{1b}'));
            let widest = shown.map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns as usize, "{widest} columns:\n{plain}");
        }
        let coloured = on_a_terminal(folder.path(), columns, "", "run pipeline.toml").unwrap();
        assert!(coloured.contains("\u{1b}[32mcompleted\u{1b}[0m"), "{coloured:?}");
    }
}

#[test]
fn metrics_that_others_can_reach_are_served_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "count = 10", "discard");
    for (address, warned) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
        let ran = sage_host(folder.path(), &["run", "pipeline.toml", "--metrics", address]);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        assert_eq!(ran.stderr.contains("metrics are served beyond this machine"), warned, "{}", ran.stderr);
    }
}
