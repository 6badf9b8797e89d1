use serde::Serialize;
use wasmparser::{Parser, Payload};

use sage_plan::{Description, Kind};

/// What a component is, as `sage-host inspect` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Its size as a file.
    pub bytes: u64,
    /// What it is in a pipeline; `None` if it targets none of this contract's worlds.
    #[serde(serialize_with = "kind_name")]
    pub kind: Option<Kind>,
    /// The version of `sage:operator` it was built for.
    pub wit_version: Option<String>,
    /// Its side outputs, beside `rejects` which every operator has.
    pub ports: Vec<String>,
    /// What it says of itself; `None` if nothing.
    pub description: Option<Description>,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The linear memories of its modules.
    pub memories: Vec<MemoryDeclared>,
}

/// A linear memory that a module declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryDeclared {
    /// Bytes at the start.
    pub initial_bytes: u64,
    /// Bytes it may grow to by its own word.
    pub maximum_bytes: Option<u64>,
}

#[expect(clippy::ref_option, reason = "serde's serialize_with hands it over so")]
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
