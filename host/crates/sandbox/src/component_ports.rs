use std::sync::Arc;

use super::answer::Call;
use super::carried::Carried;
use super::failure::Failure;
use super::guest::{Guest, GuestSpec};
use super::guest_log::LogTo;
use super::keyed_state::KeyedState;
use super::loaded::Loaded;
use super::stop::Stop;
use sage_machine::MemoryBudget;
use sage_models::NoModels;
use sage_plan::{Capabilities, Limits};

/// Asks a component for the names of its side outputs, if its kind has any.
pub(super) fn component_ports(loaded: &Arc<Loaded>) -> Result<Vec<String>, Failure> {
    let Some(ports) = loaded.exports().ports else { return Ok(Vec::new()) };
    let spec = GuestSpec {
        operator: loaded.path().display().to_string().into(),
        instance: 0,
        parallelism: 1,
        lane: 0,
        lanes: 1,
        config: "{}".into(),
        limits: Limits::default(),
        capabilities: Capabilities::default(),
        budget: Arc::new(MemoryBudget::new(Limits::DEFAULT_MEMORY)),
        models: Arc::new(NoModels),
        metrics: Arc::default(),
        log: LogTo::Here,
        stop: Stop::default(),
        edges: Arc::default(),
        windows: None,
    };
    let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
    let mut guest = Guest::instantiate(loaded, &spec, carried).map_err(|(failure, _)| failure)?;
    guest.call_export::<_, (Vec<String>,)>(&ports, Call::Mute("ports"), ()).map(|(ports,)| ports)
}
