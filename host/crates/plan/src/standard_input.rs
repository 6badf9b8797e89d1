use super::draft::Draft;
use super::{SourceSpec, Work};
use crate::config::{Diagnostic, Diagnostics};

/// Reports a second reader of standard input. Whether two paths lead to one file is not known here; `connector`
/// checks it.
pub(super) fn check(drafts: &[Draft<'_>], errors: &mut Diagnostics) {
    let mut readers = drafts.iter().filter(|draft| matches!(draft.work, Some(Work::Source(SourceSpec::Stdin(_)))));
    if let (Some(first), Some(second)) = (readers.next(), readers.next()) {
        let message = format!("{} and {} both read standard input", first.place(), second.place());
        let error = Diagnostic::new(message).at(second.name_span()).at(first.name_span());
        errors.push(error.hint("each would get a part of it: let both operators read one source"));
    }
}
