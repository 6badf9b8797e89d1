use std::collections::BTreeMap;
use std::sync::Arc;

use super::control::Control;
use super::edge_input::{Buffers, EdgeInput, Refusals};
use super::effective_limits::effective_limits;
use super::field_reader::FieldReader;
use super::on_error_policy::OnErrorPolicy;
use super::outlet::{Outlet, Route};
use super::outlets::Outlets;
use super::parts::Parts;
use super::preparation::Preparation;
use super::provenance::Provenance;
use super::stage_parts::{InstanceParts, StageParts};
use super::target::Destination;
use crate::connector::DeadLetterFile;
use sage_batch::BatchPool;
use sage_formats::key::KeyWriter;
use sage_plan::{Edge, Port, Stage, StageId, Work};

/// The edges of a run, and the parts from which the lanes at their ends are made.
pub(super) struct Edges<'a> {
    pub(super) parts: &'a Parts,
    pub(super) stages: &'a [StageParts],
    pub(super) dead_letters: &'a BTreeMap<StageId, Arc<DeadLetterFile>>,
    pub(super) provenance: &'a Arc<Provenance>,
    pub(super) control: &'a Arc<Control>,
    pub(super) pool: &'a Arc<BatchPool>,
    pub(super) run: &'a str,
}

impl Edges<'_> {
    /// The error policy of an instance. `None` if there is no such instance.
    pub(super) fn policy(&self, id: StageId, instance: u32) -> Option<OnErrorPolicy> {
        let stage = self.parts.plan.stage(id);
        let own = self.instances(id).get(instance as usize)?;
        Some(OnErrorPolicy {
            pipeline: self.parts.plan.name.as_str().into(),
            run: self.run.into(),
            stage: stage.name.as_str().into(),
            instance,
            on_error: stage.on_error.clone(),
            passes_files: stage.passes_files,
            dead_letters: self.dead_letters.get(&id).cloned(),
            counters: Arc::clone(&own.counters),
            errors: Arc::clone(&own.errors),
            provenance: Arc::clone(self.provenance),
            control: Arc::clone(self.control),
        })
    }

    /// All outputs of a component, for one of its lanes.
    pub(super) fn outlets(&self, id: StageId, instance: u32) -> Outlets {
        let ports = self.parts.components.get(&id).map_or(&[][..], |loaded| loaded.facts().ports.as_slice());
        let outlet = |port: &Port| self.outlet(self.parts.plan.stage(id), port, instance);
        let side = |(number, name): (u32, &String)| outlet(&Port::Side(number, name.clone()));
        Outlets {
            main: outlet(&Port::Main),
            rejects: outlet(&Port::Rejects),
            sides: (1u32..).zip(ports).map(side).collect(),
        }
    }

    /// An output of a stage, for one of its lanes.
    pub(super) fn outlet(&self, stage: &Stage, port: &Port, instance: u32) -> Outlet {
        let edges = stage.outputs.iter().map(|&id| (id, self.parts.plan.edge(id)));
        let routes = edges.filter(|(_, edge)| edge.port == *port).map(|(id, edge)| {
            let credit = self.parts.grant.stage(edge.to).edge_bytes;
            let destination = |to: &InstanceParts| {
                let credit = credit_of(credit, u32::try_from(to.inboxes.len()).unwrap_or(1));
                let consumer = &to.counters;
                to.inboxes
                    .iter()
                    .map(|inbox| Destination { inbox: Arc::clone(inbox), consumer: Arc::clone(consumer), credit })
                    .collect()
            };
            let destinations: Vec<Vec<Destination>> = self.instances(edge.to).iter().map(destination).collect();
            let inputs = &self.parts.plan.stage(edge.to).inputs;
            let number = inputs.iter().position(|&input| input == id).and_then(|at| u32::try_from(at).ok());
            let to = self.stages.get(edge.to.0);
            let (batch_time, room) = to.map(|to| (to.batch_time.clone(), to.room.clone())).unwrap_or_default();
            Route::new(edge.partition, &destinations, instance, number.unwrap_or_default())
                .with(self.preparation(edge))
                .with_shared(batch_time, room)
        });
        Outlet::new(routes.collect(), Arc::clone(self.pool))
    }

    /// The work on the records of an edge. `None` if they go on as they are.
    fn preparation(&self, edge: &Edge) -> Option<Box<dyn Preparation>> {
        if edge.fields.is_none() && edge.key.is_none() {
            return None;
        }
        let parts = self.parts;
        let (from, to) = (parts.plan.stage(edge.from), parts.plan.stage(edge.to));
        let parsed = parts.plan.schemas.stage(edge.from).and_then(|from| from.parses(&edge.port));
        // A built-in source reads the fields of its records itself.
        let parsed = parsed.filter(|_| matches!(from.work, Work::Component(..)));
        let key = edge.key.clone().map(|key| KeyWriter::new(key.fields, key.composite, key.null_key));
        Some(Box::new(EdgeInput {
            reader: parsed.map(|schema| FieldReader::new(schema, Arc::clone(schema.fields()))),
            key,
            chosen: edge.fields.clone(),
            picked: None,
            buffers: Buffers::default(),
            refusals: Refusals {
                // Every stage has an instance.
                policy: self.policy(edge.to, 0)?,
                outlets: Outlets { rejects: self.outlet(to, &Port::Rejects, 0), ..self.no_outlets() },
                record_limit: effective_limits(parts, to).record_bytes,
                pool: Arc::clone(self.pool),
            },
        }))
    }

    fn no_outlets(&self) -> Outlets {
        let none = || Outlet::new(Vec::new(), Arc::clone(self.pool));
        Outlets { main: none(), rejects: none(), sides: Vec::new() }
    }

    pub(super) fn instances(&self, id: StageId) -> &[InstanceParts] {
        self.stages.get(id.0).map_or(&[], |stage| stage.instances.as_slice())
    }
}

/// The bytes that may wait in one of `inboxes` inboxes.
pub(super) fn credit_of(edge_bytes: u64, inboxes: u32) -> usize {
    usize::try_from(edge_bytes / u64::from(inboxes.max(1))).unwrap_or(usize::MAX)
}
