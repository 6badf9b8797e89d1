use serde::{Deserialize, Serialize};

use super::inspect::{MemoryDeclared, declared_memories};
use super::instance_bytes::instance_bytes;

/// The sizes of a component, read from its binary: of the binary itself and of the memory that a copy needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Footprint {
    /// Bytes of the binary.
    pub(super) binary: u64,
    /// Bytes that the runtime allocates for a copy, as [`instance_bytes`] counts them.
    pub(super) instance: u64,
    /// The linear memories of the modules.
    pub(super) memories: Vec<MemoryDeclared>,
}

impl Footprint {
    pub(super) fn of(component: &[u8]) -> Self {
        Self {
            binary: component.len() as u64,
            instance: instance_bytes(component),
            memories: declared_memories(component),
        }
    }
}
