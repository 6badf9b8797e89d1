//! Inputs that choose fields, have names, and make keys, from the file to the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest::test_runner::TestCaseError;
use sage_tests::{Outcome, Scenario, guest, in_processes, operator};
use serde_json::json;

const READINGS: &str = concat!(
    "{\"sensor\":\"a\",\"f\":50,\"unit\":\"F\"}\n",
    "{\"sensor\":\"b\",\"f\":212,\"unit\":\"F\"}\n",
    "{\"sensor\":null,\"f\":32,\"unit\":\"F\"}\n",
);
const SCHEMA: &str = "schema = { sensor = \"string?\", f = \"f64\", unit = \"string\" }";

fn stage(name: &str, component: &str, settings: &str) -> String {
    format!("[[operator]]\nname = \"{name}\"\ncomponent = \"{}\"\n{settings}\n", operator(component).display())
}

fn source(file: &str, settings: &str) -> String {
    let (name, format) = file.split_once('.').unwrap();
    format!("[[source]]\nname = \"{name}\"\nfile = {{ path = \"{file}\", format = \"{format}\" }}\n{settings}\n")
}

fn sink(name: &str, input: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\n{input}\nfile = {{ path = \"{name}.jsonl\" }}\n")
}

fn run(files: &[(&str, &str)], pipeline: &[String], arguments: &[&str]) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    for (name, content) in files {
        scenario.file(name, content);
    }
    scenario.pipeline(&pipeline.concat());
    let outcome = scenario.run_with(arguments);
    (scenario, outcome)
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn an_operator_by_field_reads_renamed_fields_and_an_operator_of_bytes_gets_exactly_the_chosen_ones() {
    let pipeline = [
        source("in.jsonl", SCHEMA),
        stage("keep", "keep_nonempty", "input = { from = \"in\", fields = [\"unit as u\", \"f as fahrenheit\"] }"),
        sink("bytes", "input = \"keep\""),
        stage("map", "celsius", "input = { from = \"in\", fields = [\"unit as sensor\", \"f as fahrenheit\"] }"),
        sink("fields", "input = { from = \"map\", fields = [\"celsius as c\"] }"),
        sink("part", "input = { from = \"in\", fields = [\"f\", \"sensor as s\"] }"),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", READINGS)], &pipeline, &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("bytes.jsonl"), [50, 212, 32].map(|f| format!("{{\"u\":\"F\",\"fahrenheit\":{f}.0}}")));
    assert_eq!(scenario.lines("fields.jsonl"), [r#"{"c":10.0}"#, r#"{"c":100.0}"#, r#"{"c":0.0}"#]);
    assert_eq!(
        scenario.lines("part.jsonl"),
        [r#"{"f":50.0,"s":"a"}"#, r#"{"f":212.0,"s":"b"}"#, r#"{"f":32.0,"s":null}"#]
    );
}

fn csv_sink(name: &str, input: &str, settings: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\n{input}\nfile = {{ path = \"{name}.csv\", format = \"csv\"{settings} }}\n")
}

#[test]
fn a_sink_chooses_among_the_fields_of_its_input() {
    let both = "input = [{ from = \"in\", fields = [\"f as x\", \"sensor as s\"] }, { from = \"text\", fields = [\"s\", \"x\"] }]";
    let pipeline = [
        source("in.jsonl", SCHEMA),
        source("text.csv", ""),
        csv_sink("all", "input = { from = \"in\", fields = [\"sensor as s\", \"f\"] }", ""),
        csv_sink(
            "few",
            "input = { from = \"in\", fields = [\"sensor as s\", \"f\"] }",
            ", fields = [\"f as g\", \"s\"]",
        ),
        csv_sink("both", both, ", fields = [\"s as name\", \"x\"]"),
        csv_sink("cells", "input = { from = \"text\", fields = [\"x as y\", \"s\"] }", ""),
        sink("lines", "input = { from = \"text\", fields = [\"x as y\", \"s\"], key = \"y\" }"),
    ];
    let files = [("in.jsonl", READINGS), ("text.csv", "s,more,x\n,1,\"p,q\"\n\"\",2,\n")];
    let (scenario, outcome) = run(&files, &pipeline, &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("all.csv").unwrap(), "s,f\na,50.0\nb,212.0\n,32.0\n");
    assert_eq!(scenario.read("few.csv").unwrap(), "g,s\n50.0,a\n212.0,b\n32.0,\n");
    let rows = sorted(scenario.lines("both.csv"));
    assert_eq!(rows, [",", ",\"p,q\"", ",32.0", "a,50.0", "b,212.0", "name,x"]);
    assert_eq!(scenario.read("cells.csv").unwrap(), "y,s\n\"p,q\",\n,\n");
    assert_eq!(scenario.lines("lines.jsonl"), [r#"{"y":"p,q","s":""}"#, r#"{"y":"","s":""}"#]);
}

#[test]
fn fields_without_a_type_are_any_values_of_json() {
    let input = "{\"b\":[1, {\"x\":null}],\"a\":\"caf\\u00e9\",\"c\":1e400}\n{\"c\":{}}\nno json\n";
    let pipeline = [
        source("in.jsonl", "on_error = \"skip\""),
        stage("keep", "identity", "input = { from = \"in\", fields = [\"b\", \"a as name\"] }"),
        sink("bytes", "input = \"keep\""),
        csv_sink("cells", "input = { from = \"keep\", fields = [\"name\", \"b\"] }", ""),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline, &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.read("bytes.jsonl").unwrap(),
        "{\"b\":[1, {\"x\":null}],\"name\":\"caf\\u00e9\"}\n{\"b\":null,\"name\":null}\n"
    );
    assert_eq!(scenario.read("cells.csv").unwrap(), "name,b\ncafé,\"[1, {\"\"x\"\":null}]\"\n,\n");
}

#[test]
fn a_union_reads_inputs_with_other_names_and_learns_which_is_which() {
    let files = [
        ("roof.jsonl", "{\"sensor\":\"a\",\"celsius\":1}\n{\"sensor\":\"b\",\"celsius\":2}\n"),
        ("cellar.csv", "name,temp,more\nc,3,x\nd,4,y\n"),
        ("text.jsonl", "{\"id\":\"e\",\"t\":5}\n{\"id\":7,\"t\":5}\n"),
    ];
    let schema = "schema = { name = \"string\", temp = \"f64\" }";
    let inputs = r#"inputs = { roof = "roof", cellar = { from = "cellar", fields = ["name as sensor", "temp as celsius"] }, text = { from = "copy", fields = ["id as sensor", "t as celsius"] } }
on_error = { dead_letter = "dead.jsonl" }"#;
    for settings in ["", "parallelism = 2"] {
        let pipeline = [
            source("roof.jsonl", ""),
            source("cellar.csv", schema),
            source("text.jsonl", ""),
            stage("copy", "identity", "input = \"text\""),
            stage("union", "union", &format!("{inputs}\n{settings}")),
            sink("out", "inputs = { all = \"union\" }"),
        ];
        let (scenario, outcome) = run(&files, &pipeline, &[]);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(
            sorted(scenario.lines("out.jsonl")),
            [
                r#"{"site":"cellar","sensor":"c","celsius":3.0}"#,
                r#"{"site":"cellar","sensor":"d","celsius":4.0}"#,
                r#"{"site":"roof","sensor":"a","celsius":1.0}"#,
                r#"{"site":"roof","sensor":"b","celsius":2.0}"#,
                r#"{"site":"text","sensor":"e","celsius":5.0}"#,
            ]
        );
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!((letter.text("code"), letter.text("operator")), ("rejected", "union"));
        assert_eq!(letter.text("payload"), r#"{"id":7,"t":5}"#);
        assert!(letter.text("message").contains("field \"id\" is a number, not string"), "{letter:?}");
    }
}

#[test]
fn a_record_without_a_key_is_rejected_by_its_reader_unless_null_key_stands_for_it() {
    let input = "input = { from = \"in\", key = \"sensor\" }";
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
    let file = [("in.jsonl", READINGS)];
    let pipeline = |settings: &str| {
        [source("in.jsonl", SCHEMA), stage("count", "count", settings), sink("out", "input = \"count\"")]
    };

    let (scenario, outcome) = run(&file, &pipeline(&format!("{input}\n{dead}")), &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), ["1", "1"]);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters[0].text("code"), letters[0].text("operator")), ("rejected", "count"));
    assert_eq!(letters[0].text("message"), "field \"sensor\" of the key is null, and the input has no null_key");
    assert_eq!(letters[0].text("payload"), READINGS.lines().nth(2).unwrap());
    assert_eq!(outcome.stage("count").count("records_in"), 3);

    let (_, outcome) = run(&file, &pipeline(input), &[]);
    outcome.expect_exit(4).expect_conservation();
    assert_eq!(outcome.error()["operator"].as_str(), Some("count"));

    let (_, outcome) = run(&file, &pipeline(&format!("{input}\non_error = \"skip\"")), &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(outcome.stage("count").count("rejected"), 1);

    let rejects = [
        source("in.jsonl", SCHEMA),
        stage("count", "count", input),
        sink("out", "input = [\"count\", \"count.rejects\"]"),
    ];
    let (scenario, outcome) = run(&file, &rejects, &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(sorted(scenario.lines("out.jsonl")), ["1", "1", READINGS.lines().nth(2).unwrap()]);

    let null_key = "input = { from = \"in\", key = \"sensor\", null_key = \"a\" }";
    let (scenario, outcome) = run(&file, &pipeline(null_key), &[]);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(sorted(scenario.lines("out.jsonl")), ["1", "1", "2"], "null has the key of the sensor a");
}

/// A stage with a test guest.
fn counting(settings: &str) -> String {
    let path = guest("process_counts_in_its_place");
    format!("[[operator]]\nname = \"count\"\ncomponent = \"{}\"\nparallelism = 3\n{settings}\n", path.display())
}

/// Runs pipelines over the same records in both kinds of isolation. Each gives, for each record, its key, the instance
/// and lane that had it, the count of its key so far, and the record; all must give the same.
fn expect_the_same(lines: &str, pipelines: &[Vec<String>]) -> Result<(), TestCaseError> {
    let mut expected: Option<Vec<String>> = None;
    // In a run of all tests in processes, every run is there already.
    let processes: &[&str] = if in_processes() { &[] } else { &["--isolation", "process"] };
    for isolation in [&[][..], processes] {
        for pipeline in pipelines {
            let (scenario, outcome) = run(&[("in.jsonl", lines)], pipeline, isolation);
            outcome.expect_exit(0).expect_conservation();
            let found = sorted(scenario.lines("out.jsonl"));
            prop_assert_eq!(found.len(), lines.lines().count());
            let expected = expected.get_or_insert_with(|| found.clone());
            prop_assert_eq!(&found, expected, "{:?} with {:?}", pipeline, isolation);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 5, failure_persistence: None, ..Config::default() })]

    /// `key = "sensor"` and a guest that keys by the sensor give the same partition, order, state and output, from a
    /// source with and without a schema and from an operator of bytes.
    #[test]
    fn a_key_of_the_host_is_that_of_a_guest(sensors in prop::collection::vec("[a-c]{1,2}|é|\"x\"|7|true|-0", 1..150)) {
        let record = |(n, sensor): (usize, &String)| json!({"n": n, "sensor": sensor}).to_string() + "\n";
        let lines: String = sensors.iter().enumerate().map(record).collect();
        let key = |from: &str| counting(&format!("input = {{ from = \"{from}\", key = \"sensor\" }}"));
        let schema = "schema = { n = \"s64\", sensor = \"string\" }";
        expect_the_same(&lines, &[
            vec![source("in.jsonl", ""), stage("key", "key_sensor", "input = \"in\""), counting("input = \"key\""), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", ""), key("in"), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", schema), key("in"), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", ""), stage("copy", "identity", "input = \"in\""), key("copy"), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", ""), stage("copy", "key_sensor", "input = \"in\""), key("copy"), sink("out", "input = \"count\"")],
        ])?;
    }

    /// A composite key of integers and texts is the same from typed fields and from the text of the records.
    #[test]
    fn a_composite_key_is_the_same_however_its_fields_are_read(
        rows in prop::collection::vec((prop::option::of(-3i64..3), "[ab]{0,2}"), 1..150)
    ) {
        let record = |(n, (number, text)): (usize, &(Option<i64>, String))| json!({"n": n, "number": number, "text": text}).to_string() + "\n";
        let lines: String = rows.iter().enumerate().map(record).collect();
        let key = |from: &str| counting(&format!("input = {{ from = \"{from}\", key = [\"number\", \"text\"], null_key = \"-\" }}"));
        let schema = "schema = { n = \"s64\", number = \"s32?\", text = \"string\" }";
        expect_the_same(&lines, &[
            vec![source("in.jsonl", schema), key("in"), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", ""), key("in"), sink("out", "input = \"count\"")],
            vec![source("in.jsonl", ""), stage("copy", "identity", "input = \"in\""), key("copy"), sink("out", "input = \"count\"")],
        ])?;
    }
}

#[test]
fn an_operator_by_field_gives_the_fields_of_a_key() {
    let input = "{\"sensor\":\"a\",\"fahrenheit\":50}\n{\"sensor\":\"b\",\"fahrenheit\":50}\n{\"sensor\":\"a\",\"fahrenheit\":32}\n";
    let pipeline = [
        source("in.jsonl", ""),
        stage("map", "celsius", "input = \"in\""),
        counting("input = { from = \"map\", fields = [\"celsius\", \"sensor as s\"], key = \"s\" }"),
        sink("out", "input = \"count\""),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline, &[]);
    outcome.expect_exit(0).expect_conservation();
    let without_place = |line: &String| {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        format!("{} {} {}", words[0], words[2], words[3])
    };
    assert_eq!(
        sorted(scenario.lines("out.jsonl").iter().map(without_place).collect()),
        [
            r#"[61] 1 {"celsius":10.0,"s":"a"}"#,
            r#"[61] 2 {"celsius":0.0,"s":"a"}"#,
            r#"[62] 1 {"celsius":10.0,"s":"b"}"#
        ]
    );
}

#[test]
fn a_value_that_is_no_key_is_rejected_with_the_reason() {
    let input = "{\"k\":1.5}\n{\"k\":[1]}\n{\"k\":{\"a\":1}}\n{\"x\":1}\n{\"k\":\"a\"}\n{\"k\":18446744073709551616}\n";
    for from in ["in", "copy"] {
        let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
        let pipeline = [
            source("in.jsonl", ""),
            stage("copy", "identity", "input = \"in\""),
            sink("rest", "input = \"copy\""),
            counting(&format!("input = {{ from = \"{from}\", key = \"k\" }}\n{dead}")),
            sink("out", "input = \"count\""),
        ];
        let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline, &[]);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(scenario.lines("out.jsonl").len(), 2);
        let letters = outcome.dead_letters("dead.jsonl");
        let reasons = [
            "is a number with a point or an exponent, which is no key",
            "is an array, which is no key",
            "is an object, which is no key",
            "is null, and the input has no null_key",
        ];
        assert_eq!(letters.len(), reasons.len());
        for ((letter, reason), line) in letters.iter().zip(reasons).zip(input.lines()) {
            assert_eq!(letter.text("message"), format!("field \"k\" of the key {reason}"));
            assert_eq!((letter.text("payload"), letter.text("operator")), (line, "count"));
        }
    }
}

#[test]
fn explain_and_validate_show_the_names_of_edges_and_the_keys_that_the_host_makes() {
    let scenario = Scenario::new();
    scenario.file("in.jsonl", READINGS);
    let inputs = r#"inputs = { all = { from = "in", fields = ["unit as u", "sensor"], key = ["u", "sensor"], null_key = "-" } }"#;
    let pipeline = [source("in.jsonl", SCHEMA), counting(inputs), sink("out", "input = \"count\"")].concat();
    scenario.pipeline(&pipeline);
    let explained = scenario.run_command(scenario.command("run").arg("--explain"));
    explained.expect_exit(0);
    let line = "in -> count: the host makes a composite key of u, sensor, null is \"-\"\n";
    assert!(explained.stdout.ends_with(line), "{explained:?}");
    let listed = scenario.run_command(scenario.command("validate").arg("--schema"));
    listed.expect_exit(0);
    let edge = "in -> count (all)\n  u       string\n  sensor  string?\n  with a key of u, sensor\n";
    assert!(listed.stdout.contains(edge), "{listed:?}");
    let listed = scenario.run_command(scenario.command("validate").args(["--schema", "--output", "json"]));
    assert!(listed.stdout.contains(r#""name":"all""#) && listed.stdout.contains(r#"["u","sensor"]"#), "{listed:?}");
}
