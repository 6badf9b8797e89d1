//! Where records by field begin and end: CSV that is read into columns, and sinks that write chosen fields.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::Config;
use sage_test_support::{Need, skip};
use sage_tests::{Outcome, Scenario, operator};
use serde_json::{Value, json};

fn stage(name: &str, component: &str, input: &str, settings: &str) -> String {
    let path = operator(component);
    format!("[[operator]]\nname = \"{name}\"\ncomponent = \"{}\"\ninput = \"{input}\"\n{settings}\n", path.display())
}

fn source(file: &str, settings: &str) -> String {
    let format = if file.ends_with(".csv") { "csv" } else { "jsonl" };
    format!("[[source]]\nname = \"in\"\nfile = {{ path = \"{file}\", format = \"{format}\" }}\n{settings}\n")
}

/// A sink `out` that writes a file.
fn sink(input: &str, file: &str, settings: &str) -> String {
    format!("[[sink]]\nname = \"out\"\ninput = \"{input}\"\nfile = {{ path = \"{file}\"{settings} }}\n")
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

const READINGS: &str =
    "sensor,fahrenheit,note\r\na,50,\"x, \"\"y\"\"\"\r\nb,-999,\"two\r\nlines\"\r\n\"c\",-40,\r\nd,warm,é\r\n";

#[test]
fn a_row_gets_its_text_only_where_a_stage_reads_text_and_a_dead_letter_has_the_row() {
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }";
    let unread = "on_error = { dead_letter = \"unread.jsonl\" }";
    let copy = stage("copy", "identity", "in", "");
    let text = "[[sink]]\nname = \"text\"\ninput = \"copy\"\nfile = { path = \"text.jsonl\" }\n".to_owned();
    let pipeline =
        [source("in.csv", unread), stage("map", "celsius", "in", dead), sink("map", "out.jsonl", ""), copy, text];
    let (scenario, outcome) = run(&[("in.csv", READINGS)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"sensor":"a","celsius":10.0}"#, r#"{"sensor":"c","celsius":-40.0}"#]);
    let letter = &outcome.dead_letters("dead.jsonl")[0];
    assert_eq!(letter.text("payload"), "b,-999,\"two\r\nlines\"");
    assert_eq!((letter.text("place"), letter.text("message")), ("in.csv:3", "-572.78 °C is below absolute zero"));
    let letter = &outcome.dead_letters("unread.jsonl")[0];
    assert_eq!(
        (letter.text("payload"), letter.text("place"), letter.text("code")),
        ("d,warm,é", "in.csv:6", "bad-record")
    );
    assert_eq!(letter.text("message"), "field \"fahrenheit\" is \"warm\", which is no f64: a number as in JSON");
    // A record without the fields that one reader needs comes to no reader.
    assert_eq!(
        scenario.lines("text.jsonl"),
        [
            r#"{"sensor":"a","fahrenheit":"50","note":"x, \"y\""}"#,
            r#"{"sensor":"b","fahrenheit":"-999","note":"two\r\nlines"}"#,
            r#"{"sensor":"c","fahrenheit":"-40","note":""}"#,
        ]
    );
}

#[test]
fn rejects_and_kept_rows_of_csv_are_json_where_they_are_read_as_text() {
    let rejects = "[[sink]]\nname = \"bad\"\ninput = \"map.rejects\"\nfile = { path = \"bad.jsonl\" }\n".to_owned();
    let pipeline = [
        source("in.csv", "on_error = \"skip\""),
        stage("map", "celsius", "in", ""),
        stage("key", "key_sensor", "in", ""),
        sink("key", "out.jsonl", ""),
        "[[sink]]\nname = \"none\"\ninput = \"map\"\ndiscard = {}\n".to_owned(),
        rejects,
    ];
    let (scenario, outcome) = run(&[("in.csv", READINGS)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    let row = r#"{"sensor":"b","fahrenheit":"-999","note":"two\r\nlines"}"#;
    assert_eq!(scenario.lines("bad.jsonl"), [row]);
    assert_eq!(scenario.lines("out.jsonl")[1], row);
    assert_eq!(scenario.lines("out.jsonl").len(), 3);
}

#[test]
fn files_with_other_headers_are_read_by_the_names_of_their_columns() {
    let pipeline = [
        source("[0-9].csv", ""),
        stage("hot", "hot", "in", "config = { above = 1 }"),
        sink("hot", "out.jsonl", ""),
        "[[sink]]\nname = \"few\"\ninput = \"hot\"\nfile = { path = \"few.csv\", format = \"csv\", fields = [\"celsius\"] }\n"
            .to_owned(),
    ];
    let files = [("1.csv", "a,celsius\n1,2\n3,0\n"), ("2.csv", ""), ("3.csv", "celsius,b,a\n4.50,5,6\n")];
    let (scenario, outcome) = run(&files, &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.jsonl"), [r#"{"a":"1","celsius":"2"}"#, r#"{"celsius":"4.50","b":"5","a":"6"}"#]);
    assert_eq!(scenario.read("few.csv").unwrap(), "celsius\n2.0\n4.5\n");

    let scenario = Scenario::new();
    scenario.file("1.csv", "a,celsuis\n1,2\n");
    scenario.pipeline(&[source("1.csv", ""), pipeline[1].clone(), sink("hot", "out.jsonl", "")].concat());
    let outcome = scenario.run();
    outcome.expect_exit(2);
    let error = outcome.error().to_string();
    assert!(error.contains("1.csv:1: there is no column \\\"celsius\\\" in the header"), "{error}");
    assert!(error.contains("did you mean \\\"celsuis\\\"?"), "{error}");
}

#[test]
fn a_sink_of_json_lines_chooses_orders_and_renames_fields() {
    let input = concat!(
        "{\"b\":[1, {\"x\":null}],\"a\":\"caf\\u00e9\",\"c\":1e400,\"d\":12345678901234567890123}\n",
        "{\"a\":null,\"extra\":true,\"c\":{}}\n",
        "no json\n",
        "{\"a\":1,\"a\":2}\n",
        "{\"d\":-0.0,\"a\":{\"y\":1}}\n",
    );
    let lines = "[[source]]\nname = \"in\"\nfile = { path = \"in.txt\", format = \"lines\" }\n".to_owned();
    let dead = "on_error = { dead_letter = \"dead.jsonl\" }\n".to_owned();
    let chosen = ", fields = [\"d as big\", \"a\", \"b as c\"]";
    let pipeline = [lines.clone(), stage("copy", "identity", "in", ""), sink("copy", "out.jsonl", chosen), dead];
    let (scenario, outcome) = run(&[("in.txt", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.read("out.jsonl").unwrap(),
        "{\"big\":12345678901234567890123,\"a\":\"caf\\u00e9\",\"c\":[1, {\"x\":null}]}\n\
         {\"big\":null,\"a\":null,\"c\":null}\n{\"big\":-0.0,\"a\":{\"y\":1},\"c\":null}\n"
    );
    let letters = outcome.dead_letters("dead.jsonl");
    let told: Vec<_> = letters.iter().map(|letter| (letter.text("payload"), letter.text("message"))).collect();
    assert_eq!(
        told,
        [
            ("no json", "expected ident (line 1, column 2)"),
            ("{\"a\":1,\"a\":2}", "field \"a\" stands twice in the record (line 1, column 12)")
        ]
    );
    assert_eq!((letters[0].text("operator"), letters[0].text("code")), ("out", "rejected"));

    let pipeline = [lines, stage("copy", "identity", "in", ""), sink("copy", "out.jsonl", chosen)];
    let (scenario, outcome) = run(&[("in.txt", input)], &pipeline);
    outcome.expect_exit(4).expect_conservation();
    let error = outcome.error();
    assert_eq!((error["operator"].as_str(), error["code"].as_str()), (Some("out"), Some("rejected")));
    assert!(error["hint"].as_str().unwrap().starts_with("set on_error = \"skip\""), "{error}");
    assert_eq!(scenario.read("out.jsonl"), None);
}

#[test]
fn numbers_that_are_not_finite_are_written_as_csv_and_refused_as_json() {
    let input = "{\"sensor\":\"\",\"fahrenheit\":1e308}\n{\"sensor\":\"a\",\"fahrenheit\":50}\n";
    let fields = "fields = [\"celsius as c\", \"sensor\"]";
    let pipeline = |settings: &str, on_error: &str| {
        [source("in.jsonl", ""), stage("map", "celsius", "in", ""), sink("map", "out", settings), on_error.to_owned()]
    };
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline(&format!(", format = \"csv\", {fields}"), ""));
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("out").unwrap(), "c,sensor\ninf,\"\"\n10.0,a\n");

    let (scenario, outcome) =
        run(&[("in.jsonl", input)], &pipeline(&format!(", {fields}"), "on_error = { dead_letter = \"dead.jsonl\" }\n"));
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("out").unwrap(), "{\"c\":10.0,\"sensor\":\"a\"}\n");
    let letter = &outcome.dead_letters("dead.jsonl")[0];
    assert_eq!(letter.text("message"), "field \"celsius\" is inf, which JSON cannot express");
    assert_eq!(letter.text("payload"), r#"{"sensor":"","celsius":"inf"}"#);
}

#[test]
fn a_csv_sink_without_records_has_its_header_and_standard_output_takes_csv_too() {
    let schema = "schema = { id = \"u64\", \"a,b\" = \"string?\" }";
    let pipeline = [source("in.jsonl", schema), sink("in", "out.csv.gz", ", format = \"csv\"")];
    let (scenario, outcome) = run(&[("in.jsonl", "")], &pipeline);
    outcome.expect_exit(0);
    let packed = std::fs::read(scenario.path().join("out.csv.gz")).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(packed.as_slice()), &mut text).unwrap();
    assert_eq!(text, "id,\"a,b\"\n");

    let stdout =
        "[[sink]]\nname = \"out\"\ninput = \"in\"\nstdout = { format = \"csv\", delimiter = \";\", header = false }\n";
    let scenario = Scenario::new();
    scenario.file("in.jsonl", "{\"id\":18446744073709551615,\"a,b\":\"x;\\ny\"}\n{\"id\":0}\n");
    scenario.pipeline(&[source("in.jsonl", schema), stdout.to_owned()].concat());
    let found = scenario.command("run").arg("--quiet").output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "18446744073709551615;\"x;\ny\"\n0;\n");
}

const SCHEMA: &str = "schema = { flag = \"bool?\", small = \"s8?\", big = \"u64?\", ratio = \"f64?\", single = \"f32?\", at = \
                      \"timestamp?\", day = \"date?\", price = \"decimal(12, 4)?\", text = \"string?\", blob = \"bytes?\", \
                      more = \"json?\", must = \"string\" }";

/// A record of every type, made from a number.
fn record(seed: u64) -> Value {
    let mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let texts = ["", " ", "a", "x,y", "\"", "é☃\n", "\u{feff}b", "true", "NA", "a;'b", "line\r\nend", "=1+2"];
    let text = texts[(mixed >> 7) as usize % texts.len()];
    let ratio = f64::from_bits(mixed.rotate_left(13) & !(1 << 62));
    let mut record = json!({
        "flag": mixed.is_multiple_of(2),
        "small": (mixed >> 56) as i8,
        "big": mixed,
        "ratio": ratio,
        "single": ((mixed >> 40) as u32 as f32) / 8.0,
        "at": format!("20{:02}-0{}-1{}T0{}:00:00.{:06}Z", mixed % 100, 1 + mixed % 9, mixed % 10, mixed % 10, 1 + mixed % 999_999),
        "day": format!("19{:02}-1{}-0{}", mixed % 100, mixed % 3, 1 + mixed % 9),
        "price": (mixed % 99_999_999) as f64 / 4.0,
        "text": text,
        "blob": "aGk=",
        "more": { "k": [text, null] },
        "must": texts[(mixed >> 17) as usize % texts.len()],
    });
    for (at, name) in
        ["flag", "small", "big", "ratio", "single", "at", "day", "price", "text", "blob", "more"].iter().enumerate()
    {
        if mixed >> (20 + at) & 3 == 0 {
            record[*name] = Value::Null;
        }
    }
    record
}

/// The records as JSON lines of every field, and the CSV file that the program wrote of them.
fn written_as_csv(count: u64, settings: &str) -> (Scenario, Vec<Value>) {
    let input: String = (0..count).map(|seed| record(seed).to_string() + "\n").collect();
    let names = ["flag", "small", "big", "ratio", "single", "at", "day", "price", "text", "blob", "more", "must"];
    let every = format!(
        "[[sink]]\nname = \"every\"\ninput = \"in\"\nfile = {{ path = \"in-full.jsonl\", fields = {names:?} }}\n"
    );
    let pipeline = [source("in.jsonl", SCHEMA), sink("in", "out.csv", &format!(", format = \"csv\"{settings}")), every];
    let (scenario, outcome) = run(&[("in.jsonl", &input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    let records = scenario.lines("in-full.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (scenario, records)
}

#[test]
fn a_csv_file_that_the_program_wrote_reads_back_equal() {
    for (settings, reading) in [
        ("", ""),
        (", delimiter = \";\", quote = \"'\"", ", delimiter = \";\", quote = \"'\""),
        (", delimiter = \"\\t\"", ", delimiter = \"\\t\""),
    ] {
        let (scenario, records) = written_as_csv(300, settings);
        let back = format!(
            "[[source]]\nname = \"back\"\nfile = {{ path = \"out.csv\", format = \"csv\"{reading} }}\n{SCHEMA}\n"
        );
        let names: Vec<String> = records[0].as_object().unwrap().keys().cloned().collect();
        scenario.pipeline(&[back, sink("back", "again.jsonl", &format!(", fields = {names:?}"))].concat());
        scenario.run().expect_exit(0).expect_conservation();
        let again: Vec<Value> =
            scenario.lines("again.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(again.len(), records.len());
        for (again, record) in again.iter().zip(&records) {
            assert_eq!(again, record);
        }
    }
}

/// The text of a value in a cell.
fn cell(value: &Value, is_json: bool) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if !is_json => text.clone(),
        value => value.to_string(),
    }
}

#[test]
fn python_reads_the_cells_that_the_program_wrote() {
    let (scenario, records) = written_as_csv(300, "");
    let script = "import csv, json\nwith open('out.csv', newline='', encoding='utf-8') as file:\n    print(json.dumps(list(csv.DictReader(file))))";
    let found = match Command::new("python3").current_dir(scenario.path()).args(["-c", script]).output() {
        Ok(found) if found.status.success() => found,
        Ok(found) => panic!("{}", String::from_utf8_lossy(&found.stderr)),
        Err(error) => return skip(Need::Python, error.to_string()),
    };
    let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        for (name, value) in record.as_object().unwrap() {
            let found = row[name].as_str().unwrap();
            match name.as_str() {
                "ratio" | "single" | "price" if !value.is_null() => {
                    assert_eq!(found.parse::<f64>().unwrap(), value.as_f64().unwrap(), "{name}");
                }
                "more" if !value.is_null() => {
                    assert_eq!(&serde_json::from_str::<Value>(found).unwrap(), value, "{name}");
                }
                name => assert_eq!(found, cell(value, false), "{name} of {record}"),
            }
        }
    }
}

#[test]
fn pandas_reads_the_values_that_the_program_wrote() {
    let modules = std::env::var_os("SAGE_PANDAS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("HOME").map(PathBuf::from)?.join(".cache/sage-host/pandas");
        cache.is_dir().then_some(cache)
    });
    let Some(modules) = modules else { return skip(Need::Pandas, "make pandas has not installed it") };
    let (scenario, records) = written_as_csv(300, "");
    let script = r#"
import json, pandas
table = pandas.read_csv("out.csv", keep_default_na=False, na_values=[""], encoding="utf-8",
    dtype={"flag": "boolean", "small": "Int8", "big": "UInt64", "ratio": "float64", "text": str, "must": str},
    parse_dates=["at"], date_format="ISO8601", float_precision="round_trip")
value = lambda cell, of: None if pandas.isna(cell) else of(cell)
rows = zip(table["flag"], table["small"], table["big"], table["ratio"], table["at"], table["text"])
print(json.dumps([[value(flag, bool), value(small, int), value(big, int), value(ratio, float),
    value(at, lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%f")), value(text, str)] for flag, small, big, ratio, at, text in rows]))
"#;
    let mut python = Command::new("python3");
    let found = python.env("PYTHONPATH", modules).current_dir(scenario.path()).args(["-c", script]).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let rows: Vec<Vec<Value>> = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        let moment = |at: &Value| at.as_str().map(|text| text.trim_end_matches(['Z', '0']).to_owned());
        assert_eq!(row[..3], [record["flag"].clone(), record["small"].clone(), record["big"].clone()]);
        assert_eq!(row[3].as_f64(), record["ratio"].as_f64());
        assert_eq!(moment(&row[4]), moment(&record["at"]));
        // pandas takes an empty text for a missing one.
        assert_eq!(row[5].as_str(), record["text"].as_str().filter(|text| !text.is_empty()));
    }
}

proptest! {
    #![proptest_config(Config { cases: 10, max_shrink_iters: 40, failure_persistence: None, ..Config::default() })]

    /// Sinks that choose fields, as JSON and as CSV, against the fields of the records, through bytes and by field.
    #[test]
    fn chosen_fields_have_the_values_of_the_records(
        records in prop::collection::vec((any::<String>(), prop::option::of(-400.0..5000.0f64), any::<bool>()), 0..300),
        (copied, filtered) in (any::<bool>(), any::<bool>()),
    ) {
        let mut input = String::new();
        for (sensor, celsius, extra) in &records {
            let mut record = json!({ "sensor": sensor, "celsius": celsius.unwrap_or(-1.0) });
            if *extra {
                record["extra"] = json!([sensor]);
            }
            writeln!(input, "{record}").unwrap();
        }
        let mut stages = vec![source("in.jsonl", "")];
        let mut last = "in";
        if copied {
            stages.push(stage("copy", "identity", last, "parallelism = 2"));
            last = "copy";
        }
        if filtered {
            stages.push(stage("hot", "hot", last, "config = { above = -300 }"));
            last = "hot";
        }
        stages.push(sink(last, "out.jsonl", ", fields = [\"extra as more\", \"sensor\"]"));
        stages.push(format!(
            "[[sink]]\nname = \"table\"\ninput = \"{last}\"\nfile = {{ path = \"out.csv\", format = \"csv\", fields = [\"sensor\", \"extra\"] }}\n"
        ));
        let (scenario, outcome) = run(&[("in.jsonl", &input)], &stages);
        outcome.expect_exit(0).expect_conservation();
        let kept = |(_, celsius, _): &&(String, Option<f64>, bool)| !filtered || celsius.unwrap_or(-1.0) > -300.0;
        let line = |(sensor, _, extra): &(String, Option<f64>, bool)| {
            json!({ "more": extra.then(|| json!([sensor])), "sensor": sensor }).to_string()
        };
        let mut expected: Vec<String> = records.iter().filter(kept).map(line).collect();
        let mut found: Vec<String> =
            scenario.lines("out.jsonl").iter().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);

        // The CSV file, read as texts.
        let back = "[[source]]\nname = \"back\"\nfile = { path = \"out.csv\", format = \"csv\" }\n".to_owned();
        scenario.pipeline(&[back, sink("back", "back.jsonl", "")].concat());
        scenario.run().expect_exit(0).expect_conservation();
        let row = |(sensor, _, extra): &(String, Option<f64>, bool)| {
            json!({ "sensor": sensor, "extra": if *extra { json!([sensor]).to_string() } else { String::new() } }).to_string()
        };
        let mut expected: Vec<String> = records.iter().filter(kept).map(row).collect();
        let mut found: Vec<String> =
            scenario.lines("back.jsonl").iter().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}
