//! Records by field from the file to the file: what is parsed, what is printed, and what becomes of records that do not
//! fit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "by_field/rows.rs"]
mod rows;

use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::Config;
use sage_tests::{Outcome, Scenario, guest, operator, program};
use serde_json::{Value, json};

/// A stage with a component.
fn stage(name: &str, component: &str, input: &str, settings: &str) -> String {
    let path = operator(component);
    format!("[[operator]]\nname = \"{name}\"\ncomponent = \"{}\"\ninput = \"{input}\"\n{settings}\n", path.display())
}

fn source(file: &str, settings: &str) -> String {
    let format = if file.ends_with(".csv") { "csv" } else { "jsonl" };
    format!("[[source]]\nname = \"in\"\nfile = {{ path = \"{file}\", format = \"{format}\" }}\n{settings}\n")
}

fn sink(input: &str) -> String {
    format!("[[sink]]\nname = \"out\"\ninput = \"{input}\"\nfile = {{ path = \"out.jsonl\" }}\n")
}

fn run(files: &[(&str, &str)], pipeline: &[String]) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    for (name, content) in files {
        scenario.file(name, content);
    }
    scenario.pipeline(&pipeline.concat());
    let outcome = scenario.run();
    (scenario, outcome)
}

/// The reading in Celsius, as the operator `celsius` computes it.
fn celsius(fahrenheit: f64) -> f64 {
    ((fahrenheit - 32.0) / 1.8 * 10.0).round() / 10.0
}

#[test]
fn a_record_that_does_not_fit_costs_itself_alone_and_a_dead_letter_has_its_bytes() {
    let input = concat!(
        "{\"sensor\":\"a\",\"fahrenheit\":50,\"unread\":[1,{\"x\":null}]}\n",
        "{\"sensor\":\"b\"}\n",
        "{\"sensor\":\"b\",\"fahrenheit\":\"50\"}\n",
        "{\"sensor\":\"b\",\"fahrenheit\":null}\n",
        "{\"sensor\":\"b\",\"fahrenheit\":1e400}\n",
        "{\"sensor\":\"b\",\"fahrenheit\":1,\"fahrenheit\":1}\n",
        "{\"sensor\":\"b\",\"fahrenheit\":1,\n",
        "[1]\n",
        "{\"\\u0073ensor\":\"caf\\u00e9\",\"fahrenheit\":32}\n",
    );
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
    let pipeline = [source("in.jsonl", dead), stage("map", "celsius", "in", ""), sink("map")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"a","celsius":10.0}"#, r#"{"sensor":"café","celsius":0.0}"#]);
    let mut letters = outcome.dead_letters("dead.jsonl");
    // A line that is no JSON is found before the fields of the records before it are read.
    letters.sort_by_key(|letter| letter.text("place").to_owned());
    let reasons = [
        "field \"fahrenheit\" is missing",
        "field \"fahrenheit\" is a string, not f64",
        "field \"fahrenheit\" is null",
        "field \"fahrenheit\" is 1e400, which is out of the range of f64",
        "field \"fahrenheit\" stands twice",
        "not JSON: the line begins with { and ends with ,",
        "invalid type: sequence, expected an object with the fields of the record",
    ];
    assert_eq!(letters.len(), reasons.len(), "{letters:?}");
    for ((letter, reason), line) in letters.iter().zip(reasons).zip(2..) {
        assert_eq!((letter.text("code"), letter.text("operator")), ("bad-record", "in"), "{letter:?}");
        assert!(letter.text("message").contains(reason), "{reason:?} is not in {letter:?}");
        assert_eq!(letter.text("place"), format!("in.jsonl:{line}"));
        assert_eq!(letter.text("payload"), input.lines().nth(line - 1).unwrap());
    }

    let pipeline = [source("in.jsonl", ""), stage("map", "celsius", "in", ""), sink("map")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(4).expect_conservation();
    assert_eq!(
        (outcome.error()["code"].as_str(), outcome.error()["operator"].as_str()),
        (Some("bad-record"), Some("in"))
    );
    assert!(outcome.error()["record"].as_str().unwrap().starts_with("in.jsonl:2"), "{outcome:?}");
    assert_eq!(scenario.read("out.jsonl"), None);
}

#[test]
fn a_filter_by_field_passes_the_text_of_a_record_on_as_it_came() {
    let input = "{ \"celsius\" : 3.10e1, \"big\":123456789012345678901234567890 , \"\\u0061\":[ ] }\n{\"celsius\":1}\n";
    let pipeline = [source("in.jsonl", ""), stage("hot", "hot", "in", "config = { above = 30 }"), sink("hot")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("out.jsonl").unwrap(), input.lines().next().unwrap().to_owned() + "\n");
}

#[test]
fn a_number_that_json_cannot_express_rejects_the_record_that_gave_it() {
    let input = "{\"sensor\":\"a\",\"fahrenheit\":1e308}\n{\"sensor\":\"a\",\"fahrenheit\":50}\n";
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
    let pipeline = [source("in.jsonl", ""), stage("map", "celsius", "in", dead), sink("map")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"a","celsius":10.0}"#]);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters[0].text("message"), "field \"celsius\" is inf, which JSON cannot express");
    assert_eq!(letters[0].text("payload"), input.lines().next().unwrap());
}

#[test]
fn cells_of_csv_become_fields_under_their_names_in_the_pipeline() {
    let input = "name,\"Temp (F)\",more\na,50,\"x,y\"\nb,,z\n\"c\"\"d\",-40,\n";
    let schema = r#"schema = { sensor = { type = "string", name = "name" }, fahrenheit = { type = "f64", name = "Temp (F)" } }
on_error = "skip""#;
    let pipeline = [source("in.csv", schema), stage("map", "celsius", "in", ""), sink("map")];
    let (scenario, outcome) = run(&[("in.csv", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.lines("out.jsonl"),
        [r#"{"sensor":"a","celsius":10.0}"#, r#"{"sensor":"c\"d","celsius":-40.0}"#]
    );
    assert_eq!((outcome.stage("in").count("failed"), outcome.stage("in").errors("bad-record")), (1, 1));
}

#[test]
fn a_text_that_an_operator_of_bytes_makes_is_parsed_for_its_reader() {
    let input = "{\"sensor\":\"a\",\"fahrenheit\":50}\nno json\n{\"sensor\":\"b\",\"fahrenheit\":-40}\n";
    let file = "[[source]]\nname = \"in\"\nfile = { path = \"in.jsonl\", format = \"lines\" }\n".to_owned();
    let rejects = "[[sink]]\nname = \"bad\"\ninput = \"map.rejects\"\nfile = { path = \"bad.txt\" }\n".to_owned();
    let pipeline = [
        file,
        stage("copy", "identity", "in", ""),
        stage("map", "celsius", "copy", "parallelism = 2"),
        stage("again", "identity", "map", ""),
        stage("hot", "hot", "again", "config = { above = -100 }"),
        sink("hot"),
        rejects,
    ];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    let mut lines = scenario.lines("out.jsonl");
    lines.sort();
    assert_eq!(lines, [r#"{"sensor":"a","celsius":10.0}"#, r#"{"sensor":"b","celsius":-40.0}"#]);
    assert_eq!(scenario.lines("bad.txt"), ["no json"], "rejected by the operator that reads fields");
    assert_eq!(outcome.stage("map").count("rejected"), 1);
}

#[test]
fn a_field_that_nobody_gives_is_an_error_before_the_run() {
    let scenario = Scenario::new();
    scenario.file("in.jsonl", "");
    let schema = "schema = { sensor = \"string\", farenheit = \"f64\" }";
    scenario.pipeline(&[source("in.jsonl", schema), stage("map", "celsius", "in", ""), sink("map")].concat());
    let found = scenario.command("validate").output().unwrap();
    let text = String::from_utf8_lossy(&found.stderr);
    assert_eq!(found.status.code(), Some(2));
    assert!(
        text.contains("operator \"map\" reads field `fahrenheit`, but source \"in\" gives `sensor`, `farenheit`"),
        "{text}"
    );
    assert!(text.contains("did you mean \"farenheit\"?"), "{text}");
}

#[test]
fn validate_prints_the_fields_of_each_edge() {
    let scenario = Scenario::new();
    scenario.file("in.jsonl", "");
    let pipeline = [
        source("in.jsonl", ""),
        stage("map", "celsius", "in", ""),
        stage("hot", "hot", "map", "config = { above = 1 }"),
        sink("hot"),
    ];
    scenario.pipeline(&pipeline.concat());
    let found = scenario.command("validate").arg("--schema").output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let edges = "in -> map\n  fahrenheit  f64\n  sensor      string\nmap -> hot\n  sensor   string\n  celsius  f64\n\
                 hot -> out\n  sensor   string\n  celsius  f64\n";
    assert!(text.ends_with(edges), "{text}");
    let found = scenario.command("validate").args(["--schema", "--output", "json"]).output().unwrap();
    let result: Value = serde_json::from_slice(&found.stdout).unwrap();
    let field = json!({ "name": "fahrenheit", "type": "f64", "nullable": false, "read": true });
    assert_eq!(result["edges"][0]["fields"][0], field, "{result}");
}

#[test]
fn infer_proposes_a_schema_that_a_pipeline_reads() {
    let scenario = Scenario::new();
    let records = "{\"id\":1,\"sensor\":\"a\",\"at\":\"2026-11-30T10:00:00Z\",\"t\":1.5}\n\
                   {\"id\":18446744073709551615,\"sensor\":\"b\",\"at\":\"2026-11-30T10:00:00+01:00\",\"t\":2,\"tags\":[1]}\n";
    scenario.file("in.jsonl", records);
    scenario.file("table.csv", "sensor;fahrenheit\na;50\nb;1.5\n");
    let infer = |arguments: &[&str]| {
        let found = Command::new(program()).current_dir(scenario.path()).arg("infer").args(arguments).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap()
    };
    let schema = r#"schema = { id = "u64", sensor = "string", at = "timestamp", t = "f64", tags = "list<s64>?" }"#;
    assert_eq!(infer(&["in.jsonl"]), format!("# from 2 records\n{schema}\n"));
    assert_eq!(
        infer(&["in.jsonl", "--records", "1"]),
        "# from 1 record\nschema = { id = \"s64\", sensor = \"string\", at = \"timestamp\", t = \"f64\" }\n"
    );
    let csv = infer(&["table.csv", "--delimiter", ";"]);
    assert_eq!(csv, "# from 2 records\nschema = { sensor = \"string\", fahrenheit = \"f64\" }\n");
    scenario.file("table.tsv", "sensor\tfahrenheit\na\t50\n");
    assert_eq!(infer(&["table.tsv"]), "# from 1 record\nschema = { sensor = \"string\", fahrenheit = \"s64\" }\n");
    let result: Value = serde_json::from_str(&infer(&["in.jsonl", "--output", "json"])).unwrap();
    assert_eq!(result["schema"][4], json!({ "name": "tags", "type": "list<s64>", "nullable": true }));

    scenario.pipeline(&[source("in.jsonl", schema), sink("in")].concat());
    scenario.run().expect_exit(0);
    for (file, reason) in
        [("none.jsonl", "none.jsonl"), ("in.jsonl", "is not JSON"), ("empty.jsonl", "has no record with a field")]
    {
        scenario.file("empty.jsonl", "");
        scenario.file("in.jsonl", "{\n");
        let found = Command::new(program()).current_dir(scenario.path()).args(["infer", file]).output().unwrap();
        let text = String::from_utf8_lossy(&found.stderr).into_owned();
        assert!(found.status.code() == Some(2) && (text.contains(reason) || file == "in.jsonl"), "{file}: {text}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..Config::default() })]

    /// The same records through operators of bytes and of fields, in any mixture, against the sums done here.
    #[test]
    fn bytes_and_fields_give_equal_values(
        readings in prop::collection::vec((any::<String>(), -400.0..5000.0f64, 0u8..4), 0..400),
        (copies, parallelism, above) in (0usize..4, 1u32..4, -300.0..300.0f64),
    ) {
        let mut input = String::new();
        for (sensor, fahrenheit, shape) in &readings {
            let record = match shape {
                0 => json!({ "sensor": sensor, "fahrenheit": fahrenheit }),
                1 => json!({ "fahrenheit": fahrenheit, "x": { "fahrenheit": [1] }, "sensor": sensor }),
                2 => json!({ "sensor": sensor, "fahrenheit": fahrenheit.trunc() as i64, "n": null }),
                _ => json!({ "sensor": sensor }),
            };
            writeln!(input, "{record}").unwrap();
        }
        let skip = format!("on_error = \"skip\"\nparallelism = {parallelism}");
        let mut stages = vec![source("in.jsonl", "on_error = \"skip\"")];
        let mut last = "in".to_owned();
        for (at, name) in ["celsius", "hot"].into_iter().enumerate() {
            if copies >> at & 1 == 1 {
                stages.push(stage(&format!("copy{at}"), "identity", &last, ""));
                last = format!("copy{at}");
            }
            let config = if name == "hot" { format!("config = {{ above = {above:?} }}\n{skip}") } else { skip.clone() };
            stages.push(stage(name, name, &last, &config));
            last = name.to_owned();
        }
        stages.push(sink(&last));
        let (scenario, outcome) = run(&[("in.jsonl", &input)], &stages);
        outcome.expect_exit(0).expect_conservation();
        let number = |(_, fahrenheit, shape): &(String, f64, u8)| match shape {
            2 => Some(fahrenheit.trunc()),
            3 => None,
            _ => Some(*fahrenheit),
        };
        let kept = |reading| {
            let celsius = Some(celsius(number(reading)?)).filter(|celsius| *celsius > above)?;
            let possible = (number(reading)? - 32.0) / 1.8 >= -273.15;
            possible.then(|| json!({ "sensor": reading.0, "celsius": celsius }))
        };
        let sorted = |mut values: Vec<Value>| {
            values.sort_by_key(Value::to_string);
            values
        };
        let expected = sorted(readings.iter().filter_map(kept).collect());
        let found = scenario.lines("out.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(sorted(found), expected);
    }
}

#[test]
fn the_guest_of_the_conformance_tests_gives_the_fields_that_it_describes() {
    let found = Command::new(program()).arg("inspect").arg(guest("map_by_field_answers_as_told")).output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    for line in [
        "reads:      word (string)",
        "            note (string?)",
        "gives:      word (string)",
        "half (decimal(3, 1)?)",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn the_other_fields_of_a_record_travel_on_if_the_source_names_them() {
    let doubled = guest("flat_map_by_field_answers_as_told");
    let stages = |schema: &str| {
        let double =
            format!("[[operator]]\nname = \"double\"\ncomponent = \"{}\"\ninput = \"in\"\n", doubled.display());
        [source("in.jsonl", schema), double, sink("double")]
    };
    let input = "{\"word\":\"a\",\"n\":1,\"more\":[1, 2]}\n{\"n\":null,\"word\":\"b\",\"more\":{}}\n";
    let schema = "schema = { word = \"string\", n = \"u8?\", more = \"json\" }";
    let (scenario, outcome) = run(&[("in.jsonl", input)], &stages(schema));
    outcome.expect_exit(0).expect_conservation();
    let (a, b) = (r#"{"copy":"a","word":"a","n":1,"more":[1, 2]}"#, r#"{"copy":"b","word":"b","n":null,"more":{}}"#);
    assert_eq!(scenario.lines("out.jsonl"), [a, a, b, b]);
    let (_, outcome) = run(&[("in.jsonl", input)], &stages(""));
    outcome.expect_exit(2);
    assert!(outcome.stdout.contains("keeps the other fields of its records, but source"), "{outcome:?}");
}

#[test]
fn a_record_by_field_is_weighed_with_all_its_fields() {
    let doubled = guest("flat_map_by_field_answers_as_told");
    let double = format!(
        "[[operator]]\nname = \"double\"\ncomponent = \"{}\"\ninput = \"in\"\non_error = {{ dead_letter = \"dead.jsonl\" }}\n\
         limits = {{ record_bytes = \"2KiB\" }}\n",
        doubled.display()
    );
    // The copy, the word and the number: 2 * 1020 + 8 bytes are allowed, and 2 * 1021 + 8 are not.
    let record = |length: usize| format!("{{\"word\":\"{}\",\"n\":1}}\n", "w".repeat(length));
    let input = record(1020) + &record(1021) + &record(3);
    let schema = "schema = { word = \"string\", n = \"s64\" }";
    let pipeline = [source("in.jsonl", schema), double, sink("double")];
    let (scenario, outcome) = run(&[("in.jsonl", &input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl").iter().map(String::len).collect::<Vec<_>>(), [2067, 2067, 33, 33]);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters.len(), letters[0].text("code")), (1, "record-too-large"), "{letters:?}");
    assert!(letters[0].text("message").contains("2050 bytes"), "{letters:?}");
}

#[test]
fn a_number_is_converted_to_the_wider_type_of_its_reader() {
    let input = "{\"sensor\":\"a\",\"fahrenheit\":50.5}\n";
    let schema = "schema = { sensor = \"string\", fahrenheit = \"f32\" }";
    let pipeline = [source("in.jsonl", schema), stage("map", "celsius", "in", ""), sink("map")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"a","celsius":10.3}"#]);
}

#[test]
fn a_key_by_field_is_the_key_of_a_record_that_stays_as_it_is() {
    let input =
        "{\"sensor\":\"a\",\"n\":1}\n{ \"n\":2, \"sensor\":\"b\" }\n{\"sensor\":\"a\",\"n\":3}\n{\"sensor\":\"\"}\n";
    let pipeline = [
        source("in.jsonl", ""),
        stage("key", "key_sensor", "in", "on_error = \"skip\""),
        stage("count", "count", "key", "partition = \"key\"\nparallelism = 2"),
        sink("count"),
        "[[sink]]\nname = \"keyed\"\ninput = \"key\"\nfile = { path = \"keyed.jsonl\" }\n".to_owned(),
    ];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("keyed.jsonl"), input.lines().take(3).collect::<Vec<_>>());
    let mut counts = scenario.lines("out.jsonl");
    counts.sort();
    assert_eq!(counts, ["1", "1", "2"]);
    assert_eq!(outcome.stage("key").count("rejected"), 1);
}

#[test]
fn a_dead_letter_of_a_record_without_text_has_its_fields() {
    let input = "{\"word\":\"x\",\"sensor\":\"a long name\",\"fahrenheit\":50}\n{\"word\":\"y\",\"sensor\":\"b\",\"fahrenheit\":-40}\n";
    let schema = "schema = { word = \"string\", sensor = \"string\", fahrenheit = \"f64\" }";
    let doubled = guest("flat_map_by_field_answers_as_told");
    let double = format!("[[operator]]\nname = \"double\"\ncomponent = \"{}\"\ninput = \"in\"\n", doubled.display());
    // A sensor of 11 bytes and a number are too large, and a sensor of one byte is not.
    let small = "limits = { record_bytes = \"16B\" }\non_error = { dead_letter = \"dead.jsonl\" }";
    let pipeline = [source("in.jsonl", schema), double, stage("map", "celsius", "double", small), sink("map")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"b","celsius":-40.0}"#; 2]);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in letters {
        assert_eq!(letter.text("code"), "record-too-large");
        let payload = r#"{"copy":"x","word":"x","sensor":"a long name","fahrenheit":50.0}"#;
        assert_eq!(letter.text("payload"), payload);
    }
}
