//! The keys that the readers of a file ask for, by table, so that a test can compare them with the schema.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

thread_local! {
    static ASKED: RefCell<BTreeMap<String, BTreeSet<&'static str>>> = RefCell::default();
}

/// Notes that a reader asked the table called `place` for `key`.
pub(super) fn note(place: &str, key: &'static str) {
    ASKED.with_borrow_mut(|asked| asked.entry(place.to_owned()).or_default().insert(key));
}

/// The keys that this thread asked for since the last call.
pub(super) fn take() -> BTreeMap<String, BTreeSet<&'static str>> {
    ASKED.take()
}
