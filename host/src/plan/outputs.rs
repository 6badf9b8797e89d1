use std::collections::HashMap;
use std::path::PathBuf;

use super::draft::Draft;
use super::{OnError, SinkSpec, SourceSpec, Work};
use crate::config::{self, Diagnostic, Diagnostics, Span};

/// A file is written by one sink, and no sink overwrites what a source reads or what dead letters are appended to.
/// Stages may share a dead-letter file. Standard input is read by one source.
pub(super) fn check(drafts: &[Draft<'_>], errors: &mut Diagnostics) {
    let mut written: HashMap<PathBuf, &Draft<'_>> = HashMap::new();
    for draft in drafts {
        if let Some(Work::Sink(SinkSpec::File(file))) = &draft.work {
            match written.get(&file.path) {
                None => {
                    written.insert(file.path.clone(), draft);
                }
                Some(other) => {
                    let message =
                        format!("{} and {} write the same file, {}", other.place(), draft.place(), file.path.display());
                    let error = Diagnostic::new(message).at(draft.name_span()).at(other.name_span());
                    errors.push(error.hint("let one sink read both: input = [\"a\", \"b\"]"));
                }
            }
        }
    }
    for draft in drafts {
        let read = match &draft.work {
            Some(Work::Source(SourceSpec::File(file))) => Some((&file.path, "reads", draft.name_span())),
            Some(Work::Source(SourceSpec::WholeFiles(files))) => Some((&files.path, "reads", draft.name_span())),
            _ => None,
        };
        let dead = match &draft.on_error {
            OnError::DeadLetter(path) => Some((path, "sends dead letters to", dead_letter_span(draft))),
            _ => None,
        };
        for (path, what, span) in read.into_iter().chain(dead) {
            let Some(sink) = written.get(path) else { continue };
            let message = format!("{} {what} {}, which {} writes", draft.place(), path.display(), sink.place());
            errors.push(Diagnostic::new(message).at(span).at(sink.name_span()).hint("give one of them another file"));
        }
    }
    let mut readers = drafts.iter().filter(|draft| matches!(draft.work, Some(Work::Source(SourceSpec::Stdin(_)))));
    if let (Some(first), Some(second)) = (readers.next(), readers.next()) {
        let message = format!("{} and {} both read standard input", first.place(), second.place());
        let error = Diagnostic::new(message).at(second.name_span()).at(first.name_span());
        errors.push(error.hint("each would get a part of it: let both operators read one source"));
    }
}

fn dead_letter_span(draft: &Draft<'_>) -> Option<Span> {
    match draft.dead_letters? {
        config::OnError::DeadLetter(path) => path.span,
        config::OnError::Fail | config::OnError::Skip => None,
    }
}
