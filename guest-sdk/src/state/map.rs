use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use foldhash::fast::FixedState;

use super::keys::{Key, Keys};
use super::scan::{PAGE, Scan};
use super::tables::Table;
use super::{State, StateKey};
use crate::types::Column;
use crate::{Error, host};

/// Size of a cached entry beside its subkey and value: roughly a tree node and two allocations.
const ENTRY_BYTES: usize = 64;

/// A map from `K` to `V` for each key; declared with [`Tables::map`](super::Tables::map).
///
/// Entries are fetched and written one by one as needed, so a map may be larger than the operator's memory.
/// Reading an entry that is not cached costs a call to the host.
pub struct Map<K, V> {
    maps: Rc<Maps<V>>,
    keys: PhantomData<fn() -> K>,
}

struct Maps<V> {
    name: String,
    keys: Rc<Keys>,
    cached: RefCell<Cached<V>>,
}

/// The cached part of the maps.
struct Cached<V> {
    /// Entries by slot, then by subkey.
    maps: HashMap<u32, BTreeMap<Vec<u8>, Entry<V>>, FixedState>,
    /// Approximate size of the cached entries in bytes.
    bytes: usize,
    /// Entries written since the last call to the host.
    written: Vec<(u32, Vec<u8>)>,
    /// The previous values that record number `journal_of` overwrote, in order; `None` if the entry was not
    /// cached.
    journal: Vec<(u32, Vec<u8>, Option<Option<V>>)>,
    journal_of: u64,
}

struct Entry<V> {
    value: Option<V>,
    written: bool,
}

impl<K: StateKey, V: State> Map<K, V> {
    pub(super) fn new(name: &str, keys: &Rc<Keys>) -> Self {
        let cached =
            Cached { maps: HashMap::default(), bytes: 0, written: Vec::new(), journal: Vec::new(), journal_of: 0 };
        let maps = Maps { name: name.to_owned(), keys: Rc::clone(keys), cached: RefCell::new(cached) };
        Self { maps: Rc::new(maps), keys: PhantomData }
    }

    pub(super) fn table(&self) -> Rc<dyn Table> {
        Rc::clone(&self.maps) as Rc<dyn Table>
    }

    /// Returns an entry of the map of the current record's key.
    ///
    /// # Errors
    /// The entry is not a `V`, or no record is being processed.
    pub fn get(&self, key: &K) -> Result<Option<V>, Error> {
        let (slot, _) = self.maps.keys.current()?;
        let subkey = key.encode_key();
        let mut cached = self.maps.cached.borrow_mut();
        if let Some(entry) = cached.maps.get(&slot).and_then(|map| map.get(&subkey)) {
            return Ok(entry.value.clone());
        }
        let value = self.maps.fetch(slot, &subkey)?;
        cached.bytes += ENTRY_BYTES + size_of::<V>() + subkey.len();
        cached.maps.entry(slot).or_default().insert(subkey, Entry { value: value.clone(), written: false });
        Ok(value)
    }

    /// Writes an entry of the map.
    pub fn put(&mut self, key: &K, value: V) -> Result<(), Error> {
        self.maps.write(key.encode_key(), Some(value))
    }

    /// Deletes an entry of the map. An absent entry is no error.
    pub fn delete(&mut self, key: &K) -> Result<(), Error> {
        self.maps.write(key.encode_key(), None)
    }

    /// Iterates over the entries of the map, in key order. Writes of this call are included.
    pub fn iter(&self) -> Result<Scan<K, V>, Error> {
        let (slot, _) = self.maps.keys.current()?;
        let unwritten = self.maps.unwritten(slot);
        Ok(self.maps.scan(self.maps.keys.with_key(slot, <[u8]>::to_vec), unwritten))
    }

    /// Iterates over every key of this lane whose map has entries, in byte order, with these entries. Use
    /// `entries` in `end`, which has no current record. The key is `None` for records without a key. Writes of
    /// this call are included.
    ///
    /// ```
    /// # use sage_guest::{Emitter, Error, state::Map};
    /// # fn end(visits: &Map<String, u64>, out: &mut Emitter) -> Result<(), Error> {
    /// for entry in visits.entries() {
    ///     let (key, pages) = entry?;
    ///     for page in pages {
    ///         let (page, count) = page?;
    ///         out.key_or_none(key.as_deref()).emit(format!("{page} {count}"))?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn entries(&self) -> impl Iterator<Item = Result<(Key, Scan<K, V>), Error>> + use<K, V> {
        let maps = Rc::clone(&self.maps);
        let mut unwritten = maps.all_unwritten();
        let known = unwritten.keys().map(|key| (key.clone(), Some(Anything))).collect();
        let name = maps.name.clone();
        let keys = Scan::<Vec<u8>, Anything>::new(known, move |after| host::state::keys_scan(&name, after, PAGE));
        keys.filter_map(move |key| match key {
            Ok((key, _)) => {
                let mut entries = maps.scan(key.clone(), unwritten.remove(&key).unwrap_or_default());
                // A key whose last entry was deleted in this call is skipped: the host does not know of the
                // deletion yet.
                (!entries.is_empty()).then(|| Ok((StateKey::decode_key(&key)?, entries)))
            }
            Err(error) => Some(Err(error)),
        })
    }
}

/// A value that a scan of keys ignores.
#[derive(Clone)]
struct Anything;

impl State for Anything {
    fn decode(_: &[u8]) -> Result<Self, Error> {
        Ok(Self)
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}

/// Writes that the host does not know yet, by subkey; `None` is a deleted entry.
type Unwritten<V> = BTreeMap<Vec<u8>, Option<V>>;

impl<V: State> Maps<V> {
    /// Returns the unsent writes of the map in `slot`.
    fn unwritten(&self, slot: u32) -> Unwritten<V> {
        let cached = self.cached.borrow();
        let written = cached.maps.get(&slot).into_iter().flatten().filter(|(_, entry)| entry.written);
        written.map(|(subkey, entry)| (subkey.clone(), entry.value.clone())).collect()
    }

    /// Returns the unsent writes of every map, by key.
    fn all_unwritten(&self) -> BTreeMap<Vec<u8>, Unwritten<V>> {
        let slots: BTreeSet<u32> = self.cached.borrow().written.iter().map(|(slot, _)| *slot).collect();
        slots.into_iter().map(|slot| (self.keys.with_key(slot, <[u8]>::to_vec), self.unwritten(slot))).collect()
    }

    /// Returns a scan of the map of a key.
    fn scan<K: StateKey>(&self, key: Vec<u8>, unwritten: Unwritten<V>) -> Scan<K, V> {
        let name = self.name.clone();
        Scan::new(unwritten, move |after| host::state::map_scan(&name, &key, after, PAGE))
    }

    fn fetch(&self, slot: u32, subkey: &[u8]) -> Result<Option<V>, Error> {
        let subkeys = Column::of([subkey]);
        let found = self.keys.with_key(slot, |key| host::state::map_get(&self.name, key, &subkeys));
        match found.get(0).map(V::decode) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(error)) => Err(error.context(format_args!("state table {:?}", self.name))),
        }
    }

    fn write(&self, subkey: Vec<u8>, value: Option<V>) -> Result<(), Error> {
        let (slot, record) = self.keys.current()?;
        let mut cached = self.cached.borrow_mut();
        let cached = &mut *cached;
        if cached.journal_of != record {
            cached.journal.clear();
            cached.journal_of = record;
        }
        let map = cached.maps.entry(slot).or_default();
        let before = map.insert(subkey.clone(), Entry { value, written: true });
        if before.is_none() {
            cached.bytes += ENTRY_BYTES + size_of::<V>() + subkey.len();
        }
        if !before.as_ref().is_some_and(|entry| entry.written) {
            cached.written.push((slot, subkey.clone()));
        }
        cached.journal.push((slot, subkey, before.map(|entry| entry.value)));
        Ok(())
    }
}

impl<V: State> Table for Maps<V> {
    fn take_back(&self) {
        let mut cached = self.cached.borrow_mut();
        let cached = &mut *cached;
        if cached.journal_of != self.keys.record() {
            return;
        }
        while let Some((slot, subkey, before)) = cached.journal.pop() {
            let map = cached.maps.entry(slot).or_default();
            match before {
                // The entry stays marked as written: writing the same value again is harmless.
                Some(value) => {
                    map.insert(subkey, Entry { value, written: true });
                }
                None => {
                    map.remove(&subkey);
                    cached.bytes -= ENTRY_BYTES + size_of::<V>() + subkey.len();
                }
            }
        }
    }

    fn tell(&self) {
        let mut cached = self.cached.borrow_mut();
        let cached = &mut *cached;
        if cached.written.is_empty() {
            return;
        }
        cached.written.sort();
        cached.written.dedup();
        for group in cached.written.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((slot, _)) = group.first() else { continue };
            let Some(map) = cached.maps.get_mut(slot) else { continue };
            let (mut subkeys, mut values, mut deleted) = (Column::new(), Column::new(), Column::new());
            for (_, subkey) in group {
                // The write was undone and the entry was not cached before: the host has the right value.
                let Some(entry) = map.get_mut(subkey) else { continue };
                entry.written = false;
                match &entry.value {
                    Some(value) => {
                        subkeys.push(subkey);
                        if let Err(error) = value.encode(&mut values.bytes) {
                            let error = error.context(format_args!("state table {:?}", self.name));
                            crate::operator::broken("state.map-put", &error);
                        }
                        values.seal();
                    }
                    None => deleted.push(subkey),
                }
            }
            self.keys.with_key(*slot, |key| {
                if !deleted.is_empty() {
                    host::state::map_delete(&self.name, key, &deleted);
                }
                if !subkeys.is_empty() {
                    host::state::map_put(&self.name, key, &subkeys, &values);
                }
            });
        }
        cached.written.clear();
        cached.journal.clear();
    }

    fn forget(&self) {
        let mut cached = self.cached.borrow_mut();
        cached.maps.clear();
        cached.bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.cached.borrow().bytes
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("table", &self.maps.name).finish_non_exhaustive()
    }
}
