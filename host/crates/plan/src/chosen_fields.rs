use std::collections::HashMap;

use super::RecordShape;
use super::field_name::check_field_name;
use crate::config::{ChosenFields, Diagnostic, Diagnostics};

/// Checks the `fields` of `place` by themselves: each name can be the name of a field, and no two fields get one name.
/// `may_repeat` says whether a field may be chosen under several names.
pub(super) fn check(place: &str, fields: &ChosenFields, may_repeat: bool, errors: &mut Diagnostics) {
    let most = RecordShape::MOST_FIELDS;
    if fields.list.len() > most {
        let message = format!("fields of {place} names {} fields", fields.list.len());
        errors.push(Diagnostic::new(message).at(fields.span).hint(format!("at most {most}")));
        return;
    }
    let (mut chosen, mut named) = (HashMap::new(), HashMap::new());
    for item in &fields.list {
        let (field, name) = (&item.value.field, &item.value.name);
        for (what, text) in [("field", field), ("name", name)] {
            if let Err(error) = check_field_name(text) {
                let message = format!("fields of {place}: \"{}\" is no {what}: {error}", text.escape_debug());
                errors.push(Diagnostic::new(message).on(item).hint("write \"sensor\", or \"f as fahrenheit\""));
                return;
            }
        }
        let earlier = chosen.insert(field.as_str(), item.span);
        if let Some(other) = earlier.filter(|_| !may_repeat) {
            let message = format!("{place} chooses field `{field}` twice");
            errors.push(Diagnostic::new(message).at(other).on(item).hint("choose it once, under one name"));
        } else if let Some(other) = named.insert(name.as_str(), item.span) {
            let message = format!("{place} gives two fields the name `{name}`");
            errors.push(Diagnostic::new(message).at(other).on(item).hint("rename one of them: \"f as other\""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChosenField;

    #[test]
    fn a_name_that_is_none_or_stands_twice_is_an_error() {
        let many: Vec<String> = (0..=RecordShape::MOST_FIELDS).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (written, message) in [
            (&["a", "a as b", "b as c"][..], ""),
            (&["", "b"], "fields of sink \"out\": \"\" is no field: it is empty"),
            (&["a as "], "fields of sink \"out\": \"\" is no name: it is empty"),
            (&["a\u{7}"], "fields of sink \"out\": \"a\\u{7}\" is no field: it has control characters"),
            (&["a", "b as a"], "sink \"out\" gives two fields the name `a`"),
            (&many, "fields of sink \"out\" names 1001 fields"),
        ] {
            let list = written.iter().map(|word| ChosenField::from(*word).into()).collect();
            let mut errors = Diagnostics::new(None);
            check("sink \"out\"", &ChosenFields { span: None, list }, true, &mut errors);
            let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert!(found.join("; ").contains(message), "{written:?}: {found:?}");
            assert_eq!(found.is_empty(), message.is_empty(), "{written:?}: {found:?}");
        }
    }
}
