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

/// What an entry takes in the cache beside its subkey and value: what a tree node and two allocations come to, about.
const ENTRY_BYTES: usize = 64;

/// A map from `K` to `V` for each key; declared with [`Tables::map`](super::Tables::map).
///
/// Entries are fetched and written one by one as they are needed, so a map may be larger than the operator's memory.
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

/// What is known of the maps here.
struct Cached<V> {
    /// By slot, then subkey.
    maps: HashMap<u32, BTreeMap<Vec<u8>, Entry<V>>, FixedState>,
    /// What the cached entries take, about.
    bytes: usize,
    /// Entries written since the last call of the host.
    written: Vec<(u32, Vec<u8>)>,
    /// What the record of this number overwrote, in order; `None` where nothing was cached.
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

    /// The entry of the current record's map.
    ///
    /// An error if it is something else than a `V`, or no record is being processed.
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

    /// Write an entry of the current record's map.
    pub fn put(&mut self, key: &K, value: V) -> Result<(), Error> {
        self.maps.write(key.encode_key(), Some(value))
    }

    /// Forget an entry of the current record's map; that there is none is fine.
    pub fn delete(&mut self, key: &K) -> Result<(), Error> {
        self.maps.write(key.encode_key(), None)
    }

    /// The entries of the current record's map, in the order of their keys. What was written so far is seen.
    pub fn iter(&self) -> Result<Scan<K, V>, Error> {
        let (slot, _) = self.maps.keys.current()?;
        let unwritten = self.maps.unwritten(slot);
        Ok(self.maps.scan(self.maps.keys.with_key(slot, <[u8]>::to_vec), unwritten))
    }

    /// Every key of this lane whose map has entries, in byte order, and those entries. For `end`, which has no record of its
    /// own. The key `None` is of records without a key. What was written so far is seen.
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
                // A key whose last entry was deleted is one that the host has yet to forget.
                (!entries.is_empty()).then(|| Ok((StateKey::decode_key(&key)?, entries)))
            }
            Err(error) => Some(Err(error)),
        })
    }
}

/// A value that a walk over keys does not look at.
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

/// Entries that were written here and that the host does not know yet, by subkey; `None` is a deleted entry.
type Unwritten<V> = BTreeMap<Vec<u8>, Option<V>>;

impl<V: State> Maps<V> {
    /// What was written of the map in `slot`.
    fn unwritten(&self, slot: u32) -> Unwritten<V> {
        let cached = self.cached.borrow();
        let written = cached.maps.get(&slot).into_iter().flatten().filter(|(_, entry)| entry.written);
        written.map(|(subkey, entry)| (subkey.clone(), entry.value.clone())).collect()
    }

    /// What was written of every map, by key.
    fn all_unwritten(&self) -> BTreeMap<Vec<u8>, Unwritten<V>> {
        let slots: BTreeSet<u32> = self.cached.borrow().written.iter().map(|(slot, _)| *slot).collect();
        slots.into_iter().map(|slot| (self.keys.with_key(slot, <[u8]>::to_vec), self.unwritten(slot))).collect()
    }

    /// A walk over the map of a key.
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
                // It stays marked as written: writing the same again is harmless.
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
                // Taken back and not cached before: the host knows better.
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
