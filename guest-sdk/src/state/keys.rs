use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::StateKey;
use crate::Error;
use crate::bytes::equal;
use crate::types::Column;

/// The keys that this lane knows, and the key of each record of the current batch. All tables of an operator
/// share `Keys`, so a record's key is hashed once.
#[derive(Debug, Default)]
pub(super) struct Keys {
    index: RefCell<Index>,
    /// The slot of each record of the batch. Without keys, all records have the same slot.
    rows: RefCell<Vec<u32>>,
    /// The slot of the record being processed.
    current: Cell<Option<u32>>,
    /// Counts records, so that a table knows whether its journal belongs to the current record.
    record: Cell<u64>,
}

/// Keys as the host stores them, in order of arrival, with a hash index.
#[derive(Debug, Default)]
struct Index {
    table: HashTable<u32>,
    keys: Column,
    hasher: FixedState,
}

impl Keys {
    /// Looks up or creates the slot of each record's key.
    pub(super) fn begin(&self, keys: Option<&Column>, records: usize) {
        let mut index = self.index.borrow_mut();
        let mut rows = self.rows.borrow_mut();
        rows.clear();
        match keys {
            Some(keys) => rows.extend(keys.iter().map(|key| match key {
                [first, ..] if *first == KEYLESS[0] => index.escaped_slot(key),
                key => index.slot(key),
            })),
            None => {
                let slot = index.slot(&KEYLESS);
                rows.resize(records, slot);
            }
        }
    }

    /// Starts processing a record.
    #[inline]
    pub(super) fn at(&self, row: usize) {
        self.current.set(self.rows.borrow().get(row).copied());
        self.record.set(self.record.get() + 1);
    }

    /// Ends the call: no record is being processed.
    pub(super) fn finish(&self) {
        self.current.set(None);
        self.rows.borrow_mut().clear();
    }

    /// Drops all keys. Every table must drop its slots at the same time.
    pub(super) fn forget(&self) {
        let mut index = self.index.borrow_mut();
        index.table.clear();
        index.keys.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.index.borrow().keys.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.index.borrow().keys.bytes.len()
    }

    /// Returns the slot and the number of the record being processed.
    #[inline]
    pub(super) fn current(&self) -> Result<(u32, u64), Error> {
        match self.current.get() {
            Some(slot) => Ok((slot, self.record.get())),
            None => Err(no_record()),
        }
    }

    /// Returns the number of the record being processed.
    pub(super) fn record(&self) -> u64 {
        self.record.get()
    }

    /// Calls `call` with the slot of each record of the batch. A slot is repeated if several records have the
    /// same key.
    pub(super) fn each_of_batch(&self, mut call: impl FnMut(u32)) {
        for slot in self.rows.borrow().iter() {
            call(*slot);
        }
    }

    /// Calls `call` with the key of a slot, as the host stores it.
    pub(super) fn with_key<R>(&self, slot: u32, call: impl FnOnce(&[u8]) -> R) -> R {
        call(self.index.borrow().keys.get(slot as usize).unwrap_or_default())
    }
}

impl Index {
    /// The slot of a key that is not stored as it is.
    #[cold]
    fn escaped_slot(&mut self, key: &[u8]) -> u32 {
        self.slot(&stored(key))
    }

    #[inline]
    fn slot(&mut self, key: &[u8]) -> u32 {
        let Self { table, keys, hasher } = self;
        let hash = hasher.hash_one(key);
        if let Some(slot) = table.find(hash, |slot| keys.get(*slot as usize).is_some_and(|known| equal(known, key))) {
            return *slot;
        }
        let slot = keys.len() as u32;
        keys.push(key);
        table.insert_unique(hash, slot, |slot| hasher.hash_one(keys.get(*slot as usize).unwrap_or_default()));
        slot
    }
}

/// The stored key of records without a key.
const KEYLESS: [u8; 1] = [0xff];

/// Returns the bytes under which the host stores a record's key. They are the key itself, unless the key begins
/// with [`KEYLESS`]: then `KEYLESS` is added in front. Two keys are therefore never stored under the same
/// bytes, and their order stays the same.
#[inline]
fn stored(key: &[u8]) -> Cow<'_, [u8]> {
    if key.starts_with(&KEYLESS) { Cow::Owned([&KEYLESS[..], key].concat()) } else { Cow::Borrowed(key) }
}

/// The key of a record; `None` for records without a key. An empty key is a different key.
pub type Key = Option<Vec<u8>>;

impl StateKey for Key {
    fn decode_key(bytes: &[u8]) -> Result<Self, Error> {
        Ok(match bytes.strip_prefix(&KEYLESS) {
            None => Some(bytes.to_vec()),
            Some([]) => None,
            Some(key) => Some(key.to_vec()),
        })
    }

    fn encode_key(&self) -> Vec<u8> {
        self.as_deref().map_or_else(|| KEYLESS.to_vec(), |key| stored(key).into_owned())
    }
}

#[cold]
fn no_record() -> Error {
    Error::new(
        "state belongs to the key of a record, and none is being processed here: walk a table with `entries` in `end`",
    )
}

#[cfg(test)]
mod tests {
    use super::{Key, StateKey};

    #[test]
    fn every_key_and_no_key_are_stored_apart_and_in_order() {
        let keys = [&b""[..], b"\0", b"a", b"\xfe\xff"].map(|key| Some(key.to_vec()));
        let behind = [&b"\xff"[..], b"\xff\0", b"\xff\xff", b"\xff\xff\xff"].map(|key| Some(key.to_vec()));
        let all: Vec<Key> = keys.into_iter().chain([None]).chain(behind).collect();
        let stored: Vec<Vec<u8>> = all.iter().map(StateKey::encode_key).collect();
        assert!(stored.is_sorted_by(|a, b| a < b), "{stored:?}");
        for (key, stored) in all.iter().zip(&stored) {
            assert_eq!(&Key::decode_key(stored).unwrap(), key);
        }
    }
}
