//! Programs that share a machine: a program is refused resources that another holds, waits for them, or
//! receives them after the other's end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sage_tests::{Running, Scenario, WatGuest};

const HOST: &str = "cpus = 1\nmemory = \"256MiB\"\n[reserve]\ncpus = 0\nmemory = 0\n[resources]\nlicence = 3\n";
const TENANTS: &str = "\n[tenant.blue]\ncpus = 0.75\nmemory = \"100MiB\"\nresources = { licence = 2 }\n\
    [tenant.green]\nmemory = \"200MiB\"\n";
/// More than half of every resource.
const MOST: &str = "num_cpus = 0.75, memory = \"160MiB\", resources = { licence = 2 }";

/// A pipeline that requests `resources`. The pipeline has `count` records, or runs until it is stopped.
fn asking(name: &str, resources: &str, count: Option<u32>) -> Scenario {
    let scenario = Scenario::new();
    scenario.file("host.toml", HOST);
    let component = scenario.file("echo.wasm", WatGuest::default().build());
    let count = count.map_or("rate = 100".to_owned(), |count| format!("count = {count}"));
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "{name}"
        [[source]]
        name = "in"
        generate = {{ {count} }}
        [[operator]]
        name = "echo"
        component = "{}"
        input = "in"
        resources = {{ {resources} }}
        [[sink]]
        name = "out"
        input = "echo"
        discard = {{}}
        "#,
        component.display()
    ));
    scenario
}

/// Starts the pipeline and waits until it holds its resources.
fn holding(scenario: &Scenario, arguments: &[&str]) -> Running {
    let mut running = scenario.start_with(["--host", "host.toml"].iter().chain(arguments));
    let leases = scenario.path().join("leases");
    running.until("it was admitted", |pid| leases.join(format!("run-{pid}-0.lock")).exists().then_some(()));
    running
}

fn command(scenario: &Scenario, what: &str, arguments: &[&str]) -> Command {
    let mut command = scenario.command(what);
    command.args(["--host", "host.toml"]).args(arguments).stdin(Stdio::null());
    command
}

fn ran(scenario: &Scenario, what: &str, arguments: &[&str]) -> Output {
    command(scenario, what, arguments).output().unwrap()
}

/// The messages, with the holder's process id replaced.
fn said(output: &Output, holder: u32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    format!("exit code: {}\n{stderr}", output.status.code().unwrap()).replace(&holder.to_string(), "PID")
}

fn files_of_runs(scenario: &Scenario) -> Vec<String> {
    let names = std::fs::read_dir(scenario.path().join("leases")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("run-")).collect()
}

#[test]
fn a_second_pipeline_that_does_not_fit_is_refused_with_wanted_free_and_held_by_whom() {
    let first = asking("first", MOST, None);
    let second = asking("second", MOST, Some(10)).sharing_leases_of(&first);
    let running = holding(&first, &[]);
    for what in ["run", "validate"] {
        let refused = ran(&second, what, &[]);
        assert!(refused.stdout.is_empty());
        insta::assert_snapshot!("a_second_pipeline_is_refused", said(&refused, running.id()));
    }
    let over = ran(&second, "run", &["--overcommit"]);
    assert_eq!(over.status.code(), Some(0), "{over:?}");
    assert_eq!(files_of_runs(&first).len(), 1, "the ledger has no entry of an ended run");
    running.signal(Signal::INT);
    running.wait().expect_exit(0);
    assert_eq!(files_of_runs(&first), [""; 0]);
    assert_eq!(ran(&second, "run", &[]).status.code(), Some(0));
}

#[test]
fn a_tenants_ceiling_holds_over_all_its_runs_and_for_nobody_else() {
    let small = "num_cpus = 0.25, memory = \"60MiB\", resources = { licence = 1 }";
    let first = asking("first", "num_cpus = 0.5, memory = \"60MiB\", resources = { licence = 1 }", None);
    let second = asking("second", small, Some(10)).sharing_leases_of(&first);
    for scenario in [&first, &second] {
        scenario.file("host.toml", format!("{HOST}{TENANTS}"));
    }
    let running = holding(&first, &["--tenant", "blue"]);
    let refused = ran(&second, "run", &["--tenant", "blue", "--overcommit"]);
    insta::assert_snapshot!("a_tenant_over_its_ceiling", said(&refused, running.id()));
    let unnamed = ran(&second, "run", &[]);
    insta::assert_snapshot!("a_tenant_that_is_not_named", said(&unnamed, running.id()));
    let green = ran(&second, "run", &["--tenant", "green"]);
    assert_eq!(green.status.code(), Some(0), "{green:?}");
}

#[test]
fn a_run_that_waits_says_once_for_whom_and_starts_when_that_one_ends() {
    for stop in [Signal::INT, Signal::KILL] {
        let first = asking("first", MOST, None);
        let second = asking("second", MOST, Some(10)).sharing_leases_of(&first);
        let running = holding(&first, &[]);
        let mut child = command(&second, "run", &["--wait", "80s"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        words.read_line(&mut line).unwrap();
        assert_eq!(line, "waiting up to 80s for what others hold:\n");
        running.signal(stop);
        let mut rest = String::new();
        words.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
        let holder = format!("process {} (pipeline \"first\", tenant \"default\") holds 160MiB", running.id());
        assert!(rest.contains(&holder), "{holder} is not in\n{rest}");
        assert_eq!(rest.matches("waiting").count(), 0, "said once:\n{rest}");
        running.gone();
        assert_eq!(files_of_runs(&first), [""; 0], "the file of the killed run is removed");
    }
}

#[test]
fn waiting_ends_in_the_refusal_and_what_never_fits_is_not_waited_for() {
    let first = asking("first", MOST, None);
    let second = asking("second", MOST, Some(10)).sharing_leases_of(&first);
    let never = asking("never", "memory = \"300MiB\"", Some(10)).sharing_leases_of(&first);
    let running = holding(&first, &[]);
    let began = Instant::now();
    let late = ran(&second, "run", &["--wait", "400ms"]);
    assert!(began.elapsed() >= Duration::from_millis(400));
    let text = said(&late, running.id());
    assert!(text.starts_with("exit code: 3\nwaiting up to 400ms"), "{text}");
    assert!(text.contains("error: the pipeline wants 160MiB of memory, 96MiB is free"), "{text}");

    let refused = said(&ran(&never, "run", &["--wait", "80s"]), running.id());
    assert!(
        refused.starts_with("exit code: 3\nerror: the pipeline wants 300MiB of memory, 96MiB is free"),
        "{refused}"
    );
}

#[test]
fn a_signal_ends_waiting_at_once() {
    let first = asking("first", MOST, None);
    let second = asking("second", MOST, Some(10)).sharing_leases_of(&first);
    let _running = holding(&first, &[]);
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = command(&second, "run", &["--wait", "1h"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        words.read_line(&mut line).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        words.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        assert!(rest.ends_with("error: interrupted while waiting for what others hold: nothing was run\n"), "{rest}");
    }
}

#[test]
fn a_killed_runs_claim_is_free_at_once() {
    let first = asking("first", MOST, None);
    let second = asking("second", MOST, Some(10)).sharing_leases_of(&first);
    let running = holding(&first, &[]);
    running.signal(Signal::KILL);
    running.gone();
    assert_eq!(files_of_runs(&first).len(), 1, "a killed run cannot remove its file");
    assert_eq!(ran(&second, "run", &[]).status.code(), Some(0));
    assert_eq!(files_of_runs(&first), [""; 0]);
}
