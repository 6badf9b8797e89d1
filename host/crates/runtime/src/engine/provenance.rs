use std::fmt;
use std::sync::Arc;

use crate::connector::Places;
use sage_batch::Origin;

/// The sources of a run by number, so that the origin of every record can be reported in the user's terms.
///
/// A built-in source has one number; a component source has one number for each instance. The numbers are
/// internal to the run. Reports show the source's name from the pipeline file, the instance, and the record's
/// offset, which together identify one record.
#[derive(Debug, Default)]
pub(super) struct Provenance {
    sources: Vec<NumberedSource>,
}

#[derive(Debug)]
struct NumberedSource {
    name: String,
    instance: u32,
    instances: u32,
    places: Option<Arc<dyn Places>>,
}

/// The origin of a record in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provenience {
    pub(super) source: String,
    pub(super) instance: u32,
    pub(super) instances: u32,
    pub(super) offset: u64,
    pub(super) place: String,
}

impl Provenance {
    /// Adds a built-in source and returns its number.
    pub(super) fn add(&mut self, name: &str, places: Option<Arc<dyn Places>>) -> u16 {
        self.push(NumberedSource { name: name.to_owned(), instance: 0, instances: 1, places })
    }

    /// Adds an instance of a component source and returns its number.
    pub(super) fn add_instance(&mut self, name: &str, instance: u32, instances: u32) -> u16 {
        self.push(NumberedSource { name: name.to_owned(), instance, instances, places: None })
    }

    fn push(&mut self, source: NumberedSource) -> u16 {
        self.sources.push(source);
        u16::try_from(self.sources.len() - 1).unwrap_or(u16::MAX)
    }

    /// The number of the next source.
    pub(super) fn next(&self) -> u16 {
        u16::try_from(self.sources.len()).unwrap_or(u16::MAX)
    }

    /// The source, instance, offset and place of a record. `None` for a record that does not stand for a single
    /// input record.
    pub(super) fn of(&self, origin: Origin) -> Option<Provenience> {
        let (number, offset) = origin.parts()?;
        let NumberedSource { name, instance, instances, places } = self.sources.get(usize::from(number))?;
        let place = places.as_ref().map_or_else(|| unplaced(offset), |places| places.describe(offset));
        Some(Provenience { source: name.clone(), instance: *instance, instances: *instances, offset, place })
    }
}

fn unplaced(offset: u64) -> String {
    format!("record {offset}")
}

impl fmt::Display for Provenience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, instance, instances, offset, place } = self;
        let of = if *instances > 1 {
            format!("record {offset} of source \"{source}\", instance {instance}")
        } else {
            format!("record {offset} of source \"{source}\"")
        };
        if *place == unplaced(*offset) { f.write_str(&of) } else { write!(f, "{place} ({of})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lines;

    impl Places for Lines {
        fn describe(&self, offset: u64) -> String {
            format!("in.txt:{}", offset + 1)
        }
    }

    #[test]
    fn a_record_is_told_by_source_instance_and_offset_however_sources_are_called() {
        let mut provenance = Provenance::default();
        let numbers = [
            provenance.add("s-1", Some(Arc::new(Lines))),
            provenance.add("t", None),
            provenance.add_instance("s", 0, 2),
            provenance.add_instance("s", 1, 2),
            provenance.add_instance("u", 0, 1),
        ];
        let told = numbers.map(|number| {
            let from = provenance.of(Origin::new(number, 4)).unwrap();
            ((from.source.clone(), from.instance, from.offset), from.to_string())
        });
        let words: Vec<_> = told.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(
            words,
            [
                "in.txt:5 (record 4 of source \"s-1\")",
                "record 4 of source \"t\"",
                "record 4 of source \"s\", instance 0",
                "record 4 of source \"s\", instance 1",
                "record 4 of source \"u\"",
            ]
        );
        let mut names: Vec<_> = told.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), numbers.len());
        assert_eq!(provenance.of(Origin::NONE), None);
    }
}
