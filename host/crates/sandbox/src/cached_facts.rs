use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::elsewhere::Ports;
use super::footprint::Footprint;
use super::known::KnownFacts;
use sage_plan::Description;

/// The facts about a component, as JSON in the cache.
#[derive(Serialize, Deserialize)]
struct CachedFacts<'f> {
    ports: Asked<'f>,
    description: Option<Cow<'f, Description>>,
    footprint: Cow<'f, Footprint>,
}

/// The answer about side outputs. A failure is never cached, because it may be temporary.
#[derive(Serialize, Deserialize)]
enum Asked<'f> {
    NotYet,
    Unknown,
    Told(Cow<'f, [String]>),
}

/// The facts as text for the cache.
pub(super) fn write_facts(facts: &KnownFacts) -> serde_json::Result<Vec<u8>> {
    let ports = match &facts.ports {
        None | Some(Ports::Failed(_)) => Asked::NotYet,
        Some(Ports::NotAsked) => Asked::Unknown,
        Some(Ports::Told(ports)) => Asked::Told(ports.into()),
    };
    let description = facts.description.as_deref().map(Cow::Borrowed);
    serde_json::to_vec(&CachedFacts { ports, description, footprint: Cow::Borrowed(&facts.footprint) })
}

/// The facts in a text of [`write_facts`].
pub(super) fn read_facts(text: &[u8]) -> serde_json::Result<KnownFacts> {
    let CachedFacts { ports, description, footprint } = serde_json::from_slice(text)?;
    let ports = match ports {
        Asked::NotYet => None,
        Asked::Unknown => Some(Ports::NotAsked),
        Asked::Told(ports) => Some(Ports::Told(ports.into_owned())),
    };
    let description = description.map(|description| Arc::new(description.into_owned()));
    Ok(KnownFacts { ports, description, footprint: footprint.into_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::failure::{Failure, FailureCode};
    use super::super::inspect::MemoryDeclared;
    use super::*;

    #[test]
    fn facts_are_read_as_they_were_written_and_a_failure_counts_as_not_asked() {
        let footprint = Footprint {
            binary: 72_748,
            instance: u64::MAX,
            memories: vec![MemoryDeclared { initial_bytes: 1 << 20, maximum_bytes: None }],
        };
        let description = Description { docs: "\"a\"\n".to_owned(), ..Description::default() };
        let failed = Ports::Failed(Failure::new(FailureCode::Trap, "no"));
        let told = Ports::Told(vec!["late".to_owned()]);
        for (ports, read) in [
            (None, None),
            (Some(failed), None),
            (Some(Ports::NotAsked), Some(Ports::NotAsked)),
            (Some(told.clone()), Some(told)),
        ] {
            let facts =
                KnownFacts { ports, description: Some(Arc::new(description.clone())), footprint: footprint.clone() };
            let expected = KnownFacts { ports: read, ..facts.clone() };
            assert_eq!(read_facts(&write_facts(&facts).unwrap()).unwrap(), expected);
        }
    }
}
