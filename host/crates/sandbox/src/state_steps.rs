//! Random operations on keyed state, for tests.

use proptest::prelude::*;

use super::keyed_state::KeyedState;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Change(Change),
    Commit,
    RollBack,
}

/// A change whose key and subkey are one byte each.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(u8, Vec<u8>),
    Delete(u8),
    MapPut(u8, u8, Vec<u8>),
    MapDelete(u8, u8),
}

impl Change {
    /// Applies the change to table "t".
    pub(super) fn make(self, state: &mut KeyedState) {
        match self {
            Self::Put(k, v) => state.put("t", [(&[k][..], v.as_slice())].into_iter()),
            Self::Delete(k) => state.delete("t", &[k]),
            Self::MapPut(k, s, v) => state.map_put("t", &[k], &[s], &v),
            Self::MapDelete(k, s) => state.map_delete("t", &[k], &[s]),
        }
        .unwrap();
    }
}

/// Random steps over few keys, so that several steps touch the same key.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(
        prop_oneof![
            (0u8..4, bytes()).prop_map(|(k, v)| Step::Change(Change::Put(k, v))),
            (0u8..4).prop_map(|k| Step::Change(Change::Delete(k))),
            (0u8..4, 0u8..4, bytes()).prop_map(|(k, s, v)| Step::Change(Change::MapPut(k, s, v))),
            (0u8..4, 0u8..4).prop_map(|(k, s)| Step::Change(Change::MapDelete(k, s))),
            Just(Step::Commit),
            Just(Step::RollBack),
        ],
        0..60,
    )
}
