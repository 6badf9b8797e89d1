use toml::de::{DeTable, DeValue};

use super::checkpoint::checkpoint;
use super::model::read_models;
use super::not_text::not_text;
use super::read_component::on_error;
use super::read_input::inputs;
use super::read_source::source;
use super::read_stage::{component, component_or, name, one_of};
use super::table::{Node, Table};
use super::window::{late, window};
use super::{
    ChosenFields, Diagnostic, Diagnostics, FileSink, Operator, Partitioning, Pipeline, Roll, Sink, SinkKind, SinkText,
    SocketSink, SourceText, Span,
};

/// The readable part of a pipeline file, and the errors in it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The readable part.
    pub pipeline: Pipeline,
    /// The errors.
    pub diagnostics: Diagnostics,
}

/// Parses a pipeline file. `name` is the file's name for messages; its stem is the pipeline's name if the file
/// gives none.
#[must_use]
pub fn parse(name: &str, bytes: &[u8]) -> Parsed {
    let (source, mut errors) = source_text(name, bytes);
    let (root, torn_at) = parse_toml(&source, &mut errors);
    let mut pipeline = Pipeline { source: Some(source.clone()), torn: !errors.is_empty(), ..Pipeline::default() };
    let mut read_errors = Diagnostics::new(Some(source.clone()));
    if pipeline.torn {
        read_errors.tear();
    }
    read_root(&root, &mut pipeline, &mut read_errors);
    // On a torn line the parser only guesses, so other errors on that line are dropped.
    let line = |span: Span| source.line_and_column(span.start).0;
    let torn_lines: Vec<usize> = torn_at.into_iter().map(line).collect();
    if !torn_lines.is_empty() {
        read_errors.retain(|error| !error.labels.iter().any(|label| torn_lines.contains(&line(label.span))));
    }
    errors.append(read_errors);
    errors.sort();
    Parsed { pipeline, diagnostics: errors }
}

/// The bytes as text. Bytes that are not UTF-8 are reported and replaced.
pub(super) fn source_text(name: &str, bytes: &[u8]) -> (SourceText, Diagnostics) {
    if let Some((what, hint)) = not_text(bytes) {
        // No part of the file is shown, because it has no lines to point into.
        let source = SourceText::new(name, "");
        let mut errors = Diagnostics::new(Some(source.clone()));
        errors.push(Diagnostic::new(format!("{name} is {what}, not a file of TOML")).hint(hint));
        return (source, errors);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let source = SourceText::new(name, text);
            (source.clone(), Diagnostics::new(Some(source)))
        }
        Err(error) => {
            let source = SourceText::new(name, String::from_utf8_lossy(bytes).into_owned());
            let mut errors = Diagnostics::new(Some(source.clone()));
            let at = error.valid_up_to();
            let message = format!("the file is not UTF-8 from byte {at} on");
            errors.push(Diagnostic::new(message).at(Some(Span { start: at, end: at + 1 })));
            (source, errors)
        }
    }
}

/// The file as TOML tables, and the places that are not TOML; those are reported.
pub(super) fn parse_toml<'i>(
    source: &'i SourceText,
    errors: &mut Diagnostics,
) -> (toml::Spanned<DeTable<'i>>, Vec<Span>) {
    let (root, toml_errors) = DeTable::parse_recoverable(source.text());
    let mut torn = Vec::new();
    for error in toml_errors {
        let span = error.span().map(Span::from);
        torn.extend(span);
        let diagnostic = Diagnostic::new(error.message()).at(span);
        errors.push(match path_hint(source.text(), span) {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }
    (root, torn)
}

/// The hint for a backslash that begins no escape, as in a Windows path.
fn path_hint(text: &str, span: Option<Span>) -> Option<String> {
    let span = span?;
    let begin = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(begin..)?.lines().next()?;
    let written = line.split('"').nth(1).filter(|written| written.contains('\\'))?;
    let is_path = written.get(1..3) == Some(":\\") || written.matches('\\').count() > 1;
    is_path.then(|| {
        format!(
            "in \"…\" a \\ begins an escape: write '{written}' in single quotes, or \"{}\"",
            written.replace('\\', "/")
        )
    })
}

fn read_root(root: &toml::Spanned<DeTable<'_>>, pipeline: &mut Pipeline, errors: &mut Diagnostics) {
    let mut root = Table::root(root, "the pipeline file");
    if let Some(mut table) = root.table("pipeline", errors) {
        pipeline.name = table.string("name", errors);
        pipeline.checkpoint = checkpoint(&mut table, errors);
        table.finish(errors);
    }
    for table in stages(&mut root, "source", errors) {
        pipeline.sources.push(source(table, errors));
    }
    for table in stages(&mut root, "operator", errors) {
        pipeline.operators.push(operator(table, errors));
    }
    for table in stages(&mut root, "sink", errors) {
        pipeline.sinks.push(sink(table, errors));
    }
    pipeline.models = read_models(&mut root, errors);
    // Below a torn header, every key seems to belong to the file itself.
    if !pipeline.torn {
        let before = errors.len();
        root.finish(errors);
        // A misspelt header may have hidden stages.
        pipeline.torn = errors.len() > before;
    }
}

/// The `[[key]]` tables of the file.
fn stages<'t, 'i>(root: &mut Table<'t, 'i>, key: &'static str, errors: &mut Diagnostics) -> Vec<Table<'t, 'i>> {
    let Some(node) = root.node(key) else { return Vec::new() };
    let not_a_stage = |node: &Node<'_>, errors: &mut Diagnostics| {
        let message = format!("{key} is not a list of tables");
        errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(format!("begin each with [[{key}]]")));
    };
    let nodes = match node.get_ref() {
        DeValue::Array(items) => &**items,
        _ => std::slice::from_ref(node),
    };
    if !matches!(node.get_ref(), DeValue::Array(_)) {
        not_a_stage(node, errors);
    }
    let mut tables = Vec::new();
    for (i, item) in nodes.iter().enumerate() {
        match item.get_ref() {
            DeValue::Table(entries) => {
                let name = match entries.get("name").map(toml::Spanned::get_ref) {
                    Some(DeValue::String(name)) => format!("{key} \"{name}\""),
                    _ => format!("{key} {}", i + 1),
                };
                tables.push(Table::new(entries, item.span().into(), name));
            }
            _ if matches!(node.get_ref(), DeValue::Array(_)) => not_a_stage(item, errors),
            _ => {}
        }
    }
    tables
}

fn operator(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Operator {
    let name = name(&mut table, errors);
    let inputs = inputs(&mut table, errors);
    let partition = partition(&mut table, errors);
    let component = component(&mut table, "operator", errors);
    if table.key_span("component").is_none() {
        table.missing("component", "name a component: component = \"x.wasm\"", errors);
    }
    let window = window(&mut table, errors);
    let late = late(&mut table, errors);
    let read = Operator { span: Some(table.span()), name, inputs, partition, component, window, late };
    table.finish(errors);
    read
}

fn sink(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Sink {
    const KINDS: [&str; 5] = ["file", "stdout", "discard", "socket", "component"];
    let name = name(&mut table, errors);
    let inputs = inputs(&mut table, errors);
    let partition = partition(&mut table, errors);
    let file = table.table("file", errors).map(|inner| file_sink(inner, errors));
    let stdout = table.table("stdout", errors).map(|mut inner| {
        let text = SinkText::read(&mut inner, errors);
        inner.finish(errors);
        SinkKind::Stdout(text)
    });
    let discard = table.table("discard", errors).map(|inner| {
        inner.finish(errors);
        SinkKind::Discard
    });
    let socket = table.table("socket", errors).map(|inner| socket_sink(inner, errors));
    let writes = ["file", "stdout", "socket"].into_iter().any(|kind| table.key_span(kind).is_some());
    let own: &[&str] = if writes { &["on_error"] } else { &[] };
    let component = component_or(&mut table, "sink", own, errors).map(SinkKind::Component);
    let on_error = if writes && component.is_none() && table.key_span("on_error").is_some() {
        Some(on_error(&mut table, errors))
    } else {
        None
    };
    one_of(&table, &KINDS, "stdout = {}", errors);
    let kind = file.flatten().or(stdout).or(discard).or(socket.flatten()).or(component);
    let read = Sink { span: Some(table.span()), name, inputs, partition, kind, on_error };
    table.finish(errors);
    read
}

fn socket_sink(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<SinkKind> {
    let path = table.string("path", errors);
    let columns = table.boolean("columns", errors).unwrap_or_default();
    let fields = ChosenFields::read(&mut table, "name the fields that cross, or leave it out for all", errors);
    if table.key_span("path").is_none() {
        table.missing("path", "name the socket of a program: socket = { path = \"records.sock\" }", errors);
    }
    table.finish(errors);
    Some(SinkKind::Socket(SocketSink { path: path?, columns, fields }))
}

fn file_sink(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<SinkKind> {
    let path = table.string("path", errors);
    let compression = table.string("compression", errors);
    let text = SinkText::read(&mut table, errors);
    let roll = table.table("roll", errors).map(|inner| roll(inner, errors));
    let append = table.flag("append", errors);
    if table.key_span("path").is_none() {
        table.missing("path", "name a file: file = { path = \"out.jsonl\" }", errors);
    }
    table.finish(errors);
    Some(SinkKind::File(FileSink { path: path?, compression, text, roll, append }))
}

fn roll(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Roll {
    let read = Roll {
        span: Some(table.span()),
        size: table.size("size", errors),
        every: table.duration("every", errors),
        idle: table.duration("idle", errors),
    };
    table.finish(errors);
    read
}

fn partition(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Partitioning {
    let Some(node) = table.node("partition") else { return Partitioning::Default };
    match node.get_ref() {
        DeValue::String(_) => {
            table.string_of("partition", node, errors).map_or(Partitioning::Default, Partitioning::All)
        }
        DeValue::Table(entries) => {
            let inner = Table::new(entries, node.span().into(), format!("partition of {}", table.place()));
            let mut each = Vec::new();
            for (input, node) in inner.entries() {
                if matches!(node.get_ref(), DeValue::Table(_)) {
                    let message = format!("{} of {} is a table, not a string", input.value, inner.place());
                    errors.push(Diagnostic::new(message).on(&input).hint(format!(
                        "put quotes around a name with a dot: \"{}.rejects\" = \"round-robin\"",
                        input.value
                    )));
                } else if let Some(word) = inner.string_of(&input.value, node, errors) {
                    each.push((input, word));
                }
            }
            Partitioning::Each(each)
        }
        _ => {
            let none: Option<Partitioning> = table.wrong_type("partition", "a string or a table", node, errors);
            none.unwrap_or_default()
        }
    }
}
