use super::by_field_rows::{gives_fields as by_field_gives_fields, sink as by_field_answers_as_told};
use sage_tests::{Codes, Outcome, Scenario, guest};

use crate::{each_sink_guest, has_a_test};
use sage_tests::poison::{INPUT, TIGHT, expect_neighbour_complete, good, with_neighbour};

each_sink_guest!(has_a_test);

const FOLDER: &str = "capabilities = { folders = [{ host = \"written\", guest = \"/out\", write = true }] }";
/// A flush interval longer than any test.
const NEVER: &str = "limits = { flush_interval = \"24h\" }";

#[test]
fn writes_a_file() {
    let scenario = with_folder("sink_writes_a_file", "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("written/written.txt"), INPUT);
    assert_eq!(scenario.read("written/flushed.txt").as_deref(), Some("yes"), "flushed at the end at the latest");
    assert_eq!(scenario.read("written/closed.txt").as_deref(), Some("yes"));
    assert_eq!((outcome.stage("to").count("records_in"), outcome.stage("to").count("handled")), (11, 11));
}

#[test]
fn rejects_a_record() {
    costs_the_poison("sink_rejects_a_record", Codes::REJECTED, "not in my house");
}

#[test]
fn tells_its_edge() {
    let scenario = Scenario::new();
    scenario.file("left.txt", "a\n");
    scenario.file("right.txt", "b\n");
    scenario.pipeline(&format!(
        r#"
[[source]]
name = "in"
file = {{ path = "left.txt" }}
[[source]]
name = "more"
file = {{ path = "right.txt" }}
[[sink]]
name = "to"
component = "{}"
inputs = {{ left = "in", right = "more" }}
on_error = {{ dead_letter = "dead.jsonl" }}
"#,
        guest("sink_tells_its_edge").display()
    ));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let letters = outcome.dead_letters("dead.jsonl");
    let mut told: Vec<String> =
        letters.iter().map(|letter| format!("{} {}", letter.text("payload"), letter.text("message"))).collect();
    told.sort();
    assert_eq!(told, ["a left", "b right"]);
}

#[test]
fn panics() {
    costs_the_poison("sink_panics", Codes::PANIC, "indigestible");
}

#[test]
fn calls_emit() {
    costs_the_poison("sink_calls_emit", Codes::MALFORMED, "output.emit");
}

#[test]
fn fails_to_flush() {
    let scenario = scenario("sink_fails_to_flush", "");
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation();
    assert!(outcome.error()["message"].as_str().unwrap().contains("the disk said no"), "{outcome:?}");
    assert_eq!(outcome.error()["operator"].as_str(), Some("to"), "{outcome:?}");
    let to = outcome.stage("to");
    assert_eq!((to.count("handled"), to.count("unfinished")), (0, 11), "only durable records count as handled");
}

#[test]
fn gathers() {
    let scenario = with_folder("sink_gathers", &format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{NEVER}"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(gathered(&scenario), good(), "records received before the failure are written exactly once");
    assert_eq!(outcome.dead_letters("dead.jsonl").len(), 1);
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("dead_lettered")), (10, 1));
}

#[test]
fn what_many_batches_brought_and_no_flush_had_made_durable_is_written_again_after_a_failure() {
    let scenario = with_folder("sink_gathers", &format!("retries = 1\n{NEVER}"));
    let mut records: Vec<String> = (0..60_000).map(|number| format!("r{number}")).collect();
    records[50_000] = "stumble".to_owned();
    scenario.file("in.txt", records.join("\n"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert!(gathered(&scenario) == records, "every record once and in order");
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("restarts")), (60_000, 1));
}

#[test]
fn a_flush_that_fails_is_tried_again_after_what_it_lost_was_written_again() {
    let scenario = with_folder("sink_gathers", &format!("retries = 1\n{NEVER}"));
    let records = ["a", "trip", "b"];
    scenario.file("in.txt", records.join("\n"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(gathered(&scenario), records);
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("restarts")), (3, 1));
}

#[test]
fn what_never_ends_is_flushed_as_often_as_flush_interval_says() {
    let scenario = Scenario::new();
    std::fs::create_dir(scenario.path().join("written")).unwrap();
    scenario.pipeline(&format!(
        "[pipeline]\nname = \"endless\"\n[[source]]\nname = \"in\"\ngenerate = {{ rate = 1000 }}\n\
        [[sink]]\nname = \"to\"\ninput = \"in\"\ncomponent = \"{}\"\n{FOLDER}\n\
        limits = {{ flush_interval = \"50ms\" }}\n",
        guest("sink_gathers").display()
    ));
    let mut running = scenario.start();
    running.until("something was flushed", |_| (!gathered(&scenario).is_empty()).then_some(()));
    running.signal(rustix::process::Signal::INT);
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(gathered(&scenario).len() as u64, outcome.stage("to").count("handled"));
}

fn scenario(name: &str, settings: &str) -> Scenario {
    let scenario = with_neighbour(&format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = \"in.txt\", format = \"lines\" }}\n\
        [[sink]]\nname = \"to\"\ninput = \"in\"\ncomponent = \"{}\"\n{settings}\n",
        guest(name).display()
    ));
    scenario.file("in.txt", INPUT.map(|record| format!("{record}\n")).concat());
    scenario
}

fn with_folder(name: &str, settings: &str) -> Scenario {
    let scenario = scenario(name, &format!("{FOLDER}\n{settings}"));
    std::fs::create_dir(scenario.path().join("written")).unwrap();
    scenario
}

/// Lines that [`sink_gathers`](each_sink_guest) wrote.
fn gathered(scenario: &Scenario) -> Vec<String> {
    let text = scenario.read("written/written.txt").unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn costs_the_poison(name: &str, code: &str, message: &str) -> Outcome {
    let scenario = scenario(name, &format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{TIGHT}"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].text("code"), letters[0].text("payload")), (code, "poison"));
    assert!(letters[0].text("message").contains(message), "{letters:?}");
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("dead_lettered")), (10, 1));
    outcome
}
