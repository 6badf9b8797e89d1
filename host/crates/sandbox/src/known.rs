use std::sync::Arc;

use wasmtime::component::Component;

use super::elsewhere::Ports;
use super::footprint::Footprint;
use sage_plan::Description;

/// SHA-256 of a component's bytes, by which components are told apart.
pub(super) type Digest = [u8; 32];

/// A compiled component, and the facts that are cached beside its code.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) digest: Digest,
    pub(super) component: Component,
    pub(super) facts: Arc<KnownFacts>,
}

/// The facts about a component that cost more to find than to read from the cache.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KnownFacts {
    /// The component's answer when it was asked for its side outputs. `None` if it has not been asked yet.
    pub(super) ports: Option<Ports>,
    /// The component's description of itself.
    pub(super) description: Option<Arc<Description>>,
    /// The memory that a copy of the component needs.
    pub(super) footprint: Footprint,
}
