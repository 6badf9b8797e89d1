use super::by_field_rows::{reads_fields as by_field_reads_fields, source as by_field_answers_as_told};
use sage_tests::{Codes, Outcome, Scenario, guest};

use crate::{each_source_guest, has_a_test};
use sage_tests::poison::{TIGHT, expect_neighbour_complete, with_neighbour};

each_source_guest!(has_a_test);

#[test]
fn counts_to_a_hundred() {
    complete("source_counts_to_a_hundred");
}

#[test]
fn goes_on_after_a_trap() {
    assert_eq!(complete("source_goes_on_after_a_trap").stage("from").count("restarts"), 1);
}

#[test]
fn panics_after_emitting() {
    assert_eq!(complete("source_panics_after_emitting").stage("from").count("restarts"), 1);
}

#[test]
fn fails() {
    let outcome = fails_with("source_fails", "the well is dry");
    assert_eq!(outcome.error()["operator"].as_str(), Some("from"));
}

#[test]
fn panics_always() {
    // There is no record to give up, so the source uses up its retries and then fails.
    let outcome = fails_with("source_panics_always", "never a record");
    assert_eq!(outcome.error()["code"].as_str(), Some(Codes::PANIC), "{outcome:?}");
}

#[test]
fn rejects_a_record() {
    fails_with("source_rejects_a_record", "output.failures");
}

#[test]
fn names_parents() {
    fails_with("source_names_parents", "parents");
}

#[test]
fn never_ends() {
    drains("source_never_ends");
}

#[test]
fn is_idle_for_ever() {
    drains("source_is_idle_for_ever");
}

fn scenario(name: &str) -> Scenario {
    with_neighbour(
        &format!(
            "[[source]]\nname = \"from\"\ncomponent = \"{}\"\n{TIGHT}\n\
            [[sink]]\nname = \"out\"\ninput = \"from\"\nfile = {{ path = \"out.txt\" }}",
            guest(name).display()
        )
        .replace("output_bytes_per_call = \"1MiB\"", "output_bytes_per_call = \"1MiB\", restarts_in_a_row = 5"),
    )
}

/// Asserts that all hundred records arrive, once and in order.
fn complete(name: &str) -> Outcome {
    let scenario = scenario(name);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), (0..100).map(|i| format!("r{i}")).collect::<Vec<_>>());
    outcome
}

/// Asserts that the run fails with `message`.
fn fails_with(name: &str, message: &str) -> Outcome {
    let scenario = scenario(name);
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation();
    assert!(outcome.error()["message"].as_str().unwrap().contains(message), "{outcome:?}");
    assert_eq!(scenario.read("out.txt"), None);
    outcome
}

/// Asserts that a signal drains a run without end: all records that were read are handled, and the sink is
/// complete.
fn drains(name: &str) {
    let scenario = scenario(name);
    let mut running = scenario.start();
    // The neighbour's source has an end. A stop before that end would count as an interruption.
    running.until("the neighbour's source had ended", |process| {
        let threads = sage_tests::thread_cpus(process);
        let is_there = |lane: &str| threads.keys().any(|(name, _)| name == lane);
        let written = std::fs::metadata(scenario.path().join("calm-out.txt.partial")).is_ok_and(|file| file.len() > 0);
        (written && is_there("from-0.0") && !is_there("calm-0.0")).then_some(())
    });
    running.signal(rustix::process::Signal::TERM);
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    let lines = scenario.lines("out.txt");
    assert_eq!(lines, (0..lines.len()).map(|i| format!("r{i}")).collect::<Vec<_>>(), "no hole and nothing twice");
    assert_eq!(outcome.stage("out").count("records_in"), lines.len() as u64);
}

#[test]
fn instances_number_the_records_of_their_source_in_turn() {
    let scenario = Scenario::new();
    scenario.file("in.txt", "poison\n");
    scenario.pipeline(&format!(
        r#"
        [[source]]
        name = "s"
        component = "{}"
        parallelism = 2
        [[source]]
        name = "s-1"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = ["s", "s-1"]
        on_error = {{ dead_letter = "dead.jsonl" }}
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest("source_counts_to_a_hundred").display(),
        guest("map_panics_always").display()
    ));
    let outcome = scenario.run();
    outcome.expect_conservation();
    let text = scenario.read("dead.jsonl").unwrap();
    let mut found: Vec<(String, u64, u64)> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|letter| {
            let number = |field: &str| letter[field].as_u64().unwrap();
            (letter["source"].as_str().unwrap().to_owned(), number("offset"), number("source_instance"))
        })
        .collect();
    found.sort();
    let letters = found.len();
    found.dedup_by_key(|(source, offset, _)| (source.clone(), *offset));
    assert_eq!(found.len(), letters, "two records have the same source and offset");
    assert!(found.iter().all(|(source, offset, instance)| source == "s-1" || offset % 2 == *instance), "{found:?}");
    assert!(found.iter().all(|(source, ..)| source == "s" || source == "s-1"), "{found:?}");
}
