use super::by_field_rows::{
    describes_other_ports as by_field_describes_other_ports,
    extends_nothing_at_the_end as by_field_extends_nothing_at_the_end, process as by_field_answers_as_told,
};
use std::collections::BTreeMap;

use sage_tests::{Codes, Scenario, guest, in_processes};

use crate::{each_process_guest, has_a_test, poisonous};
use sage_tests::poison::{
    INPUT, TIGHT, beside_a_neighbour, does_not_start, expect_neighbour_complete, good, is_refused, stops_the_pipeline,
    with_neighbour,
};

each_process_guest!(has_a_test);

poisonous!(process {
    emits_on_an_unknown_port: MALFORMED, "port 1";
    emits_on_a_port_far_away: MALFORMED, "port 4294967295";
    names_a_parent_out_of_range: MALFORMED, "names record 1, there are 1";
    gives_too_few_parents: MALFORMED, "1 entries for 2 records";
    emits_keys_of_another_count: MALFORMED, "1 entries for 2 records";
    emits_timestamps_of_another_count: MALFORMED, "3 entries for 2 records";
    emits_headers_of_another_count: MALFORMED, "0 entries for 1 records";
    emits_broken_keys: MALFORMED, "the last offset is 99, but there are 1 bytes";
    calls_payloads: MALFORMED, "output.payloads";
    puts_fewer_values_than_keys: MALFORMED, "1 entries for 2 records";
    gets_a_broken_column: MALFORMED, "offset 2 is 2, below 5 before it";
    hoards_state: MEMORY, "16777216";
    puts_an_enormous_key: MEMORY, "16777216";
    gets_one_value_many_times: MEMORY, "16777216";
    emits_nothing_without_end: OUTPUT_TOO_LARGE, "1";
    rejects_a_record: REJECTED, "not to be processed";
});

#[test]
fn says_nothing() {
    let scenario = beside_a_neighbour(&guest("process_says_nothing"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("out.txt").as_deref(), Some(""));
}

#[test]
fn declares_rejects() {
    is_refused(&guest("process_declares_rejects"), &["rejects"]);
}

#[test]
fn declares_a_bad_port() {
    is_refused(&guest("process_declares_a_bad_port"), &["Too Late"]);
}

#[test]
fn declares_a_port_twice() {
    is_refused(&guest("process_declares_a_port_twice"), &["late"]);
}

#[test]
fn panics_in_ports() {
    is_refused(&guest("process_panics_in_ports"), &["no ports in a storm"]);
}

#[test]
fn loops_in_ports() {
    is_refused(&guest("process_loops_in_ports"), &["cpu_time_per_call"]);
}

#[test]
fn splits_late() {
    let scenario = with_neighbour(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        [[sink]]
        name = "out"
        input = "guest"
        file = {{ path = "out.txt" }}
        [[sink]]
        name = "late"
        input = "guest.late"
        file = {{ path = "late.txt" }}
        "#,
        guest("process_splits_late").display()
    ));
    scenario.file("in.txt", "a\nlate b\nc\nlate d\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["a", "c"]);
    assert_eq!(scenario.lines("late.txt"), ["late b", "late d"]);
}

#[test]
fn names_parents_in_any_order() {
    let scenario = beside_a_neighbour(&guest("process_names_parents_in_any_order"), "");
    scenario.run().expect_exit(0).expect_conservation();
    let mut lines = scenario.lines("out.txt");
    lines.reverse();
    assert_eq!(lines, INPUT, "one batch, backwards");
}

#[test]
fn speaks_at_the_end() {
    let scenario = beside_a_neighbour(&guest("process_speaks_at_the_end"), "");
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["sum 45"]);
}

#[test]
fn panics_at_the_end() {
    let component = guest("process_panics_at_the_end");
    stops_the_pipeline(&component, "", Codes::PANIC, "no last words");
    // The records of the input are handled. Only the output of `end` is missing, and the run reports that.
    for settings in ["on_error = \"skip\"", "on_error = { dead_letter = \"dead.jsonl\" }\nretries = 1"] {
        let scenario = beside_a_neighbour(&component, settings);
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation().expect_stderr("no last words");
        assert_eq!(scenario.lines("out.txt"), INPUT, "{settings}");
        let stage = outcome.stage("guest");
        assert_eq!((stage.count("ends_failed"), stage.count("handled"), stage.errors(Codes::PANIC)), (1, 11, 1));
        if settings.contains("dead_letter") {
            let letters = outcome.dead_letters("dead.jsonl");
            assert_eq!(letters.len(), 1);
            assert!(letters[0].text("message").starts_with("`end` failed: ") && letters[0].0["source"].is_null());
            assert_eq!(stage.count("dead_lettered"), 0, "no record was");
        }
    }
}

#[test]
fn dresses_records() {
    let told =
        chain(&["process_dresses_records", "process_passes_everything_on", "process_tells_columns"], "r12\nr3\n");
    assert_eq!(
        told,
        [
            r#"r12 key "r1" time 12000 headers "\u{1}\0\0\0h\u{2}\0\0\0up""#,
            r#"r3 key "r3" time 3000 headers "\u{1}\0\0\0h\u{2}\0\0\0up""#
        ]
    );
}

#[test]
fn passes_everything_on() {
    assert_eq!(chain(&["process_passes_everything_on"], "a\n\nb\n"), ["a", "", "b"]);
}

#[test]
fn tells_columns() {
    assert_eq!(chain(&["process_tells_columns"], "a\n"), ["a key none time none headers none"]);
}

#[test]
fn tells_its_edge() {
    let path = guest("process_tells_its_edge");
    for (inputs, names) in [
        ("inputs = { left = \"left\", right = \"right\", bad = \"left.rejects\" }", ["left", "right", "bad"]),
        ("input = [\"left\", \"right\", \"left.rejects\"]", ["none"; 3]),
    ] {
        let scenario = Scenario::new();
        scenario.file("left.txt", "a\npoison\nb\n");
        scenario.file("right.txt", "c\n");
        scenario.pipeline(&format!(
            r#"
[[source]]
name = "in"
file = {{ path = "left.txt" }}
[[source]]
name = "right"
file = {{ path = "right.txt" }}
[[operator]]
name = "left"
component = "{}"
input = "in"
[[operator]]
name = "guest"
component = "{}"
{inputs}
on_error = {{ dead_letter = "dead.jsonl" }}
[[sink]]
name = "out"
input = "guest"
file = {{ path = "out.txt" }}
"#,
            guest("filter_rejects_a_record").display(),
            path.display()
        ));
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation();
        let mut told = scenario.lines("out.txt");
        told.sort();
        let mut expected: Vec<String> =
            [(0, "a"), (0, "b"), (1, "c")].map(|(at, text)| format!("{} {text}", names[at])).into();
        // The guest that panicked on the poison was opened again.
        expected.push("open none, end none".to_owned());
        expected.sort();
        assert_eq!(told, expected, "{inputs}");
        let letter = &outcome.dead_letters("dead.jsonl")[0];
        assert!(letter.text("message").contains(&format!("a poison from {}", names[2])), "{letter:?}");
    }
}

#[test]
fn counts_by_key() {
    for parallelism in [1, 3] {
        let (scenario, outcome) = counting("process_counts_by_key", "a 1\nb 2\na 3\nc 4\na 5\nb 6\n 7\n", parallelism);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(counts(&scenario), [("", 1), ("a", 3), ("b", 2), ("c", 1)].map(|(k, n)| (k.to_owned(), n)).into());
    }
}

#[test]
fn counts_in_its_place() {
    assert_eq!(
        chain(&["process_dresses_records", "process_counts_in_its_place"], "r12\nr3\nr12\n"),
        ["[72, 31] 0.0 1 r12", "[72, 33] 0.0 1 r3", "[72, 31] 0.0 2 r12"]
    );
}

#[test]
fn says_stateless_and_keeps_state() {
    let settings = "parallelism = 2\nretries = 0\non_error = { dead_letter = \"dead.jsonl\" }";
    let scenario = beside_a_neighbour(&guest("process_says_stateless_and_keeps_state"), settings);
    scenario.file("in.txt", "a\nb\nkeep\nc\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let mut passed = scenario.lines("out.txt");
    passed.sort();
    assert_eq!(passed, ["a", "b", "c"], "two instances on input without keys");
    let dead = scenario.read("dead.jsonl").unwrap_or_default();
    assert!(dead.contains("malformed") && dead.contains("description says that it keeps none"), "{dead}");
}

#[test]
fn counts_and_panics() {
    let input: String =
        (0..60).map(|i| if i % 20 == 7 { "poison\n".to_owned() } else { format!("k{} {i}\n", i % 3) }).collect();
    let (scenario, outcome) = counting("process_counts_and_panics", &input, 1);
    outcome.expect_exit(0).expect_conservation();
    let expected: BTreeMap<String, u64> = (0..60).filter(|i| i % 20 != 7).fold(BTreeMap::new(), |mut counts, i| {
        *counts.entry(format!("k{}", i % 3)).or_default() += 1;
        counts
    });
    assert_eq!(counts(&scenario), expected, "what failed calls wrote is undone\n{outcome:?}");
    assert_eq!(outcome.stage("guest").count("failed"), 3);
}

#[test]
fn writes_a_key_twice() {
    assert_eq!(chain(&["process_writes_a_key_twice"], "a\n"), ["true=later true=b true= false= false="]);
}

#[test]
fn uses_maps() {
    assert_eq!(chain(&["process_uses_maps"], "a\n"), ["a=1,b=2,c=3 | b=2 | 1 | 0 | "]);
}

#[test]
fn scans_for_the_whole_world() {
    let settings = format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{TIGHT}");
    let scenario = beside_a_neighbour(&guest("process_scans_for_the_whole_world"), &settings);
    scenario.file("in.txt", "poison\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), ["at most 4096: true"]);
}

#[test]
fn a_record_that_fails_downstream_is_traced_to_its_source() {
    // The process names parents, so the dead letter of the map behind it still has the line number.
    let scenario = with_neighbour(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "turn"
        component = "{}"
        input = "in"
        [[operator]]
        name = "guest"
        component = "{}"
        input = "turn"
        on_error = {{ dead_letter = "dead.jsonl" }}
        [[sink]]
        name = "out"
        input = "guest"
        file = {{ path = "out.txt" }}
        "#,
        guest("process_names_parents_in_any_order").display(),
        guest("map_panics").display()
    ));
    scenario.file("in.txt", INPUT.map(|record| format!("{record}\n")).concat());
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters[0].text("source"), letters[0].number("offset")), ("in", 4));
    let mut lines = scenario.lines("out.txt");
    lines.sort();
    assert_eq!(lines, good());
}

/// Runs lines through a chain of operators.
fn chain(guests: &[&str], input: &str) -> Vec<String> {
    let mut stages = "[[source]]\nname = \"s0\"\nfile = { path = \"in.txt\", format = \"lines\" }\n".to_owned();
    for (i, name) in guests.iter().enumerate() {
        let component = guest(name);
        stages += &format!(
            "[[operator]]\nname = \"s{}\"\ncomponent = \"{}\"\ninput = \"s{i}\"\n",
            i + 1,
            component.display()
        );
    }
    stages += &format!("[[sink]]\nname = \"out\"\ninput = \"s{}\"\nfile = {{ path = \"out.txt\" }}\n", guests.len());
    let scenario = with_neighbour(&stages);
    scenario.file("in.txt", input);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    scenario.lines("out.txt")
}

/// Runs lines through a key-by on their first word and the counting guest `name`.
fn counting(name: &str, input: &str, parallelism: u32) -> (Scenario, sage_tests::Outcome) {
    let scenario = with_neighbour(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "key"
        component = "{}"
        input = "in"
        [[operator]]
        name = "guest"
        component = "{}"
        input = "key"
        partition = "key"
        parallelism = {parallelism}
        on_error = "skip"
        [[sink]]
        name = "out"
        input = "guest"
        file = {{ path = "out.txt" }}
        "#,
        guest("key_by_first_word").display(),
        guest(name).display()
    ));
    scenario.file("in.txt", input);
    let outcome = scenario.run();
    (scenario, outcome)
}

fn counts(scenario: &Scenario) -> BTreeMap<String, u64> {
    let lines = scenario.lines("out.txt");
    let counts: BTreeMap<_, _> = lines
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(key, count)| (key.to_owned(), count.parse().unwrap()))
        .collect();
    assert_eq!(counts.len(), lines.len(), "each key is told once: {lines:?}");
    counts
}

#[test]
fn emits_in_open() {
    does_not_start(&guest("process_emits_in_open"), Codes::MALFORMED, "output.emit");
}

#[test]
fn emits_in_close() {
    let scenario = beside_a_neighbour(&guest("process_emits_in_close"), "");
    let outcome = scenario.run();
    outcome.expect_conservation().expect_stderr("output.emit");
    assert_eq!(scenario.lines("out.txt"), INPUT, "all that came before is there");
}

#[test]
fn what_is_emitted_without_end_does_not_fill_the_host() {
    // Uses the default limits of a pipeline, not tight ones.
    let scenario = beside_a_neighbour(&guest("process_emits_nothing_without_end"), "on_error = \"skip\"\nretries = 0");
    let mut running = scenario.start();
    let mut peak = 0;
    running.until("it was over", |process| {
        let now = sage_tests::resident_bytes(process);
        peak = peak.max(now.unwrap_or(0));
        now.is_none().then_some(())
    });
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    assert!(peak < 400 << 20, "the host held {} MiB", peak >> 20);
}

#[test]
fn hoards_as_told() {
    // The output of each record is 3 MiB, and that of the whole batch exceeds the limit of a call: the batch
    // is halved down to single records.
    const RECORDS: usize = 200;
    let settings = "on_error = \"skip\"\nretries = 0\n\
        resources = { memory = \"64MiB\", object_store_memory = \"4MiB\" }\n\
        limits = { output_bytes_per_call = \"16MiB\", record_bytes = \"4MiB\", cpu_time_per_call = \"20s\" }";
    let scenario = beside_a_neighbour(&guest("process_hoards_as_told"), settings);
    scenario.file("in.txt", "sends 3145728\n".repeat(RECORDS));
    let mut running = scenario.start();
    let mut peak = 0;
    running.until("it was over", |process| {
        let now = sage_tests::resident_bytes(process);
        peak = peak.max(now.unwrap_or(0));
        now.is_none().then_some(())
    });
    let outcome = running.wait();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(outcome.stage("guest").count("handled"), RECORDS as u64, "{outcome:?}");
    assert_eq!(outcome.stage("out").count("handled"), RECORDS as u64, "{outcome:?}");
    assert!(peak < 300 << 20, "the host held {} MiB of {} MiB", peak >> 20, 3 * RECORDS);
}

#[test]
fn holds_files() {
    let settings = "on_error = \"skip\"\nretries = 0\nresources = { memory = \"8MiB\" }\n\
        capabilities = { folders = [{ host = \"data\", guest = \"/data\", write = true }] }";
    let scenario = beside_a_neighbour(&guest("process_holds_files"), settings);
    scenario.file("data/large", vec![7; 1 << 20]);
    // A listing takes 16 KiB from the memory, and a guest has 1,024 handles.
    scenario.file("in.txt", "lists 100\nlists-to-the-end 100\nreads 500\nwrites 500\nlists 500\nwaits 2000\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let written = scenario.lines("out.txt");
    assert_eq!(written, ["lists 100", "lists-to-the-end 100", "reads 500", "writes 500"], "{outcome:?}");
    outcome.expect_stderr("the guest holds 1024 handles");
    // A worker has fewer descriptors than a guest has handles.
    let out_of_memory = if in_processes() { "panic" } else { "memory" };
    let failures = ["malformed", out_of_memory].map(|code| outcome.stage("guest").errors(code));
    assert_eq!(failures, [1, 1], "{outcome:?}");
    assert!(std::fs::metadata(scenario.path().join("data/new")).unwrap().len() > 0, "{outcome:?}");
}

#[test]
fn looks_up_many_keys() {
    // 900,000 lookups among 4,000 tables would take a minute if every lookup read every table.
    let settings = "retries = 0\nresources = { memory = \"64MiB\" }\nlimits = { cpu_time_per_call = \"10s\" }";
    let scenario = beside_a_neighbour(&guest("process_looks_up_many_keys"), settings);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(outcome.stage("guest").count("restarts"), 0, "{outcome:?}");
    assert_eq!(scenario.lines("out.txt").len(), 11);
}

#[test]
fn makes_tables_without_end() {
    let settings = "on_error = { dead_letter = \"dead.jsonl\" }\nretries = 0\nresources = { memory = \"4MiB\" }\n\
        limits = { cpu_time_per_call = \"20s\" }";
    let scenario = beside_a_neighbour(&guest("process_makes_tables_without_end"), settings);
    scenario.file("in.txt", "poison\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(outcome.dead_letters("dead.jsonl")[0].text("code"), Codes::MEMORY);
}
