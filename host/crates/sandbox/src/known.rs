use std::sync::Arc;

use wasmtime::component::Component;

use super::elsewhere::Ports;
use sage_plan::Description;

/// SHA-256 of a component's bytes, by which components are told apart.
pub(super) type Digest = [u8; 32];

/// A compiled component, and its answer when it was asked for its side outputs.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) digest: Digest,
    pub(super) component: Component,
    /// `None` if the component has not been asked yet.
    pub(super) ports: Option<Ports>,
    /// The component's description of itself.
    pub(super) description: Option<Arc<Description>>,
}
