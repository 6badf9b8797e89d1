use std::collections::HashMap;

use super::draft::Draft;
use super::role::Role;
use crate::config::{Diagnostic, Diagnostics, Pipeline, Spanned};

/// Longest name, in bytes. The name becomes part of file names and metric labels.
const LONGEST: usize = 128;

/// Reports names with wrong characters, and names that occur twice.
pub(super) fn check(pipeline: &Pipeline, drafts: &[Draft<'_>], errors: &mut Diagnostics) {
    if let Some(name) = &pipeline.name {
        check_syntax("the pipeline", name, errors);
    }
    let mut first: HashMap<&str, &Draft<'_>> = HashMap::new();
    for draft in drafts {
        let Some(name) = draft.name else { continue };
        check_syntax(draft.role.name(), name, errors);
        match first.get(name.value.as_str()) {
            None => {
                first.insert(&name.value, draft);
            }
            Some(other) => {
                let message = format!("two stages are called \"{}\"", name.value);
                let hint = "rename one of them: sources, operators and sinks share their names";
                let error = Diagnostic::new(message).label(name.span, format!("this {}", draft.role.name()));
                let other_label = format!("and this {}", other.role.name());
                errors.push(error.label(other.name.and_then(|name| name.span), other_label).hint(hint));
            }
        }
    }
}

/// Reports a pipeline without a source or without a sink.
pub(super) fn check_ends(pipeline: &Pipeline, errors: &mut Diagnostics) {
    let ends = [
        (Role::Source, pipeline.sources.is_empty(), "add one: [[source]] with name = \"in\" and stdin = {}"),
        (
            Role::Sink,
            pipeline.sinks.is_empty(),
            "add one: [[sink]] with name = \"out\", input = \"...\" and stdout = {}",
        ),
    ];
    for (role, missing, hint) in ends {
        if missing {
            errors.push(Diagnostic::new(format!("the pipeline has no {}", role.name())).hint(hint));
        }
    }
}

pub(super) fn check_syntax(what: &str, name: &Spanned<String>, errors: &mut Diagnostics) {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.value.is_empty() || !name.value.chars().all(fine) {
        let message = format!("\"{}\" is no name for {}", name.value.escape_debug(), article(what));
        errors.push(Diagnostic::new(message).on(name).hint("letters, digits, _ and -"));
    } else if name.value.len() > LONGEST {
        let message = format!("the name of {} is {} characters long", article(what), name.value.len());
        errors.push(Diagnostic::new(message).on(name).hint(format!("at most {LONGEST}")));
    }
}

fn article(what: &str) -> String {
    match what {
        "operator" => format!("an {what}"),
        "source" | "sink" => format!("a {what}"),
        _ => what.to_owned(),
    }
}
