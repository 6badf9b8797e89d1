use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::args::InspectArguments;
use super::failure::Failure;
use super::inspect_model::inspect_model;
use super::inspect_rows::list;
use super::printer::Printer;
use super::refusal::of_component;
use super::validate::compiler;
use sage_batch::fields::{DataType, FieldType, Schema};
use sage_plan::{Description, Rest, Shape};
use sage_sandbox::{ImportAccess, Inspection, Sandbox, SandboxOptions};
use sage_text::{plain_line, short_size};

/// The command `inspect`: describes a component or a model.
pub(super) fn inspect(arguments: &InspectArguments, printer: Printer) -> Result<(), Failure> {
    if is_model(&arguments.file) {
        return inspect_model(&arguments.file, printer);
    }
    let inspection = look(&arguments.file)?;
    printer.result(|| text(&arguments.file, &inspection), &inspection)
}

/// Decides by the file's name, or else by its first byte: an ONNX file begins with the version of the format,
/// as every tool writes it. Any other file is treated as a component; the errors then describe the start of a
/// component.
fn is_model(file: &Path) -> bool {
    const IR_VERSION: u8 = 1 << 3;
    let first = || {
        let mut first = [0];
        File::open(file).and_then(|mut file| file.read_exact(&mut first)).map(|()| first)
    };
    match file.extension() {
        Some(extension) if extension == "onnx" => true,
        Some(extension) if extension == "wasm" => false,
        _ => file.is_file() && matches!(first(), Ok([IR_VERSION])),
    }
}

/// Inspects the component in a file.
pub(super) fn look(component: &Path) -> Result<Inspection, Failure> {
    Sandbox::new(SandboxOptions { compiler: Some(compiler()), ..SandboxOptions::default() })
        .and_then(|sandbox| sandbox.inspect(component))
        .map_err(|error| of_component(&error))
}

fn text(component: &Path, inspection: &Inspection) -> String {
    let kind = inspection.kind.map_or("none: it targets no world of sage:operator", |kind| kind.name());
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{:<11} {}", if name.is_empty() { String::new() } else { format!("{name}:") }, value);
    };
    row("component", &plain_line(&component.display().to_string()));
    row("kind", kind);
    if let Some(description) = &inspection.description {
        description_rows(&mut row, description);
    }
    row("contract", inspection.wit_version.as_deref().unwrap_or("none"));
    row("size", &short_size(inspection.bytes));
    list(&mut row, "ports", &inspection.ports);
    list(&mut row, "exports", &inspection.exports);
    list(&mut row, "imports", &imports(inspection));
    let memories: Vec<String> = inspection
        .memories
        .iter()
        .map(|memory| {
            let most = memory
                .maximum_bytes
                .map_or("no maximum of its own".to_owned(), |bytes| format!("at most {}", short_size(bytes)));
            format!("{} at start, {most}", short_size(memory.initial_bytes))
        })
        .collect();
    list(&mut row, "memory", &memories);
    text
}

/// A line for each import, with what becomes of it unless it is granted.
fn imports(inspection: &Inspection) -> Vec<String> {
    let note = |import: &String| match inspection.access.get(import) {
        Some(ImportAccess::DeniedAtUse) if import.starts_with("wasi:sockets/") => {
            "  (denied at use, but for addresses in capabilities.connect)"
        }
        Some(ImportAccess::DeniedAtUse) => "  (denied at use)",
        Some(ImportAccess::Refused) => "  (refused: this host does not provide it)",
        Some(ImportAccess::Granted) | None => "",
    };
    inspection.imports.iter().map(|import| format!("{import}{}", note(import))).collect()
}

/// What becomes of fields that an operator does not give.
const REST: &str = "the other fields of a record travel on";

/// The rows of the component's description of itself.
fn description_rows(row: &mut impl FnMut(&str, &str), description: &Description) {
    for (i, line) in description.docs.lines().enumerate() {
        row(if i == 0 { "docs" } else { "" }, line);
    }
    if let Some(shape) = &description.shape {
        list(row, "reads", &fields(&shape.reads));
        if !shape.gives.fields().is_empty() {
            list(row, "gives", &fields(&shape.gives));
        }
        if shape.rest == Rest::Keep {
            row("rest", REST);
        }
        for side in &shape.sides {
            let mut lines = fields(&side.gives);
            lines.extend((side.rest == Rest::Keep).then(|| REST.to_owned()));
            if lines.is_empty() {
                lines.push("no fields".to_owned());
            }
            lines.iter_mut().for_each(|line| *line = format!("{}: {line}", side.name));
            list(row, "on port", &lines);
        }
    }
    row("state", if description.keeps_state { "keyed" } else { "none" });
    let Some(schema) = description.config_schema() else { return };
    let Shape::Table(fields) = &schema.shape else { return row("config", &schema.shape.to_string()) };
    let known = fields.known.iter().map(|(name, schema)| {
        let required = if fields.required.contains(name) { ", required" } else { "" };
        let docs = schema.docs.as_ref().and_then(|docs| docs.lines().next());
        let docs = docs.map_or_else(String::new, |docs| format!(": {docs}"));
        format!("{name} ({}{required}){docs}", schema.shape)
    });
    let mut known: Vec<String> = known.collect();
    if let Some(others) = fields.others.as_ref().filter(|others| others.shape != Shape::Any) {
        known.push(format!("any key ({})", others.shape));
    }
    list(row, "config", &known);
}

/// A line for each field: its name, its type, and the first line of its documentation. A member of a struct has a line
/// of its own if it has documentation.
fn fields(schema: &Schema) -> Vec<String> {
    let line = |path: &str, field: &FieldType| {
        let mark = if field.nullable { "?" } else { "" };
        let docs = field.docs.lines().next().map_or_else(String::new, |docs| format!(": {docs}"));
        format!("{path}{} ({}{mark}){docs}", field.name, field.data_type)
    };
    let mut lines = Vec::new();
    for field in schema.fields() {
        lines.push(line("", field));
        if let DataType::Struct(members) = &field.data_type {
            let path = format!("{}.", field.name);
            let documented = members.fields().iter().filter(|member| !member.docs.is_empty());
            lines.extend(documented.map(|member| line(&path, member)));
        }
    }
    lines
}
