use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sage_batch::fields::{DataType, FieldType, Schema};

use super::demand::{Demand, Takes, Wanted};
use super::errors::Errors;
use super::flow::Flow;
use super::graph::{Graph, OutputId};
use super::input::{flow_on, of_key, through};
use super::output::{Output, is_csv, output};
use super::written::{Writing, Written, written};
use super::{EdgeSchema, Projection, StageSchemas};
use crate::config::Diagnostics;
use crate::draft::Draft;
use crate::role::Role;
use crate::wiring::Wire;
use crate::{Port, Rest, SourceSchema, Work};

/// Fields of stages and edges, by the indices of the drafts and of the wires.
pub(crate) struct Resolved {
    pub(crate) stages: Vec<StageSchemas>,
    pub(crate) edges: Vec<EdgeSchema>,
}

/// Fields to parse from the text on outputs.
type Parses = BTreeMap<OutputId, Arc<SourceSchema>>;

/// Computes the fields of all edges, and reports fields that do not fit. `sorted` has the stages, upstream before
/// downstream.
pub(crate) fn resolve(drafts: &[Draft<'_>], wires: &[Wire], sorted: &[usize], errors: &mut Diagnostics) -> Resolved {
    let graph = Graph::new(drafts, wires, sorted);
    let named = flows(&graph, &Parses::new(), &BTreeMap::new());
    let written = written(&graph, &named, errors);
    let Read { parses, demands, wires: read } = read(&graph, &named, &written, errors);
    let flows = flows(&graph, &parses, &demands);
    let mut stages: Vec<StageSchemas> =
        drafts.iter().map(|draft| StageSchemas { shape: draft.shape.cloned(), ..StageSchemas::default() }).collect();
    for ((stage, port), schema) in parses {
        if let Some(stage) = stages.get_mut(stage) {
            stage.parses.push((port, schema));
        }
    }
    let edge = |(at, demand): (usize, Demand<'_>)| {
        let flow = flow_on(&graph, &flows, at).unwrap_or_else(Flow::text);
        let read = if demand.all { Projection::All } else { Projection::Fields(demand.names()) };
        EdgeSchema { fields: flow.fields, others: flow.open, read }
    };
    for (&stage, fields) in &written {
        if let Some(stage) = stages.get_mut(stage) {
            stage.writes = Some(fields.iter().map(|field| field.written.clone()).collect());
        }
    }
    Resolved { stages, edges: read.into_iter().enumerate().map(edge).collect() }
}

/// The fields on every output that is read. Before anything is parsed, text has no known fields, and a declared
/// schema has all of its fields.
fn flows(graph: &Graph<'_>, parses: &Parses, demands: &BTreeMap<OutputId, Demand<'_>>) -> BTreeMap<OutputId, Flow> {
    let mut ports: BTreeMap<usize, Vec<&Port>> = BTreeMap::new();
    for wire in graph.wires {
        let ports = ports.entry(wire.from).or_default();
        if !ports.contains(&&wire.port) {
            ports.push(&wire.port);
        }
    }
    let mut flows: BTreeMap<OutputId, Flow> = BTreeMap::new();
    for &stage in graph.sorted {
        let (Some(draft), Some(ports)) = (graph.drafts.get(stage), ports.get(&stage)) else { continue };
        let inputs: Vec<Flow> = graph.inputs(stage).filter_map(|(at, _)| flow_on(graph, &flows, at)).collect();
        let input = Flow::merged(&inputs);
        for &port in ports {
            let id = (stage, port.clone());
            let flow = match (output(draft, port), parses.get(&id)) {
                (Output::Declared(_), Some(parsed)) => Flow::closed(parsed.fields()),
                (Output::Declared(schema), None) => Flow::closed(schema.fields()),
                (Output::Given(gives, Rest::Drop), _) => Flow::closed(gives),
                (Output::Given(gives, Rest::Keep), _) => input.with(gives),
                (Output::Input, _) => input.clone(),
                (Output::Text(_), Some(parsed)) => {
                    let open = demands.get(&id).is_none_or(|demand| demand.all);
                    Flow { fields: Some(parsed.fields().clone()), open }
                }
                (Output::Text(_), None) | (Output::Unknown | Output::Lines(_), _) => Flow::text(),
            };
            flows.insert(id, flow);
        }
    }
    flows
}

/// The fields that are read, on outputs and on wires.
struct Read<'a> {
    parses: Parses,
    demands: BTreeMap<OutputId, Demand<'a>>,
    wires: Vec<Demand<'a>>,
}

fn read<'a>(
    graph: &Graph<'a>,
    named: &BTreeMap<OutputId, Flow>,
    written: &'a Written,
    list: &mut Diagnostics,
) -> Read<'a> {
    let mut read =
        Read { parses: Parses::new(), demands: BTreeMap::new(), wires: vec![Demand::default(); graph.wires.len()] };
    let mut errors = Errors::new(graph, list);
    for &stage in graph.sorted.iter().rev() {
        let Some(draft) = graph.drafts.get(stage) else { continue };
        let mut passed = Demand::default();
        let outputs = read.demands.range((stage, Port::Main)..).take_while(|((of, _), _)| *of == stage);
        for ((_, port), demand) in outputs {
            let mut point = Point { graph, named, stage, demand, errors: &mut errors };
            match output(draft, port) {
                Output::Unknown => {}
                Output::Lines(hint) => {
                    if let Some(wire) = demand.columns {
                        point.errors.no_fields(wire, stage, hint);
                    }
                }
                Output::Input => passed.add(demand, |_| false),
                Output::Given(gives, rest) => {
                    point.check(gives, rest == Rest::Drop);
                    match rest {
                        Rest::Keep => {
                            let given: HashSet<&str> = gives.fields().iter().map(|field| field.name.as_str()).collect();
                            passed.add(demand, |name| given.contains(name));
                            if demand.all {
                                passed.kept = graph.inputs(stage).map(|(at, _)| at).next();
                            }
                        }
                        Rest::Drop => {}
                    }
                }
                Output::Declared(schema) => {
                    point.check(schema.fields(), true);
                    let parsed = schema.project(|name| demand.reads(name));
                    read.parses.insert((stage, port.clone()), Arc::new(parsed));
                }
                Output::Text(names) => {
                    if let Some(wire) = demand.kept {
                        point.errors.unnamed(wire, stage);
                    }
                    if let Some(parsed) = point.parsed(names, is_csv(draft)) {
                        read.parses.insert((stage, port.clone()), Arc::new(parsed));
                    }
                }
            }
        }
        for (at, wire) in graph.inputs(stage) {
            let mut demand = asked(draft, at, written.get(&stage), &passed);
            let through = through(graph, named, at, &demand, &mut errors);
            read.demands.entry((wire.from, wire.port.clone())).or_default().add(&through, |_| false);
            if let Some(slot) = read.wires.get_mut(at) {
                let key = graph.input(at).and_then(|input| input.key.as_ref());
                key.into_iter().flat_map(|key| of_key(key, at)).for_each(|reader| demand.want_as(reader.name, reader));
                *slot = demand;
            }
        }
    }
    read
}

/// The fields that a stage reads on a wire, with those that it passes on to its readers.
fn asked<'a>(draft: &Draft<'a>, wire: usize, writes: Option<&'a Vec<Writing>>, passed: &Demand<'a>) -> Demand<'a> {
    let mut demand = Demand::default();
    match (draft.shape, &draft.work) {
        (Some(shape), Some(Work::Component(..))) => {
            demand.columns = Some(wire);
            shape.reads.fields().iter().for_each(|field| demand.want(field, wire));
        }
        _ if let Some(fields) = writes => {
            demand.columns = Some(wire);
            for Writing { written, span } in fields {
                let name = &written.field;
                demand.want_as(name, Wanted { name, takes: Takes::Any, wire, by_input: false, span: *span });
            }
        }
        _ => demand.all = draft.role != Role::Source,
    }
    demand.add(passed, |_| false);
    demand
}

/// An output at which fields are given or parsed, and the fields that are read from it.
struct Point<'p, 'a, 'e> {
    graph: &'p Graph<'a>,
    named: &'p BTreeMap<OutputId, Flow>,
    stage: usize,
    demand: &'p Demand<'a>,
    errors: &'p mut Errors<'a, 'e>,
}

impl Point<'_, '_, '_> {
    /// Compares each field that is read with the field that is given. A field that is not given is an error if
    /// the record has no others.
    fn check(&mut self, given: &Schema, closed: bool) {
        let fields = given.fields();
        let by_name: HashMap<&str, &FieldType> = fields.iter().map(|field| (field.name.as_str(), field)).collect();
        for (&name, readers) in &self.demand.fields {
            match by_name.get(name) {
                Some(field) => readers.iter().for_each(|reader| self.errors.compare(reader, field, self.stage)),
                None if closed => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                    self.missing(name, &names);
                }
                None => {}
            }
        }
    }

    /// The fields to parse from text: each with the narrowest type that a reader names, and nullable if every reader
    /// that names a type takes null. `None` if no stage reads columns.
    fn parsed(&mut self, names: Option<&[String]>, is_csv: bool) -> Option<SourceSchema> {
        self.demand.columns?;
        let mut fields = Vec::with_capacity(self.demand.fields.len());
        for (&name, readers) in &self.demand.fields {
            if let Some(names) = names
                && !names.iter().any(|known| known == name)
            {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.missing(name, &names);
                continue;
            }
            let typed = || readers.iter().filter_map(|reader| Some((reader, reader.field()?)));
            let Some(mut narrowest) = typed().next() else {
                fields.push(untyped(name, is_csv));
                continue;
            };
            for reader in typed() {
                if reader.1.data_type.widens_to(&narrowest.1.data_type) {
                    narrowest = reader;
                } else if !narrowest.1.data_type.widens_to(&reader.1.data_type) {
                    self.errors.disagree(narrowest, reader, self.stage);
                }
            }
            let nullable = typed().all(|(_, field)| field.nullable);
            let field = FieldType { name: name.to_owned(), nullable, ..narrowest.1.clone() };
            let keys = readers.iter().filter(|reader| matches!(reader.takes, Takes::Key));
            keys.for_each(|reader| self.errors.compare(reader, &field, self.stage));
            fields.push(field);
        }
        // The names come from a map, so no name occurs twice.
        Some(SourceSchema::same_names(Arc::new(Schema::new(fields).unwrap_or_default())))
    }

    /// Reports a field that is not given, with all fields that the reader could read where that is known.
    fn missing(&mut self, name: &str, here: &[&str]) {
        for reader in self.demand.fields.get(name).into_iter().flatten() {
            let wire = self.graph.wires.get(reader.wire).filter(|_| !reader.by_input);
            let direct = wire.and_then(|_| flow_on(self.graph, self.named, reader.wire));
            match (wire, direct) {
                (Some(wire), Some(flow)) if !flow.open => {
                    self.errors.missing(reader.name, reader, wire.from, &flow.names());
                }
                _ => self.errors.missing(name, reader, self.stage, here),
            }
        }
    }
}

/// A field of text whose type no reader names: a text in CSV, and any value or null in JSON.
fn untyped(name: &str, is_csv: bool) -> FieldType {
    let data_type = if is_csv { DataType::String } else { DataType::Json };
    FieldType { name: name.to_owned(), data_type, nullable: !is_csv, docs: String::new() }
}
