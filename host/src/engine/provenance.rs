use std::sync::Arc;

use crate::batch::Origin;
use crate::connector::Places;

/// The sources of a run by number, so that any record's origin can be told in its user's words.
#[derive(Debug, Default)]
pub(super) struct Provenance {
    sources: Vec<(String, Option<Arc<dyn Places>>)>,
}

/// Where a record came from, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provenience {
    pub(super) source: String,
    pub(super) offset: u64,
    pub(super) place: String,
}

impl Provenance {
    /// Adds a source and answers its number.
    pub(super) fn add(&mut self, name: &str, places: Option<Arc<dyn Places>>) -> u16 {
        self.sources.push((name.to_owned(), places));
        u16::try_from(self.sources.len() - 1).unwrap_or(u16::MAX)
    }

    /// The number that the next source gets.
    pub(super) fn next(&self) -> u16 {
        u16::try_from(self.sources.len()).unwrap_or(u16::MAX)
    }

    /// The source, the number and the place of a record; nothing for one that stands for no single input record.
    pub(super) fn of(&self, origin: Origin) -> Option<Provenience> {
        let (number, offset) = origin.parts()?;
        let (source, places) = self.sources.get(usize::from(number))?;
        let place = places.as_ref().map_or_else(|| format!("record {offset}"), |places| places.describe(offset));
        Some(Provenience { source: source.clone(), offset, place })
    }
}
