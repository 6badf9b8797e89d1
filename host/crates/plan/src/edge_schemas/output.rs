use std::sync::Arc;

use sage_batch::fields::Schema;

use crate::draft::Draft;
use crate::written_schema::column_names;
use crate::{Format, Kind, Port, Rest, SourceSchema, SourceSpec, TextSpec, Work};

/// Records on an output of a stage, before it is known what is read from them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Output<'a> {
    /// Nothing is known, because the stage has an error, which was reported.
    Unknown,
    /// Text without fields.
    Lines(&'static str),
    /// Text, from which the host parses the fields that are read. With names, there are no other fields.
    Text(Option<&'a [String]>),
    /// Text, from which the host parses fields of this schema.
    Declared(&'a Arc<SourceSchema>),
    /// Records with the fields that the component gives on the output, and with the other fields of its input if it
    /// keeps the rest there.
    Given(&'a Arc<Schema>, Rest),
    /// Records of the input as they are.
    Input,
}

/// The records that a stage sends on `port`.
pub(super) fn output<'a>(draft: &'a Draft<'_>, port: &Port) -> Output<'a> {
    match &draft.work {
        None | Some(Work::Sink(_)) => Output::Unknown,
        Some(Work::Source(source)) => source_output(source),
        Some(Work::Component(_, kind)) => match (draft.shape, port, kind) {
            (None, _, _) => Output::Text(None),
            (Some(_), Port::Rejects, _)
            | (Some(_), Port::Main, Kind::Filter | Kind::KeyBy)
            | (Some(_), Port::Side(..), Kind::Window) => Output::Input,
            (Some(shape), _, _) => match shape.output(port) {
                Some((gives, _)) if *kind == Kind::Source => Output::Given(gives, Rest::Drop),
                Some((gives, rest)) => Output::Given(gives, rest),
                None => Output::Text(None),
            },
        },
    }
}

/// Whether the stage is a source of CSV, in which a field of no known type is a text.
pub(super) fn is_csv(draft: &Draft<'_>) -> bool {
    let text = match &draft.work {
        Some(Work::Source(SourceSpec::File(file))) => &file.text,
        Some(Work::Source(SourceSpec::Stdin(text))) => text,
        _ => return false,
    };
    text.format == Format::Csv
}

fn source_output(source: &SourceSpec) -> Output<'_> {
    match source {
        SourceSpec::File(file) => text_output(&file.text),
        SourceSpec::Stdin(text) => text_output(text),
        SourceSpec::WholeFiles(_) => Output::Lines("format = \"jsonl\" or \"csv\" has fields"),
        SourceSpec::Generate(_) => Output::Lines("a generated record is no JSON: read a file or standard input"),
        SourceSpec::Socket(socket) => match &socket.schema {
            Some(schema) => Output::Given(schema, Rest::Drop),
            None => Output::Text(None),
        },
        SourceSpec::Provided(_) => Output::Text(None),
    }
}

fn text_output(text: &TextSpec) -> Output<'_> {
    match (&text.schema, text.format) {
        (Some(schema), _) => Output::Declared(schema),
        (None, Format::Lines) => Output::Lines("format = \"jsonl\" or \"csv\" has fields"),
        (None, Format::JsonLines) => Output::Text(None),
        (None, Format::Csv) => Output::Text(column_names(&text.csv).map(|(_, names)| names)),
    }
}
