//! The schemas and the readers know the same keys, in every table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Diagnostics, asked_keys, parse, parse_host};
use crate::{HOST_SCHEMA, PIPELINE_SCHEMA};

struct Schema(Value);

impl Schema {
    fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// A definition, or the file itself under the empty name.
    fn definition(&self, name: &str) -> &Value {
        if name.is_empty() { &self.0 } else { &self.0["definitions"][name] }
    }

    fn keys(&self, name: &str) -> BTreeSet<&str> {
        self.definition(name)["properties"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// A table with every key of a definition.
    fn everything(&self, name: &str) -> Value {
        let properties = self.definition(name)["properties"].as_object().unwrap();
        Value::Object(properties.iter().map(|(key, of)| (key.clone(), self.example(of))).collect())
    }

    /// A value that the schema allows, with every key of each table in it.
    fn example(&self, of: &Value) -> Value {
        let named = of["$ref"].as_str().or_else(|| of["allOf"][0]["$ref"].as_str());
        if let Some(name) = named.and_then(|path| path.strip_prefix("#/definitions/")) {
            let name = match name {
                "on_error" => "dead_letters",
                "field" => "field_table",
                "edge" => "edge_table",
                name => name,
            };
            if self.definition(name).get("properties").is_some() {
                return self.everything(name);
            }
        }
        if of["items"].get("$ref").is_some() {
            return json!([self.example(&of["items"])]);
        }
        if of["additionalProperties"].get("$ref").is_some() {
            return json!({ "x": self.example(&of["additionalProperties"]) });
        }
        let written = of["examples"].get(0).or_else(|| of.get("default")).or_else(|| of["enum"].get(0));
        written.cloned().unwrap_or_else(|| panic!("no example of {of}"))
    }

    fn check(&self, tables: &[(&str, &str)], errors: Option<Diagnostics>, asked: &BTreeMap<String, BTreeSet<&str>>) {
        let unknown: Vec<String> = errors
            .into_iter()
            .flat_map(|errors| errors.iter().map(|error| error.to_string()).collect::<Vec<_>>())
            .filter(|error| error.starts_with("unknown"))
            .collect();
        assert!(unknown.is_empty(), "the schema has keys that the reader does not know: {unknown:?}");
        let mut seen = BTreeSet::new();
        for (place, keys) in asked {
            let (_, definition) = tables
                .iter()
                .find(|(prefix, _)| place.starts_with(prefix))
                .unwrap_or_else(|| panic!("{place} is in no definition of the schema"));
            seen.insert(*definition);
            let known = self.keys(definition);
            let unlisted: Vec<_> = keys.iter().filter(|key| !known.contains(**key)).collect();
            assert!(unlisted.is_empty(), "{place}: the schema has no {unlisted:?}");
        }
        for (_, definition) in tables {
            assert!(seen.contains(definition), "no reader asked for keys of {definition:?}");
        }
    }
}

fn toml_of(value: &Value) -> String {
    toml::to_string(value.as_object().unwrap() as &Map<String, Value>).unwrap()
}

#[test]
fn the_schema_of_pipeline_files_and_their_reader_know_the_same_keys() {
    let schema = Schema::read(PIPELINE_SCHEMA);
    let text = toml_of(&schema.everything(""));
    asked_keys::take();
    let parsed = parse("p.toml", text.as_bytes());
    let tables = [
        ("the pipeline file", ""),
        ("checkpoint of", "checkpoint"),
        ("window of", "window"),
        ("late of", "late"),
        ("[pipeline]", "pipeline"),
        ("[model.x]", "model"),
        ("folders of", "folder"),
        ("capabilities of", "capabilities"),
        ("limits of", "limits"),
        ("resources of", "resources"),
        ("on_error of", "dead_letters"),
        ("event_time of", "event_time"),
        ("watermark of", "watermark"),
        ("field \"x\" of", "field_table"),
        ("x of inputs of", "edge_table"),
        ("times of", "times"),
        ("generate of", "generate"),
        ("socket of source", "socket"),
        ("socket of sink", "socket_sink"),
        ("stdin of", "stdin"),
        ("file of source", "file_source"),
        ("roll of", "roll"),
        ("file of sink", "file_sink"),
        ("stdout of", "stdout"),
        ("source", "source"),
        ("operator", "operator"),
        ("sink", "sink"),
    ];
    schema.check(&tables, Some(parsed.diagnostics), &asked_keys::take());
}

#[test]
fn the_schema_of_host_files_and_their_reader_know_the_same_keys() {
    let schema = Schema::read(HOST_SCHEMA);
    let text = toml_of(&schema.everything(""));
    asked_keys::take();
    let mut errors = parse_host("host.toml", text.as_bytes(), Path::new("/")).err();
    let mut asked = asked_keys::take();
    // A device has the keys of its kind only.
    for kind in ["cpu", "cuda", "fake"] {
        let text = format!("[[device]]\nname = \"d\"\nkind = \"{kind}\"\n");
        errors = parse_host("host.toml", text.as_bytes(), Path::new("/")).err().filter(|_| false).or(errors);
        for (place, keys) in asked_keys::take() {
            asked.entry(place).or_default().extend(keys);
        }
    }
    let unknown_to_kind = |error: &str| error.contains("\"uuid\" in [[device]]");
    if let Some(found) = &errors {
        let others = found.iter().map(ToString::to_string).filter(|error| error.starts_with("unknown"));
        assert_eq!(others.filter(|error| !unknown_to_kind(error)).collect::<Vec<_>>(), Vec::<String>::new());
    }
    let tables = [
        ("the host file", ""),
        ("[reserve]", "reserve"),
        ("[tenant.x]", "tenant"),
        ("a folder of [tenant.x]", "tenant_folder"),
        ("[serve]", "serve"),
        ("uids of [serve]", "uids"),
        ("[model.x]", "model"),
        ("[[device]]", "device"),
    ];
    schema.check(&tables, None, &asked);
}

#[test]
fn every_key_of_a_schema_is_described() {
    for text in [PIPELINE_SCHEMA, HOST_SCHEMA] {
        let schema = Schema::read(text);
        let names: Vec<String> = schema.0["definitions"].as_object().unwrap().keys().cloned().collect();
        for name in names.iter().map(String::as_str).chain([""]) {
            let Some(properties) = schema.definition(name).get("properties") else { continue };
            for (key, of) in properties.as_object().unwrap() {
                assert!(of["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}.{key}");
            }
        }
    }
}
