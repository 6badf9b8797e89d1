use std::fmt;
use std::sync::Arc;

use super::Column;

/// The way from a payload to the text of the record, for payloads that are kept as they came, such as rows of CSV.
/// A stage that reads text asks for it; most records whose fields are read never need it.
pub trait RowText: fmt::Debug + Send + Sync {
    /// Appends the text of each payload to `text`.
    fn write(&self, payloads: &Column, text: &mut Column);
}

/// Whether the payloads of two batches are rows of one kind, or both the text itself.
pub(super) fn are_one_kind(one: Option<&Arc<dyn RowText>>, other: Option<&Arc<dyn RowText>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
