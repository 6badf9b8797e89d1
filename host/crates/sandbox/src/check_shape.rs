use std::path::Path;

use super::load_error::LoadError;
use sage_plan::{ComponentFacts, Kind, RecordShape, Rest};

/// Checks that the description names fields exactly if records come by field, and that they fit the kind and its side
/// outputs.
pub(super) fn check_shape(path: &Path, facts: &ComponentFacts) -> Result<(), LoadError> {
    let shape = facts.description.as_ref().and_then(|description| description.shape.as_ref());
    let kind = facts.kind;
    let what = match (facts.by_field, shape) {
        (true, None) => format!("it is a {kind} by field, and its description does not say which fields it reads"),
        (false, Some(_)) => {
            format!("its description names fields, but it exports `{}`, which takes records as bytes", kind.interface())
        }
        (true, Some(shape)) => match misfit(facts, shape) {
            Some(what) => what,
            None => return Ok(()),
        },
        (false, None) => return Ok(()),
    };
    Err(LoadError::WrongShape { path: path.to_owned(), what })
}

/// The part of the description that does not fit the component.
fn misfit(facts: &ComponentFacts, shape: &RecordShape) -> Option<String> {
    let kind = facts.kind;
    let (reads, gives) = (!shape.reads.fields().is_empty(), !shape.gives.fields().is_empty());
    match kind {
        Kind::Filter | Kind::KeyBy if gives => {
            return Some(format!(
                "its description gives fields, but a {kind} gives none: its records stay as they are"
            ));
        }
        Kind::Sink if gives => return Some("its description gives fields, but a sink gives none".to_owned()),
        Kind::Source if reads || shape.outputs().any(|(_, rest)| rest == Rest::Keep) => {
            return Some("its description reads or keeps fields, but a source has no input".to_owned());
        }
        Kind::Window if shape.rest == Rest::Keep => {
            return Some("its description keeps fields, but a window sums up many records".to_owned());
        }
        _ => {}
    }
    // The host makes the output of late records, which are as they came.
    let ports = if kind == Kind::Window { &[][..] } else { &facts.ports };
    let described: Vec<&str> = shape.sides.iter().map(|side| side.name.as_str()).collect();
    let listed = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    (ports != described).then(|| {
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        format!("its side outputs are {}, but its description has the fields of {}", listed(&ports), listed(&described))
    })
}
