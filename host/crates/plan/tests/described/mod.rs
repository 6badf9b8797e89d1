//! The result of a pipeline file as text: a summary of the plan, or all errors.
//!
//! A component gets its facts from its file name: `map.wasm`, `key-by-carrier.wasm`, `process.wasm` (with a side output
//! `late`), `source.wasm` (with a side output `errors`), and so on. Other components are missing. A name with
//! parentheses names fields: `map(fahrenheit: f64 -> celsius: f64?, ..).wasm` reads one field, gives another, and keeps
//! the rest; without `..` it drops the rest. A side output follows behind a semicolon: `; late -> x: s64`. A struct is
//! `place: {lat: f64; lon: f64?}`. A name that ends in `-described` has a description of its configuration,
//! `-stateless` keeps no state, and `-large` starts with 1 MiB.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use sage_plan::config::{Pipeline, component_paths, parse};
use sage_plan::{Catalog, ComponentFacts, Description, Kind, Plan, Work, validate_parsed};

/// The result of a pipeline file with this text.
pub(crate) fn outcome(text: &[u8]) -> String {
    let base = Path::new("/pipelines");
    let parsed = parse("pipeline.toml", text);
    let catalog = catalog(&parsed.pipeline, base);
    match validate_parsed(parsed, &catalog, base) {
        Ok(plan) => describe(&plan),
        Err(errors) => errors.render(false),
    }
}

/// The description of a component, by the end of its name.
fn description(stem: &str) -> Option<Arc<Description>> {
    let text = if stem.ends_with("-stateless") {
        r#"{"version":1,"state":"none"}"#
    } else if stem.ends_with("-described") {
        r#"{
            "version": 1,
            "config": {
                "type": "object",
                "properties": {
                    "delimiter": { "type": "string", "description": "What stands between fields." },
                    "field": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
                    "names": { "type": "array", "items": { "type": "string" } }
                },
                "required": ["delimiter"],
                "additionalProperties": false
            }
        }"#
    } else {
        return Some(Arc::new(with_fields(stem)?));
    };
    Some(Arc::new(Description::read(text.as_bytes()).unwrap()))
}

/// The description of a component with fields in its name.
fn with_fields(stem: &str) -> Option<Description> {
    let (_, fields) = stem.strip_suffix(')')?.split_once('(')?;
    let mut outputs = outside_braces(fields);
    let fields = outputs.next()?;
    let sides: Vec<&str> = outputs.collect();
    let (reads, gives) = fields.split_once("->").unwrap_or((fields, ""));
    let list = |text: &str| -> Option<Vec<serde_json::Value>> {
        let fields = text.split(", ").map(str::trim).filter(|field| !matches!(*field, "" | ".."));
        fields.map(described_field).collect()
    };
    let rest = |gives: &str| if gives.trim_end().ends_with("..") { "keep" } else { "drop" };
    let side = |port: &&str| {
        let mut sides = sides.iter().filter_map(|side| side.split_once("->"));
        let gives = sides.find(|(name, _)| name.trim() == *port).map_or("", |(_, gives)| gives);
        Some(serde_json::json!({ "name": port, "gives": list(gives)?, "rest": rest(gives) }))
    };
    let kind = Kind::ALL.into_iter().find(|kind| stem.starts_with(kind.name()))?;
    let own = if kind == Kind::Window { &[] } else { ports(kind) };
    let ports: Vec<serde_json::Value> = own.iter().map(side).collect::<Option<_>>()?;
    let section = serde_json::json!({
        "version": 1, "reads": list(reads)?, "gives": list(gives)?, "rest": rest(gives), "ports": ports
    });
    Description::read(section.to_string().as_bytes()).ok()
}

/// The parts of a text between semicolons that are not inside of a struct.
fn outside_braces(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ';' && depth == 0
    })
}

/// The side outputs of a component.
fn ports(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Process => &["late", "dropped"],
        // The host makes this output.
        Kind::Window => &["late"],
        Kind::Source => &["errors"],
        _ => &[],
    }
}

/// A field of a description: `count: s64?`, or a struct, `place: {lat: f64; lon: f64?}`.
fn described_field(text: &str) -> Option<serde_json::Value> {
    let (name, data_type) = text.split_once(": ")?;
    let plain = data_type.strip_suffix('?').unwrap_or(data_type);
    let mut field = serde_json::json!({ "name": name, "type": plain, "nullable": plain != data_type });
    if let Some(members) = plain.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        field["type"] = "struct".into();
        field["fields"] = members.split("; ").map(described_field).collect::<Option<_>>()?;
    }
    Some(field)
}

/// The facts of all components that a pipeline names.
pub(crate) fn catalog(pipeline: &Pipeline, base: &Path) -> Catalog {
    let facts = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let kind = Kind::ALL.into_iter().find(|kind| stem.starts_with(kind.name())).ok_or("no such file")?;
        let facts = ComponentFacts::new(kind, ports(kind).iter().map(|&port| port.to_owned()).collect());
        let initial_bytes = if stem.ends_with("-large") { 1 << 20 } else { 0 };
        Ok(ComponentFacts { description: description(stem.as_ref()), initial_bytes, ..facts })
    };
    component_paths(pipeline, base).into_iter().map(|path| (path.clone(), facts(&path))).collect()
}

/// Prints a line for each stage with its settings that are not the default, and a line for each of its inputs.
pub(crate) fn describe(plan: &Plan) -> String {
    let mut out = format!("pipeline {}\n", plan.name);
    for (id, stage) in plan.stages() {
        let work = match &stage.work {
            Work::Source(source) => format!("{source:?}"),
            Work::Component(component, kind) => {
                let mut text = format!("{kind} {}", component.path.display());
                if component.config != serde_json::json!({}) {
                    let _ = write!(text, "\n   config {}", component.config);
                }
                if component.capabilities != Default::default() {
                    let _ = write!(text, "\n   {:?}", component.capabilities);
                }
                if let Some(windows) = component.windows {
                    let _ = write!(text, "\n   {windows:?}");
                }
                text
            }
            Work::Sink(sink) => format!("{sink:?}"),
        };
        let _ = writeln!(out, "{} {} x{}: {work}", id.0, stage.name, stage.parallelism);
        if stage.resources != Default::default() {
            let _ = writeln!(out, "   {:?}", stage.resources);
        }
        if stage.limits != Default::default() {
            let _ = writeln!(out, "   {:?}", stage.limits);
        }
        if stage.on_error != Default::default() || stage.retries != 1 {
            let files = if stage.passes_files { ", and of files" } else { "" };
            let _ = writeln!(out, "   on error {:?}{files}, {} retries", stage.on_error, stage.retries);
        }
        for &input in &stage.inputs {
            let edge = plan.edge(input);
            assert_eq!(edge.to, id);
            assert!(edge.from < id, "upstream before downstream");
            assert!(plan.stage(edge.from).outputs.contains(&input));
            let _ = writeln!(out, "   <- {} {:?} {:?}", plan.stage(edge.from).name, edge.port, edge.partition);
        }
        for (port, parsed) in plan.schemas.stage(id).iter().flat_map(|stage| &stage.parses) {
            let fields = parsed.fields().fields().iter().zip(parsed.names());
            let shown = fields.map(|(field, name)| {
                let mark = if field.nullable { "?" } else { "" };
                let from = if *name == field.name { String::new() } else { format!(" from {name:?}") };
                format!("{}: {}{mark}{from}", field.name, field.data_type)
            });
            let _ = writeln!(out, "   parses {port:?} {}", shown.collect::<Vec<_>>().join(", "));
        }
        if let Some(fields) = plan.schemas.stage(id).and_then(|stage| stage.writes.as_ref()) {
            let shown = fields.iter().map(|field| {
                let mark = if field.untyped { " of any type" } else { "" };
                format!("{} as {}{mark}", field.field, field.name)
            });
            let _ = writeln!(out, "   writes {}", shown.collect::<Vec<_>>().join(", "));
        }
    }
    if plan.schemas.has_columns() {
        out.push_str(&plan.schema_listing());
    }
    out
}
