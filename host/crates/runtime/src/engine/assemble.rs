use std::collections::BTreeMap;
use std::sync::Arc;

use super::component_source_lane::ComponentSourceLane;
use super::control::{Control, Ways};
use super::counted_sink::CountedSink;
use super::edges::{Edges, credit_of};
use super::effective_limits::effective_limits;
use super::epochs::{Epochs, LaneName};
use super::error::RunError;
use super::field_lines::FieldLines;
use super::field_output::FieldOutput;
use super::field_reader::FieldReader;
use super::field_text::FieldText;
use super::guest_supervisor::GuestSupervisor;
use super::inlet::{Form, Inlet, Tally};
use super::join_lanes::join_lanes;
use super::kept_fields::KeptFields;
use super::lane::{Lane, Task};
use super::lane_time::LaneTime;
use super::launch::launch_instances;
use super::open_connectors::{open_dead_letters, open_sinks, open_sources};
use super::operator_lane::OperatorLane;
use super::parts::Parts;
use super::placement::Placement;
use super::printed_outputs::PrintedOutputs;
use super::provenance::Provenance;
use super::recovery::Recovery;
use super::saved_run::{Given, GuestPosition};
use super::sink_lane::{SinkLane, SinkText};
use super::source_clock::SourceClock;
use super::source_lane::{SharedSource, SourceLane, SourceStart};
use super::stage_parts::{InstanceParts, StageParts};
use super::window_time::WindowTime;
use crate::connector::{Committer, DeadLetterFile};
use sage_batch::fields::Schema;
use sage_batch::{BatchPool, Inbox, SharedRoom};
use sage_machine::MemoryBudget;
use sage_observe::Latency;
use sage_plan::{Edge, EdgeId, Kind, Port, Projection, Rest, SourceSchema, Stage, StageId, Work};

/// An assembled run that is not started yet.
pub(super) struct Assembly {
    pub(super) lanes: Vec<Lane>,
    /// Number of lanes before some were joined into chains.
    pub(super) live: usize,
    pub(super) stages: Vec<StageParts>,
    pub(super) sources: Vec<(StageId, SharedSource)>,
    /// Dead-letter files, by stage. Stages may share one.
    pub(super) dead_letters: Vec<(String, Arc<DeadLetterFile>)>,
    /// What shows the outputs of a whole epoch, by stage.
    pub(super) committers: Vec<(String, Arc<dyn Committer>)>,
}

/// Maximum number of waiting batches, in addition to the limit in bytes. Batches of a few records are merged
/// before they are sent, so this limit is reached only at low rates.
const BATCH_CREDIT: usize = 64;
/// The credits in bytes of this many instances are the bound for what waits behind the first batches of all of a
/// stage's instances. A thousand instances with 4 MiB each would hold 4 GiB otherwise. One that stands still holds one
/// credit, and leaves the rest to the others.
const SHARED_CREDITS: u32 = 4;

/// Opens all sources, sinks and dead-letter files, and connects every lane to its receivers. Nothing runs yet.
///
/// # Errors
/// A source, sink or dead-letter file that cannot be opened.
pub(super) fn assemble(
    parts: &mut Parts,
    control: &Arc<Control>,
    run: &str,
    epochs: Option<&Arc<Epochs>>,
) -> Result<Assembly, RunError> {
    let mut stages: Vec<StageParts> = parts.plan.stages().map(|(id, stage)| stage_parts(parts, id, stage)).collect();
    let mut provenance = Provenance::default();
    let sources = open_sources(parts, &mut provenance)?;
    let mut sinks = open_sinks(parts)?;
    let mut committers = Vec::new();
    for (id, sink) in &sinks {
        committers.extend(sink.committer().map(|committer| (parts.plan.stage(*id).name.clone(), committer)));
    }
    let dead_letters = open_dead_letters(parts)?;
    let numbers = component_source_numbers(parts, &mut provenance);
    let provenance = Arc::new(provenance);
    let mut guests = launch_instances(parts, &mut stages, control.stop())?;
    if let Some(saved) = &parts.saved {
        guests.restore(&parts.plan, saved)?;
    }
    let pool = Arc::new(BatchPool::new(512));
    let edges = Edges {
        parts,
        stages: &stages,
        dead_letters: &dead_letters,
        provenance: &provenance,
        control,
        pool: &pool,
        run,
    };
    let joins = |id: StageId, instance, lane| {
        let stage = parts.plan.stage(id).name.as_str().into();
        epochs.map(|epochs| epochs.join(LaneName { stage, instance, lane }))
    };
    let had_ended = |id: StageId, instance, lane| {
        parts.saved.as_ref().is_some_and(|saved| saved.has_ended(&parts.plan.stage(id).name, instance, lane))
    };
    let saved_watermark =
        |id: StageId, instance, lane| parts.saved.as_ref()?.watermark(&parts.plan.stage(id).name, instance, lane);
    let mut lanes = Vec::new();
    for (id, stage) in parts.plan.stages() {
        let granted = parts.grant.stage(id);
        let limits = &stage.limits;
        for (instance, own) in (0u32..).zip(edges.instances(id)) {
            let mut producers = None;
            for lane in 0..granted.lanes {
                let Some(policy) = edges.policy(id, instance) else { continue };
                let inbox = own.inboxes.get(lane as usize).or(own.inboxes.first()).cloned();
                let shown = own.event_times.get(lane as usize).or(own.event_times.first()).cloned().unwrap_or_default();
                let saved = saved_watermark(id, instance, lane);
                if let (Some(inbox), Some(time)) = (&inbox, saved) {
                    inbox.restore(time);
                }
                let clock = |shown| {
                    let (name, counters) = (stage.name.as_str().into(), Arc::clone(&own.counters));
                    stage.watermark.as_ref().map(|spec| Box::new(SourceClock::new(spec, saved, name, counters, shown)))
                };
                let placement = placement(parts, id, instance, lane);
                let supervisor =
                    guests.next(id, instance).map(|guest| GuestSupervisor::new(guest, limits.restarts_in_a_row));
                let pool = Arc::clone(&pool);
                let has_ended = had_ended(id, instance, lane);
                let (from, position) = match &stage.work {
                    Work::Source(_) => (source_start(parts, &stage.name, has_ended)?, None),
                    Work::Component(_, Kind::Source) => (None, saved_position(parts, &stage.name, instance)?),
                    _ => (None, None),
                };
                let task = match (&stage.work, inbox) {
                    (Work::Source(_), _) => sources.get(&id).cloned().map(|source| {
                        let fields = fields_of_source(parts, id);
                        let outlet = edges.outlet(stage, &Port::Main, instance);
                        let epochs = joins(id, instance, lane);
                        Task::Source(SourceLane {
                            source,
                            outlet,
                            policy,
                            fields,
                            epochs,
                            clock: clock(shown),
                            given: Given::default(),
                            from,
                        })
                    }),
                    (Work::Component(_, Kind::Source), _) => supervisor.map(|supervisor| {
                        let number = numbers.get(&(id, instance)).copied().unwrap_or(u16::MAX);
                        let outlets = edges.outlets(id, instance);
                        let retries = stage.retries;
                        Task::ComponentSource(Box::new(ComponentSourceLane {
                            supervisor,
                            retries,
                            outlets,
                            policy,
                            pool,
                            printed: printed_outputs(parts, id, Kind::Source),
                            number,
                            instances: stage.parallelism,
                            epochs: joins(id, instance, lane),
                            clock: clock(shown),
                            from: position,
                            has_ended,
                        }))
                    }),
                    (Work::Component(component, kind), Some(inbox)) => supervisor.map(|mut supervisor| {
                        let tally = Tally {
                            counters: Arc::clone(&own.counters),
                            control: Arc::clone(control),
                            latency: latency_of(&stages, id),
                        };
                        let form = form_of_input(parts, id, stage);
                        let batch_time = stages.get(id.0).and_then(|stage| stage.batch_time.clone());
                        let inlet = Inlet::new(inbox, tally, supervisor.guest(), form, Arc::clone(&pool), batch_time);
                        let mut outlets = edges.outlets(id, instance);
                        if own.sequencer.is_some() {
                            // The lanes send in one order, so that they are one producer.
                            match &producers {
                                None => producers = Some(outlets.producers()),
                                Some(first) => outlets.join_as(first),
                            }
                        }
                        Task::Operator(Box::new(OperatorLane {
                            supervisor,
                            kind: *kind,
                            retries: stage.retries,
                            flush_interval: limits.flush_interval,
                            record_limit: effective_limits(parts, stage).record_bytes,
                            inlet,
                            sequencer: own.sequencer.clone(),
                            outlets,
                            policy,
                            pool,
                            recovery: Recovery::default(),
                            field_output: field_output(parts, id, *kind),
                            kept_fields: kept_fields(parts, id, *kind),
                            printed_outputs: printed_outputs(parts, id, *kind),
                            warned: Vec::new(),
                            epochs: joins(id, instance, lane),
                            time: LaneTime::new(saved, shown),
                            has_ended,
                            windows: component.windows.map(WindowTime::new),
                            moving: None,
                            has_closed: false,
                        }))
                    }),
                    (Work::Sink(_), Some(inbox)) => sinks.remove(&id).map(|sink| {
                        let latency = latency_of(&stages, id).unwrap_or_default();
                        let sink = CountedSink::new(sink, Arc::clone(&own.counters), control, &stage.name);
                        let form = text_of_sink(parts, id, stage);
                        let epochs = joins(id, instance, lane);
                        let time = LaneTime::new(saved, shown);
                        Task::Sink(SinkLane { sink, inbox, policy, pool, latency, form, time, epochs })
                    }),
                    _ => None,
                };
                let name = format!("{}-{instance}.{lane}", stage.name);
                let Some(task) = task else {
                    return Err(RunError::Internal(format!("stage \"{}\" has nothing to run", stage.name)));
                };
                lanes.push(Lane { name, stage: id, placement, task });
            }
        }
    }
    let instances = Some(Arc::downgrade(&parts.instances));
    let devices = parts.models.queues().map(Arc::downgrade).collect();
    control.set_ways(Ways { instances, devices, ..ways(&stages) });
    let sources = sources.into_iter().collect();
    let live = lanes.len();
    let lanes = join_lanes(lanes, control);
    let letters = dead_letters.iter().map(|(id, file)| (parts.plan.stage(*id).name.clone(), Arc::clone(file)));
    Ok(Assembly { lanes, live, stages, sources, dead_letters: letters.collect(), committers })
}

/// Where a built-in source begins; `None` at the beginning of its input.
fn source_start(parts: &Parts, stage: &str, has_ended: bool) -> Result<Option<SourceStart>, RunError> {
    let Some(saved) = &parts.saved else { return Ok(None) };
    let given = saved.position::<Given>(stage, 0)?;
    Ok(given.map(|given| if has_ended { SourceStart::Ended(given) } else { SourceStart::Behind(given) }))
}

/// Where an instance of a component's source begins; `None` at its beginning.
fn saved_position(parts: &Parts, stage: &str, instance: u32) -> Result<Option<GuestPosition>, RunError> {
    parts.saved.as_ref().map_or(Ok(None), |saved| saved.position(stage, instance))
}

/// The reader of the fields that the host parses from a source's records.
fn fields_of_source(parts: &Parts, id: StageId) -> Option<FieldReader> {
    let schema = parts.plan.schemas.stage(id)?.parses(&Port::Main)?;
    Some(FieldReader::new(schema, Arc::clone(schema.fields())))
}

/// The text of the records that a built-in sink writes.
fn text_of_sink(parts: &Parts, id: StageId, stage: &Stage) -> SinkText {
    let writes = parts.plan.schemas.stage(id).and_then(|schemas| schemas.writes.clone());
    let (Some(fields), Some(text)) = (writes, stage.work.sink_text()) else {
        return SinkText::Whole(FieldText::default());
    };
    let written = |name: &str| fields.iter().any(|field| field.field == name);
    let reader = |edge: &EdgeId| {
        let named = || parts.plan.schemas.edge(*edge).and_then(|edge| edge.fields.clone()).unwrap_or_default();
        let own = || Arc::new(SourceSchema::same_names(named()));
        let schema = parsed_on(parts, *edge).cloned().unwrap_or_else(own).project(written);
        FieldReader::new(&schema, Arc::clone(schema.fields()))
    };
    let readers = stage.inputs.iter().map(reader).collect();
    SinkText::Fields(Box::new(FieldLines::new(fields, text.form, readers)))
}

/// The form in which a component takes its records.
fn form_of_input(parts: &Parts, id: StageId, stage: &Stage) -> Form {
    let schemas = &parts.plan.schemas;
    let Some(shape) = schemas.stage(id).and_then(|stage| stage.shape.as_ref()) else {
        return Form::Bytes(schemas.has_columns().then(FieldText::default));
    };
    let reader = |edge: &EdgeId| {
        let own = || Arc::new(SourceSchema::same_names(Arc::clone(&shape.reads)));
        let schema = parsed_on(parts, *edge).cloned().unwrap_or_else(own);
        FieldReader::new(&schema, Arc::clone(&shape.reads))
    };
    Form::Fields(stage.inputs.iter().map(reader).collect())
}

/// The fields that the receiver of an edge parses from text. `None` where records come by field: a built-in source
/// reads the fields of its records itself, and behind an input that chooses fields, records have the names that it
/// gives.
fn parsed_on(parts: &Parts, edge: EdgeId) -> Option<&Arc<SourceSchema>> {
    let edge = parts.plan.edge(edge);
    let is_text = edge.fields.is_none() && matches!(parts.plan.stage(edge.from).work, Work::Component(..));
    parts.plan.schemas.stage(edge.from).filter(|_| is_text)?.parses(&edge.port)
}

/// The fields of what a component sends, if it answers by field.
fn field_output(parts: &Parts, id: StageId, kind: Kind) -> Option<FieldOutput> {
    let shape = parts.plan.schemas.stage(id)?.shape.as_ref()?;
    let answers = matches!(kind, Kind::Map | Kind::FlatMap);
    let (reads, gives) = (Arc::clone(&shape.reads), Arc::clone(&shape.gives));
    let edges = parts.plan.edges.iter().zip(&parts.plan.schemas.edges);
    // Behind an input that chooses fields, the reader prints, because not every field is printed.
    let printed = edges.filter(|(edge, _)| edge.from == id && edge.port == Port::Main && edge.fields.is_none());
    let is_printed = printed.map(|(_, schema)| &schema.read).any(|read| *read == Projection::All);
    answers.then(|| FieldOutput::new(reads, gives, shape.rest == Rest::Keep, is_printed))
}

/// The outputs of a process by field that keep fields of their input.
fn kept_fields(parts: &Parts, id: StageId, kind: Kind) -> Option<KeptFields> {
    let shape = parts.plan.schemas.stage(id)?.shape.as_ref().filter(|_| kind == Kind::Process)?;
    let output = |(gives, rest): (&Arc<Schema>, Rest)| {
        let output = || FieldOutput::new(Arc::clone(&shape.reads), Arc::clone(gives), true, false);
        (rest == Rest::Keep).then(output)
    };
    KeptFields::new(shape.outputs().map(output).collect())
}

/// The outputs of a process or source by field that a stage downstream reads as text.
fn printed_outputs(parts: &Parts, id: StageId, kind: Kind) -> PrintedOutputs {
    let shape = parts.plan.schemas.stage(id).and_then(|stage| stage.shape.as_ref());
    let Some(shape) = shape.filter(|_| matches!(kind, Kind::Process | Kind::Window | Kind::Source)) else {
        return PrintedOutputs::default();
    };
    let is_ours = |edge: &Edge| edge.from == id && edge.fields.is_none();
    let edges = || parts.plan.edges.iter().zip(&parts.plan.schemas.edges).filter(|(edge, _)| is_ours(edge));
    let is_port = |port: &Port, number: usize| match port {
        Port::Main => number == 0,
        Port::Side(side, _) => *side as usize == number,
        Port::Rejects => false,
    };
    let printed = |number| edges().any(|(edge, schema)| is_port(&edge.port, number) && schema.read == Projection::All);
    PrintedOutputs::new((0..shape.outputs().count()).map(printed).collect())
}

fn latency_of(stages: &[StageParts], id: StageId) -> Option<Arc<Latency>> {
    stages.get(id.0).and_then(|stage| stage.latency.clone())
}

fn stage_parts(parts: &Parts, id: StageId, stage: &Stage) -> StageParts {
    let granted = parts.grant.stage(id);
    let by_lane = matches!(stage.kind(), Some(Kind::Process | Kind::Window)) && granted.lanes > 1;
    let inboxes = match (stage.inputs.is_empty(), by_lane) {
        (true, _) => 0,
        (false, true) => granted.lanes,
        (false, false) => 1,
    };
    let credit = credit_of(granted.edge_bytes, inboxes);
    let room = (stage.parallelism > SHARED_CREDITS)
        .then(|| Arc::new(SharedRoom::new(credit_of(granted.edge_bytes, 1).saturating_mul(SHARED_CREDITS as usize))));
    let inbox = || match &room {
        Some(room) => Inbox::new(credit, BATCH_CREDIT).sharing(Arc::clone(room)),
        None => Inbox::new(credit, BATCH_CREDIT),
    };
    let instance = |instance| InstanceParts {
        counters: Arc::default(),
        errors: Arc::default(),
        metrics: Arc::default(),
        kernel: None,
        inference: parts.models.counters(id, instance),
        budget: granted.memory_cap.map(|cap| Arc::new(MemoryBudget::new(cap))),
        event_times: (0..inboxes.max(1)).map(|_| Arc::default()).collect(),
        inboxes: (0..inboxes).map(|_| Arc::new(inbox())).collect(),
        sequencer: (granted.lanes > 1 && !by_lane).then(Arc::default),
    };
    StageParts {
        instances: (0..stage.parallelism).map(instance).collect(),
        latency: stage.outputs.is_empty().then(Arc::default),
        batch_time: (stage.parallelism > 1).then(Arc::default),
        room: room.clone(),
    }
}

fn placement(parts: &Parts, id: StageId, instance: u32, lane: u32) -> Placement {
    match parts.leases.lane(id, instance, lane) {
        Some(lease) if parts.instances.in_lane_threads() => Placement::Leased {
            cpu: lease.cpus(),
            threads: parts.leased.clone(),
            operator: parts.plan.stage(id).name.clone(),
            instance,
        },
        _ => Placement::Shared(parts.shared.clone()),
    }
}

fn component_source_numbers(parts: &Parts, provenance: &mut Provenance) -> BTreeMap<(StageId, u32), u16> {
    let mut numbers = BTreeMap::new();
    for (id, stage) in parts.plan.stages() {
        if stage.kind() == Some(Kind::Source) {
            for instance in 0..stage.parallelism {
                numbers.insert((id, instance), provenance.add_instance(&stage.name, instance, stage.parallelism));
            }
        }
    }
    numbers
}

fn ways(stages: &[StageParts]) -> Ways {
    let mut ways = Ways::default();
    for instance in stages.iter().flat_map(|stage| &stage.instances) {
        for inbox in &instance.inboxes {
            ways.inboxes.push((Arc::clone(inbox), Arc::clone(&instance.counters)));
        }
        ways.sequencers.extend(instance.sequencer.clone());
    }
    ways
}
