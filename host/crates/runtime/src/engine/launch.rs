use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::effective_limits::effective_limits;
use super::error::RunError;
use super::lane_guest::LaneGuest;
use super::launcher::InstanceSetup;
use super::parts::Parts;
use super::rescale::{NotMoved, Rescale};
use super::saved_run::SavedRun;
use super::stage_parts::{InstanceParts, StageParts};
use sage_machine::MemoryBudget;
use sage_models::NoModels;
use sage_plan::{ComponentSpec, Limits, Plan, Stage, StageId, Work};
use sage_sandbox::{GuestSpec, LogTo, Stop, route_changes};

/// The guests of all instances, in the order of lanes, until the lanes take them.
#[derive(Default)]
pub(super) struct Guests(BTreeMap<(StageId, u32), VecDeque<Box<dyn LaneGuest>>>);

impl Guests {
    /// Gives the guests the keyed state of an earlier run, and makes them note its changes.
    ///
    /// # Errors
    /// The state cannot be read, or a guest has no room for it.
    pub(super) fn restore(&mut self, plan: &Plan, saved: &SavedRun) -> Result<(), RunError> {
        let ids: HashMap<&str, StageId> = plan.stages().map(|(id, stage)| (stage.name.as_str(), id)).collect();
        saved.states(|stage, instance, lane, state| {
            let Some(&id) = ids.get(stage) else { return Ok(()) };
            let lanes = self.0.get(&(id, 0)).map_or(0, VecDeque::len);
            let now = (plan.stage(id).parallelism, u32::try_from(lanes).unwrap_or(u32::MAX));
            let before = saved.shape(stage).unwrap_or(now);
            if before == now {
                return self.restore_lane(id, stage, (instance, lane), state);
            }
            let move_to = Rescale { before, now };
            let pieces = route_changes(state, move_to.places(), |key| move_to.place((instance, lane), key))
                .map_err(|error: NotMoved| error.of_stage(stage))?;
            for (place, piece) in (0u32..).zip(pieces).filter(|(_, piece)| !piece.is_empty()) {
                self.restore_lane(id, stage, (place / now.1, place % now.1), &piece)?;
            }
            Ok(())
        })?;
        self.0.values_mut().flatten().for_each(|guest| guest.note_changes());
        Ok(())
    }

    fn restore_lane(
        &mut self,
        id: StageId,
        stage: &str,
        (instance, lane): (u32, u32),
        state: &[u8],
    ) -> Result<(), RunError> {
        let lanes = self.0.get_mut(&(id, instance));
        let Some(guest) = lanes.and_then(|lanes| lanes.get_mut(lane as usize)) else { return Ok(()) };
        guest.restore(state).map_err(|error| RunError::Checkpoint {
            what: format!("the state of \"{stage}\" (instance {instance}) cannot be restored: {error}"),
            hint: Some("give it the memory that it had, or start anew: --from none".to_owned()),
        })
    }

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
        windows: component.windows,
    }
}
