use super::read_component::{COMPONENT_KEYS, component_use};
use super::table::Table;
use super::{ComponentUse, Diagnostic, Diagnostics, Span, Spanned};

pub(super) fn name(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Spanned<String>> {
    let name = table.string("name", errors);
    if table.key_span("name").is_none() {
        table.missing("name", "give it a name of letters, digits, _ and -: name = \"parse\"", errors);
    }
    name
}

/// Reads the component and its settings. `None` if the stage has no component; component settings are then
/// reported as errors.
pub(super) fn component(table: &mut Table<'_, '_>, what: &str, errors: &mut Diagnostics) -> Option<ComponentUse> {
    component_or(table, what, &[], errors)
}

/// Like [`component`], for a built-in stage that accepts the keys in `own`.
pub(super) fn component_or(
    table: &mut Table<'_, '_>,
    what: &str,
    own: &[&str],
    errors: &mut Diagnostics,
) -> Option<ComponentUse> {
    let path = table.string("component", errors);
    let written = table.key_span("component").is_some() || what == "operator";
    if written {
        let read = component_use(table, path.clone().unwrap_or_default(), errors);
        return path.map(|_| read);
    }
    for key in COMPONENT_KEYS {
        if table.node(key).is_some() && !own.contains(&key) {
            let message = format!("{} is built in and takes no {key}", table.place());
            let hint = format!("{key} goes with a component: an [[operator]] or a {what} with component = \"x.wasm\"");
            errors.push(Diagnostic::new(message).at(table.key_span(key)).hint(hint));
        }
    }
    None
}

/// Reports an error unless exactly one of these keys is present.
pub(super) fn one_of(table: &Table<'_, '_>, kinds: &[&str], example: &str, errors: &mut Diagnostics) {
    let found: Vec<(&str, Span)> = kinds.iter().filter_map(|key| Some((*key, table.key_span(key)?))).collect();
    match found.as_slice() {
        [_] => {}
        [] => {
            let message = format!("{} does not say what it is", table.place());
            let hint = format!("add one of {}, for example: {example}", kinds.join(", "));
            errors.push_absence(Diagnostic::new(message).at(Some(table.span())).hint(hint));
        }
        several => {
            let keys: Vec<&str> = several.iter().map(|(key, _)| *key).collect();
            let mut error = Diagnostic::new(format!("{} has {} at once", table.place(), keys.join(" and ")));
            for (_, span) in several {
                error = error.at(Some(*span));
            }
            errors.push(error.hint(format!("keep exactly one of {}", kinds.join(", "))));
        }
    }
}
