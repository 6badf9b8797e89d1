use super::read_component::on_error;
use super::read_stage::{component_or, name, one_of};
use super::table::Table;
use super::text_format::record_headers;
use super::{
    Diagnostics, EventTime, FileSource, Generate, GeneratedTimes, Socket, Source, SourceKind, SourceSchema, TextFormat,
    Watermark,
};

/// Reads a `[[source]]`.
pub(super) fn source(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Source {
    const KINDS: [&str; 5] = ["file", "stdin", "generate", "socket", "component"];
    let name = name(&mut table, errors);
    let file = table.table("file", errors).map(|inner| file_source(inner, errors));
    let stdin = table.table("stdin", errors).map(|mut inner| {
        let format = TextFormat::read(&mut inner, errors);
        inner.finish(errors);
        SourceKind::Stdin(format)
    });
    let generate = table.table("generate", errors).map(|inner| generate(inner, errors));
    let socket = table.table("socket", errors).map(|inner| socket(inner, errors));
    // Input that is read may be unreadable; generated input is always readable.
    let reads = ["file", "stdin", "socket"].into_iter().any(|kind| table.key_span(kind).is_some());
    let own: &[&str] = if reads { &["on_error"] } else { &[] };
    let component = component_or(&mut table, "source", own, errors).map(SourceKind::Component);
    let on_error = if reads && component.is_none() && table.key_span("on_error").is_some() {
        Some(on_error(&mut table, errors))
    } else {
        None
    };
    let key = table.string("key", errors);
    let event_time = EventTime::read(&mut table, errors);
    let watermark = Watermark::read(&mut table, errors);
    let headers = record_headers(&mut table, errors);
    let schema = SourceSchema::read(&mut table, errors);
    one_of(&table, &KINDS, "stdin = {}", errors);
    let kind = file.flatten().or(stdin).or(generate).or(socket.flatten()).or(component);
    let read = Source { span: Some(table.span()), name, kind, on_error, key, event_time, watermark, headers, schema };
    table.finish(errors);
    read
}

fn file_source(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<SourceKind> {
    let path = table.string("path", errors);
    let text = TextFormat::read(&mut table, errors);
    let follow = table.flag("follow", errors);
    if table.key_span("path").is_none() {
        table.missing("path", "name a file or a pattern: file = { path = \"in-*.jsonl\" }", errors);
    }
    table.finish(errors);
    Some(SourceKind::File(FileSource { path: path?, text, follow }))
}

fn socket(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<SourceKind> {
    let path = table.string("path", errors);
    if table.key_span("path").is_none() {
        table.missing("path", "name the socket of a program: socket = { path = \"records.sock\" }", errors);
    }
    table.finish(errors);
    Some(SourceKind::Socket(Socket { path: path? }))
}

fn generate(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> SourceKind {
    let read = Generate {
        count: table.count("count", errors),
        rate: table.count("rate", errors),
        payload_bytes: table.size("payload_bytes", errors),
        keys: table.count("keys", errors),
        seed: table.count("seed", errors),
        times: table.table("times", errors).map(|mut inner| {
            let times = GeneratedTimes {
                start: inner.string("start", errors),
                step: inner.duration("step", errors),
                disorder: inner.duration("disorder", errors),
            };
            inner.finish(errors);
            times
        }),
    };
    table.finish(errors);
    SourceKind::Generate(read)
}
