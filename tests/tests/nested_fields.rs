//! Lists and structs as fields of records, from the file to the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::Config;
use sage_tests::{Outcome, Scenario, guest, operator, program};
use serde_json::{Map, Value, json};

fn source(file: &str, settings: &str) -> String {
    let format = if file.ends_with(".csv") { "csv" } else { "jsonl" };
    format!("[[source]]\nname = \"in\"\nfile = {{ path = \"{file}\", format = \"{format}\" }}\n{settings}\n")
}

fn parcels(input: &str, settings: &str) -> String {
    let path = operator("parcels");
    let path = path.display();
    format!("[[operator]]\nname = \"parcels\"\ncomponent = \"{path}\"\ninput = \"{input}\"\n{settings}\n")
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

const SCHEMA: &str = "[source.schema]\nid = \"s64\"\ntags = \"list<string>\"\nweights = \"list<f64>\"\n\
                      place = { type = { lat = \"f64\", lon = \"f64\" }, null = true }\n";

#[test]
fn an_operator_reads_and_gives_lists_and_structs() {
    let input = concat!(
        "{\"id\":1,\"tags\":[\"a\",\"\\u00e9\"],\"weights\":[1,2.5],\"place\":{\"lon\":8,\"lat\":48.5}}\n",
        "{\"id\":2,\"tags\":[],\"weights\":[1e-3],\"more\":[{}]}\n",
        "{\"id\":3,\"tags\":[\"a\"],\"weights\":[],\"place\":null}\n",
        "{\"id\":4,\"tags\":[\"a\",null],\"weights\":[1]}\n",
        "{\"id\":5,\"tags\":[\"a\"],\"weights\":[1,2,3,\"4\"]}\n",
        "{\"id\":6,\"tags\":[\"a\"],\"weights\":[1],\"place\":{\"lat\":1}}\n",
        "{\"id\":7,\"tags\":\"a\",\"weights\":[1]}\n",
    );
    let unreadable = format!("on_error = {{ dead_letter = \"unreadable.jsonl\" }}\n{SCHEMA}");
    let rejected = "on_error = { dead_letter = \"rejected.jsonl\" }";
    let pipeline = [source("in.jsonl", &unreadable), parcels("in", rejected), sink("parcels")];
    let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.lines("out.jsonl"),
        [
            r#"{"labels":["A","É"],"total":3.5,"opposite":{"lat":-48.5,"lon":-172.0},"id":1,"tags":["a","é"],"weights":[1.0,2.5],"place":{"lat":48.5,"lon":8.0}}"#,
            r#"{"labels":[],"total":0.001,"opposite":null,"id":2,"tags":[],"weights":[0.001],"place":null}"#,
        ]
    );
    let messages: Vec<String> =
        outcome.dead_letters("unreadable.jsonl").iter().map(|letter| letter.text("message").to_owned()).collect();
    assert_eq!(
        messages,
        [
            "field \"tags[1]\" is null (line 1, column 21)",
            "field \"weights[3]\" is a string, not f64 (line 1, column 39)",
            "field \"place.lon\" is missing (line 1, column 53)",
            "field \"tags\" is a string, not list<string> (line 1, column 16)",
        ]
    );
    let letters = outcome.dead_letters("rejected.jsonl");
    assert_eq!((letters.len(), letters[0].text("message")), (1, "a parcel has at least one piece"));
    assert_eq!(letters[0].text("payload"), input.lines().nth(2).unwrap());
}

#[test]
fn the_cell_of_a_list_or_a_struct_is_its_json_text() {
    let input = "id,tags,weights,place\n1,\"[\"\"a\"\"]\",[2],\"{\"\"lat\"\":1,\"\"lon\"\":2}\"\n2,a,[1],\n3,[],\"[1,x]\",\n4,[],[1],\n";
    let skip = format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{SCHEMA}");
    let pipeline = [source("in.csv", &skip), parcels("in", ""), sink("parcels")];
    let (scenario, outcome) = run(&[("in.csv", input)], &pipeline);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.lines("out.jsonl"),
        [
            r#"{"labels":["A"],"total":2.0,"opposite":{"lat":-1.0,"lon":-178.0},"id":1,"tags":["a"],"weights":[2.0],"place":{"lat":1.0,"lon":2.0}}"#,
            r#"{"labels":[],"total":1.0,"opposite":null,"id":4,"tags":[],"weights":[1.0],"place":null}"#,
        ]
    );
    let letters = outcome.dead_letters("dead.jsonl");
    let messages: Vec<&str> = letters.iter().map(|letter| letter.text("message")).collect();
    assert_eq!(messages, ["field \"tags\" is not JSON", "field \"weights\" is not JSON"]);
}

#[test]
fn a_csv_sink_writes_lists_and_structs_that_a_source_reads_back() {
    let input = concat!(
        "{\"id\":1,\"tags\":[\"a,\\\"b\\\"\",\"\\n\"],\"weights\":[1,2.5],\"place\":{\"lon\":8,\"lat\":48.5}}\n",
        "{\"id\":2,\"tags\":[],\"weights\":[1e-3]}\n",
    );
    let table = |input: &str, settings: &str| {
        format!("[[sink]]\nname = \"table\"\n{input}\nfile = {{ path = \"out.csv\", format = \"csv\"{settings} }}\n")
    };
    let chosen = ", fields = [\"id\", \"place\", \"t as tags\", \"weights\"]";
    for (edge, settings) in [
        ("input = { from = \"parcels\", fields = [\"id\", \"place\", \"tags\", \"weights\"] }", ""),
        ("input = { from = \"parcels\", fields = [\"tags as t\", \"weights\", \"id\", \"place\"] }", chosen),
    ] {
        let pipeline = [source("in.jsonl", SCHEMA), parcels("in", ""), table(edge, settings)];
        let (scenario, outcome) = run(&[("in.jsonl", input)], &pipeline);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(
            scenario.read("out.csv").unwrap(),
            "id,place,tags,weights\n1,\"{\"\"lat\"\":48.5,\"\"lon\"\":8.0}\",\"[\"\"a,\\\"\"b\\\"\"\"\",\"\"\\n\"\"]\",\"[1.0,2.5]\"\n\
             2,,[],[0.001]\n"
        );
        let every = "{ from = \"in\", fields = [\"id\", \"tags\", \"weights\", \"place\"] }";
        let back = sink("in").replace("\"in\"", every);
        scenario.pipeline(&[source("out.csv", SCHEMA), back].concat());
        scenario.run().expect_exit(0).expect_conservation();
        assert_eq!(
            scenario.lines("out.jsonl"),
            [
                r#"{"id":1,"tags":["a,\"b\"","\n"],"weights":[1.0,2.5],"place":{"lat":48.5,"lon":8.0}}"#,
                r#"{"id":2,"tags":[],"weights":[0.001],"place":null}"#,
            ]
        );
    }
}

#[test]
fn the_description_and_the_edges_show_elements_and_members() {
    let found = Command::new(program()).arg("inspect").arg(operator("parcels")).output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    for line in [
        "reads:      tags (list<string>): Marks, such as `fragile`.",
        "            place (struct { lat: f64, lon: f64 }?): Destination, if there is one.",
        "            place.lat (f64): Degrees north of the equator.",
        "gives:      labels (list<string>): Marks in capital letters.",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let scenario = Scenario::new();
    scenario.file("in.jsonl", "");
    scenario.pipeline(&[source("in.jsonl", SCHEMA), parcels("in", ""), sink("parcels")].concat());
    let validate = |arguments: &[&str]| {
        let file = scenario.path().join("pipeline.toml");
        let mut command = Command::new(program());
        let found = command.arg("validate").arg(file).arg("--schema").args(arguments).output().unwrap();
        String::from_utf8_lossy(&found.stdout).into_owned()
    };
    assert!(validate(&[]).contains("  place     struct { lat: f64, lon: f64 }?\n"), "{}", validate(&[]));
    let result: Value = serde_json::from_str(&validate(&["--output", "json"])).unwrap();
    let fields = &result["edges"][0]["fields"];
    assert_eq!(fields[1], json!({ "name": "tags", "type": "list<string>", "nullable": false, "read": true }));
    assert_eq!(
        fields[3]["fields"][1],
        json!({ "name": "lon", "type": "f64", "nullable": false }),
        "the members of {}",
        fields[3]
    );
}

#[test]
fn infer_proposes_lists_and_structs_that_a_pipeline_reads() {
    let scenario = Scenario::new();
    let records = "{\"tags\":[\"a\"],\"place\":{\"lat\":1.5,\"type\":\"x\"},\"deep\":[[1]],\"maybe\":{\"a b\":1}}\n\
                   {\"tags\":[null],\"place\":{\"type\":null,\"lat\":2},\"deep\":[],\"maybe\":null}\n";
    scenario.file("in.jsonl", records);
    let infer = |arguments: &[&str]| {
        let mut command = Command::new(program());
        let found = command.current_dir(scenario.path()).arg("infer").arg("in.jsonl").args(arguments).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap()
    };
    let schema = "[source.schema]\ntags = \"list<string?>\"\nplace = { type = { lat = \"f64\", type = \"string?\" } }\n\
                  deep = \"json\"\nmaybe = { type = { \"a b\" = \"s64\" }, null = true }";
    assert_eq!(infer(&[]), format!("# from 2 records\n{schema}\n"));
    let result: Value = serde_json::from_str(&infer(&["--output", "json"])).unwrap();
    assert_eq!(
        (&result["schema"][1]["type"], &result["schema"][1]["fields"][0]["name"]),
        (&json!("struct"), &json!("lat"))
    );
    scenario.pipeline(&[source("in.jsonl", schema), sink("in")].concat());
    scenario.run().expect_exit(0);
}

/// A type of a field, and JSON values that it takes.
#[derive(Debug, Clone)]
struct Typed {
    /// As a pipeline file has it.
    toml: String,
    values: Vec<Value>,
}

fn scalar() -> impl Strategy<Value = Typed> {
    let texts = prop::collection::vec(any::<String>(), 4);
    let numbers = prop::collection::vec(any::<i64>(), 4);
    let floats = prop::collection::vec(-1e15..1e15f64, 4);
    (0..6, texts, numbers, floats).prop_map(|(kind, texts, numbers, floats)| {
        let typed = |name: &str, values: Vec<Value>| Typed { toml: name.to_owned(), values };
        match kind {
            0 => typed("string", texts.into_iter().map(Value::from).collect()),
            1 => typed("s64", numbers.into_iter().map(Value::from).collect()),
            2 => typed("f64", floats.into_iter().map(Value::from).collect()),
            3 => typed("bool", vec![true.into(), false.into()]),
            4 => typed("date", vec!["2026-11-30".into(), "0001-01-01".into()]),
            _ => typed("json", vec![json!({ "a": [1, { "b": "é" }] }), json!([]), json!("x"), json!(1.5)]),
        }
    })
}

/// Marks a type as nullable, and adds null to its values.
fn nullable(typed: Typed, null: bool) -> Typed {
    let Typed { toml, mut values } = typed;
    if !null {
        return Typed { toml, values };
    }
    values.push(Value::Null);
    Typed { toml: format!("{toml}?"), values }
}

fn named(typed: &Typed) -> String {
    if typed.toml.starts_with('{') { typed.toml.clone() } else { format!("\"{}\"", typed.toml) }
}

fn field() -> impl Strategy<Value = Typed> {
    let inside = || (scalar(), any::<bool>()).prop_map(|(typed, null)| nullable(typed, null));
    let list = (inside(), any::<bool>(), prop::collection::vec(0usize..6, 5)).prop_map(|(element, null, lengths)| {
        let values = &element.values;
        let list =
            |(at, length): (usize, usize)| (0..length).map(|i| values[(at + i) % values.len()].clone()).collect();
        let lists = lengths.into_iter().enumerate().map(list).collect();
        nullable(Typed { toml: format!("list<{}>", element.toml), values: lists }, null)
    });
    let group = (prop::collection::vec(inside(), 1..4), any::<bool>()).prop_map(|(members, null)| {
        let entries: Vec<String> =
            members.iter().enumerate().map(|(at, member)| format!("m{at} = {}", named(member))).collect();
        let object = |seed: usize| {
            let value = |(at, member): (usize, &Typed)| {
                (format!("m{at}"), member.values[(seed + at) % member.values.len()].clone())
            };
            Value::Object(members.iter().enumerate().map(value).collect())
        };
        let mut values: Vec<Value> = (0..5).map(object).collect();
        if null {
            values.push(Value::Null);
        }
        let table = entries.join(", ");
        let toml = if null { format!("{{ type = {{ {table} }}, null = true }}") } else { format!("{{ {table} }}") };
        Typed { toml, values }
    });
    prop_oneof![inside(), list, group]
}

proptest! {
    #![proptest_config(Config { cases: 16, max_shrink_iters: 30, failure_persistence: None, ..Config::default() })]

    /// Records of random schemas travel as columns behind an operator by field, and as text behind one of bytes.
    #[test]
    fn bytes_and_fields_give_equal_values_of_nested_records(
        fields in prop::collection::vec(field(), 1..6),
        rows in 0usize..300,
        parallelism in 1u32..3,
    ) {
        let mut schema = "[source.schema]\nword = \"string\"\n".to_owned();
        for (at, field) in fields.iter().enumerate() {
            writeln!(schema, "f{at} = {}", named(field)).unwrap();
        }
        let record = |row: usize| {
            let mut record = Map::from_iter([("word".to_owned(), json!(row.to_string()))]);
            for (at, field) in fields.iter().enumerate() {
                record.insert(format!("f{at}"), field.values[(row * 7 + at) % field.values.len()].clone());
            }
            Value::Object(record)
        };
        let input: String = (0..rows).map(|row| record(row).to_string() + "\n").collect();
        let doubled = guest("flat_map_by_field_answers_as_told");
        let pipeline = [
            source("in.jsonl", &schema),
            format!(
                "[[operator]]\nname = \"copy\"\ncomponent = \"{}\"\ninput = \"in\"\n", operator("identity").display()
            ),
            format!(
                "[[operator]]\nname = \"double\"\ncomponent = \"{}\"\ninput = \"in\"\nparallelism = {parallelism}\n",
                doubled.display()
            ),
            sink("double"),
            "[[sink]]\nname = \"bytes\"\ninput = \"copy\"\nfile = { path = \"bytes.jsonl\" }\n".to_owned(),
        ];
        let (scenario, outcome) = run(&[("in.jsonl", &input)], &pipeline);
        outcome.expect_exit(0).expect_conservation();
        let values = |file: &str| -> Vec<Value> {
            let mut values: Vec<Value> =
                scenario.lines(file).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            values.sort_by_key(Value::to_string);
            values
        };
        let with_copy = |mut value: Value| {
            value["copy"] = value["word"].clone();
            [value.clone(), value]
        };
        let mut expected: Vec<Value> = values("bytes.jsonl").into_iter().flat_map(with_copy).collect();
        expected.sort_by_key(Value::to_string);
        prop_assert_eq!(expected.len(), 2 * rows);
        prop_assert_eq!(values("out.jsonl"), expected);
    }
}
