//! The scenario of most guests: ten good records and a poisonous one, beside a healthy neighbour.

use std::path::Path;

use crate::{Codes, Outcome, Scenario, guest};

/// The guest's input: `poison` is record 4.
pub const INPUT: [&str; 11] = ["r0", "r1", "r2", "r3", "poison", "r4", "r5", "r6", "r7", "r8", "r9"];

/// Limits at which hostile guests fail fast.
pub const TIGHT: &str = r#"
resources = { memory = "16MiB" }
limits = { cpu_time_per_call = "60ms", call_timeout = "5s", log_bytes_per_second = "2KiB", record_bytes = "60KiB", output_bytes_per_call = "1MiB" }
"#;

/// The input without the poison.
pub fn good() -> Vec<String> {
    INPUT.iter().filter(|record| **record != "poison").map(|record| (*record).to_owned()).collect()
}

/// A scenario with `component` as operator `guest` between `in.txt` and `out.txt`, with these settings,
/// beside a neighbour.
pub fn beside_a_neighbour(component: &Path, settings: &str) -> Scenario {
    let scenario = with_neighbour(&format!(
        r#"
[[source]]
name = "in"
file = {{ path = "in.txt", format = "lines" }}

[[operator]]
name = "guest"
component = "{}"
input = "in"
{settings}

[[sink]]
name = "out"
input = "guest"
file = {{ path = "out.txt" }}
"#,
        component.display()
    ));
    scenario.file("in.txt", INPUT.map(|record| format!("{record}\n")).concat());
    scenario
}

/// A scenario with the given stages and a neighbour.
pub fn with_neighbour(stages: &str) -> Scenario {
    let scenario = Scenario::new();
    let calm: String = (0..NEIGHBOURS).map(|i| format!("calm {i}\n")).collect();
    scenario.file("calm.txt", calm);
    scenario.pipeline(&format!(
        r#"
[pipeline]
name = "conformance"
{stages}

[[source]]
name = "calm"
file = {{ path = "calm.txt", format = "lines" }}

[[operator]]
name = "neighbour"
component = "{}"
input = "calm"

[[sink]]
name = "calm-out"
input = "neighbour"
file = {{ path = "calm-out.txt" }}
"#,
        guest("map_shouts").display()
    ));
    scenario
}

const NEIGHBOURS: usize = 3000;

/// Fails the test unless the neighbour's output is complete.
#[track_caller]
pub fn expect_neighbour_complete(scenario: &Scenario, outcome: &Outcome) {
    let expected: Vec<String> = (0..NEIGHBOURS).map(|i| format!("CALM {i}")).collect();
    assert!(scenario.lines("calm-out.txt") == expected, "the neighbour's output is not complete\n{outcome:?}");
    assert_eq!(outcome.stage("neighbour").count("restarts"), 0);
}

/// Asserts that the poison goes to the dead letters with this code and message and with its full origin, and
/// that nothing else is affected.
#[track_caller]
pub fn costs_that_record_alone(component: &Path, code: &str, message: &str) {
    let settings = format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{TIGHT}");
    let scenario = beside_a_neighbour(component, &settings);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), good(), "the other records, in order\n{outcome:?}");

    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!(letter.text("code"), code, "{letter:?}");
    assert!(letter.text("message").contains(message), "{message:?} is not in {letter:?}");
    assert_eq!(
        (letter.text("payload"), letter.text("pipeline"), letter.text("operator"), letter.text("source")),
        ("poison", "conformance", "guest", "in")
    );
    assert_eq!((letter.number("instance"), letter.number("offset")), (0, 4), "{letter:?}");
    assert!(letter.0["key"].is_null() && letter.0["timestamp"].is_null(), "{letter:?}");

    let stage = outcome.stage("guest");
    assert_eq!((stage.count("records_in"), stage.count("handled"), stage.count("dead_lettered")), (11, 10, 1));
    if code == Codes::REJECTED {
        assert_eq!((stage.count("restarts"), stage.count("retried")), (0, 0), "a rejected record costs nothing else");
        assert_eq!(letter.number("attempts"), 1, "{letter:?}");
    } else {
        assert!(stage.count("restarts") >= 1, "a failed copy is rebuilt\n{outcome:?}");
        assert!(letter.number("attempts") >= 2, "tried again before it is given up: {letter:?}");
        assert!(stage.errors(code) >= 1, "the summary counts the code\n{outcome:?}");
    }
}

/// Asserts that the run fails with this code and message before any output exists.
#[track_caller]
pub fn stops_the_pipeline(component: &Path, settings: &str, code: &str, message: &str) -> Outcome {
    let scenario = beside_a_neighbour(component, &format!("{settings}\n{TIGHT}"));
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation();
    let error = outcome.error();
    assert_eq!(error["code"].as_str(), Some(code), "{outcome:?}");
    assert_eq!(error["operator"].as_str(), Some("guest"), "{outcome:?}");
    assert_eq!(error["instance"].as_u64(), Some(0), "{outcome:?}");
    assert!(error["message"].as_str().unwrap().contains(message), "{message:?} is not in {outcome:?}");
    assert_eq!(scenario.read("out.txt"), None, "a failed run leaves no file that looks complete");
    outcome
}

/// Asserts that the guest does not start, and that the run ends with this code before any data flows.
#[track_caller]
pub fn does_not_start(component: &Path, code: &str, message: &str) {
    let scenario = beside_a_neighbour(component, &format!("on_error = \"skip\"\n{TIGHT}"));
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_stderr("\"guest\" (instance 0)").expect_stderr(code).expect_stderr(message);
    assert_eq!((scenario.read("out.txt"), scenario.read("calm-out.txt")), (None, None), "no data flowed");
}

/// Asserts that the run is refused before any data flows, with these messages.
#[track_caller]
pub fn is_refused(component: &Path, parts: &[&str]) {
    let scenario = beside_a_neighbour(component, TIGHT);
    let outcome = scenario.run();
    outcome.expect_exit(2);
    for part in parts {
        assert!(format!("{}{}", outcome.stderr, outcome.stdout).contains(part), "nothing says {part:?}\n{outcome:?}");
    }
    assert_eq!(scenario.read("out.txt"), None);
    assert_eq!(scenario.read("calm-out.txt"), None);
}
