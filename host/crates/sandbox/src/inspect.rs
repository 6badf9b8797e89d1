use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use super::imports::ImportAccess;
use sage_plan::{Description, Kind};

/// The facts about a component that `sage-host inspect` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Size of the component's file in bytes.
    pub bytes: u64,
    /// The component's kind in a pipeline; `None` if it targets none of this contract's worlds.
    #[serde(serialize_with = "kind_name")]
    pub kind: Option<Kind>,
    /// Whether records come by field.
    pub by_field: bool,
    /// The version of `sage:operator` for which the component was built.
    pub wit_version: Option<String>,
    /// Names of the side outputs, without `rejects`, which every operator has.
    pub ports: Vec<String>,
    /// The component's description of itself; `None` if it has none.
    pub description: Option<Description>,
    /// Names of the imported interfaces.
    pub imports: Vec<String>,
    /// What the component gets for each import.
    pub access: BTreeMap<String, ImportAccess>,
    /// Names of the exports.
    pub exports: Vec<String>,
    /// The linear memories of its modules.
    pub memories: Vec<MemoryDeclared>,
}

/// A linear memory that a module declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDeclared {
    /// Initial size in bytes.
    pub initial_bytes: u64,
    /// Maximum size in bytes that the module declares.
    pub maximum_bytes: Option<u64>,
}

#[expect(clippy::ref_option, reason = "serde's serialize_with requires this type")]
fn kind_name<S: serde::Serializer>(kind: &Option<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    kind.map(Kind::name).serialize(serializer)
}

/// The linear memories that the modules in a component declare.
pub(super) fn declared_memories(bytes: &[u8]) -> Vec<MemoryDeclared> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        if let Payload::MemorySection(section) = payload {
            for memory in section.into_iter().map_while(Result::ok) {
                let page = 1u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(0);
                found.push(MemoryDeclared {
                    initial_bytes: memory.initial.saturating_mul(page),
                    maximum_bytes: memory.maximum.map(|pages| pages.saturating_mul(page)),
                });
            }
        }
    }
    found
}
