use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::effective_limits::effective_limits;
use super::error::RunError;
use super::lane_guest::LaneGuest;
use super::launcher::InstanceSetup;
use super::parts::Parts;
use super::stage_parts::{InstanceParts, StageParts};
use sage_machine::MemoryBudget;
use sage_models::NoModels;
use sage_plan::{ComponentSpec, Limits, Stage, StageId, Work};
use sage_sandbox::{GuestSpec, LogTo, Stop};

/// The guests of all instances, in the order of lanes, until the lanes take them.
#[derive(Default)]
pub(super) struct Guests(BTreeMap<(StageId, u32), VecDeque<Box<dyn LaneGuest>>>);

impl Guests {
    /// The guest of an instance's next lane.
    pub(super) fn next(&mut self, stage: StageId, instance: u32) -> Option<Box<dyn LaneGuest>> {
        self.0.get_mut(&(stage, instance))?.pop_front()
    }
}

/// Launches every instance of a component.
///
/// # Errors
/// An instance that cannot be launched.
pub(super) fn launch_instances(parts: &Parts, stages: &mut [StageParts], stop: &Stop) -> Result<Guests, RunError> {
    let mut guests = Guests::default();
    for ((id, stage), watched) in parts.plan.stages().zip(stages) {
        let (Work::Component(component, _), Some(loaded)) = (&stage.work, parts.components.get(&id)) else { continue };
        let grant = parts.grant.stage(id);
        let limits = effective_limits(parts, stage);
        for (instance, own) in (0u32..).zip(&mut watched.instances) {
            let cpu = |lane| parts.leases.lane(id, instance, lane).map(|lease| lease.cpus());
            let models = parts.models.access(id, instance);
            let edges = stage.inputs.iter().map(|&edge| parts.plan.edge(edge).name.clone()).collect();
            let spec = GuestSpec { edges, ..guest_spec(stage, component, own, instance, grant.lanes, &limits, stop) };
            let home = parts.instances.instance(InstanceSetup {
                loaded,
                spec: GuestSpec { models: models.clone().unwrap_or_else(|| Arc::new(NoModels)), ..spec },
                models,
                lanes: (0..grant.lanes).map(cpu).collect(),
                grant,
                shared: &parts.shared,
                leased: &parts.leased,
            })?;
            own.kernel = home.kernel;
            guests.0.insert((id, instance), home.guests.into());
        }
    }
    Ok(guests)
}

fn guest_spec(
    stage: &Stage,
    component: &ComponentSpec,
    own: &InstanceParts,
    instance: u32,
    lanes: u32,
    limits: &Limits,
    stop: &Stop,
) -> GuestSpec {
    GuestSpec {
        operator: stage.name.as_str().into(),
        instance,
        parallelism: stage.parallelism,
        lane: 0,
        lanes,
        config: component.config.to_string().into(),
        limits: limits.clone(),
        capabilities: component.capabilities.clone(),
        budget: own.budget.clone().unwrap_or_else(|| Arc::new(MemoryBudget::new(Limits::DEFAULT_MEMORY))),
        models: Arc::new(NoModels),
        metrics: Arc::clone(&own.metrics),
        log: LogTo::Here,
        stop: stop.clone(),
        edges: Arc::default(),
    }
}
