use std::collections::{BTreeMap, BTreeSet};

use super::flow::Flow;
use super::graph::{Graph, OutputId};
use super::input::flow_on;
use super::output::{Output, output};
use super::schemas::WrittenField;
use crate::SinkForm;
use crate::config::{Diagnostic, Diagnostics, Span};
use crate::wiring::Wire;

/// The fields that each sink writes, by the index of its draft. Sinks that write records as they are have no entry.
pub(super) type Written = BTreeMap<usize, Vec<Writing>>;

/// A field that a sink writes, as the pipeline file names it.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) written: WrittenField,
    /// Place in the pipeline file. `None` if the sink writes all fields.
    pub(super) span: Option<Span>,
}

/// The fields that sinks write, from the fields that schemas and descriptions name on each output.
pub(super) fn written(graph: &Graph<'_>, named: &BTreeMap<OutputId, Flow>, errors: &mut Diagnostics) -> Written {
    let mut written = Written::new();
    for &stage in graph.sorted {
        let draft = graph.drafts.get(stage);
        let Some(text) = draft.and_then(|draft| draft.work.as_ref()?.sink_text()).filter(|text| text.has_fields())
        else {
            continue;
        };
        let flows: Vec<Flow> = graph.inputs(stage).filter_map(|(at, _)| flow_on(graph, named, at)).collect();
        let flow = Flow::merged(&flows);
        let names = flow.names();
        let writing = |field: &str, name: &str, span| Writing {
            written: WrittenField { field: field.to_owned(), name: name.to_owned(), untyped: !names.contains(&field) },
            span,
        };
        let fields = match &text.fields {
            Some(fields) => {
                fields.list.iter().map(|item| writing(&item.value.field, &item.value.name, item.span)).collect()
            }
            None => match all_names(graph, stage, named) {
                Some(names) => names.iter().map(|name| writing(name, name, None)).collect(),
                None => {
                    if !graph.inputs(stage).any(|(_, wire)| is_unknown(graph, wire)) {
                        errors.push(no_names(graph, stage));
                    }
                    continue;
                }
            },
        };
        written.insert(stage, fields);
    }
    written
}

/// The names of all fields of the records that a sink gets, in the order of the first input. `None` if they are not
/// known, or differ.
fn all_names(graph: &Graph<'_>, stage: usize, named: &BTreeMap<OutputId, Flow>) -> Option<Vec<String>> {
    let mut inputs = graph.inputs(stage).map(|(at, _)| names_on(graph, named, at));
    let first = inputs.next()??;
    let set: BTreeSet<&String> = first.iter().collect();
    let same = inputs.all(|names| names.is_some_and(|names| names.iter().collect::<BTreeSet<_>>() == set));
    (same && !first.is_empty()).then_some(first)
}

fn names_on(graph: &Graph<'_>, named: &BTreeMap<OutputId, Flow>, at: usize) -> Option<Vec<String>> {
    if let Some(fields) = graph.input(at).and_then(|input| input.fields.as_ref()) {
        return Some(fields.list.iter().map(|item| item.value.name.clone()).collect());
    }
    let flow = flow_on(graph, named, at).filter(|flow| !flow.open)?;
    Some(flow.names().into_iter().map(str::to_owned).collect())
}

/// Whether nothing is known of the records on a wire, because the sender has an error, which was reported.
fn is_unknown(graph: &Graph<'_>, wire: &Wire) -> bool {
    let from = graph.drafts.get(wire.from);
    from.is_some_and(|from| matches!(output(from, &wire.port), Output::Unknown))
}

fn no_names(graph: &Graph<'_>, stage: usize) -> Diagnostic {
    let text = graph.drafts.get(stage).and_then(|draft| draft.work.as_ref()?.sink_text());
    let columns = text.is_some_and(|text| text.form == SinkForm::Columns);
    let what = if columns { "gives columns" } else { "writes CSV" };
    let message = format!("{} {what}, but nothing names the fields of its records", graph.place(stage));
    let hint = "name the columns: fields = [\"…\"]; or name the fields with a schema at the source, or with an operator \
                by field";
    let inputs = graph.inputs(stage).map(|(at, _)| graph.input_span(at));
    inputs.fold(Diagnostic::new(message), Diagnostic::at).hint(hint)
}
