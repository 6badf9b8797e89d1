use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::State;
use super::keys::{Key, Keys};
use super::scan::Scan;
use super::tables::Table;
use crate::types::Column;
use crate::{Error, host};

/// A `T` for each key; declared with [`Tables::value`](super::Tables::value).
pub struct Value<T> {
    cells: Rc<Cells<T>>,
}

struct Cells<T> {
    name: String,
    keys: Rc<Keys>,
    cached: RefCell<Cached<T>>,
}

/// The cached part of the table.
struct Cached<T> {
    /// Values by slot. Slots beyond the end are not cached.
    cells: Vec<Cell<T>>,
    /// Slots written since the last call to the host, each of them once.
    written: Vec<u32>,
    /// The previous values that record number `journal_of` overwrote, in order.
    journal: Vec<(u32, Known<T>)>,
    journal_of: u64,
    /// Size of the cached values in the host's encoding, in bytes.
    bytes: usize,
}

struct Cell<T> {
    known: Known<T>,
    written: bool,
    /// Size of the value in bytes, as last read from or sent to the host.
    size: u32,
}

enum Known<T> {
    /// Not read yet.
    Unread,
    /// Part of the read request that is being built.
    Asked,
    Absent,
    Present(T),
    /// The host's bytes do not decode as a `T`; the text is the reason.
    Unreadable(Box<str>),
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self { known: Known::Unread, written: false, size: 0 }
    }
}

impl<T: State> Value<T> {
    pub(super) fn new(name: &str, keys: &Rc<Keys>) -> Self {
        let cached = Cached { cells: Vec::new(), written: Vec::new(), journal: Vec::new(), journal_of: 0, bytes: 0 };
        Self { cells: Rc::new(Cells { name: name.to_owned(), keys: Rc::clone(keys), cached: RefCell::new(cached) }) }
    }

    pub(super) fn table(&self) -> Rc<dyn Table> {
        Rc::clone(&self.cells) as Rc<dyn Table>
    }

    /// Returns the value of the current record's key. The first read of a batch fetches all missing values of
    /// the batch's keys in one call.
    ///
    /// # Errors
    /// The stored value is not a `T`, or no record is being processed.
    #[inline]
    pub fn get(&self) -> Result<Option<T>, Error> {
        let (slot, _) = self.cells.keys.current()?;
        let mut cached = self.cells.cached.borrow_mut();
        match self.cells.read(&mut cached, slot) {
            Known::Present(value) => Ok(Some(value.clone())),
            Known::Unreadable(why) => Err(self.cells.unreadable(why)),
            _ => Ok(None),
        }
    }

    /// Writes the value of the current record's key.
    #[inline]
    pub fn put(&mut self, value: T) -> Result<(), Error> {
        let (slot, record) = self.cells.keys.current()?;
        self.cells.cached.borrow_mut().write(slot, record, Known::Present(value));
        Ok(())
    }

    /// Changes the value of the current record's key. An absent value starts as `T::default()`.
    ///
    /// ```
    /// # use sage_guest::{Emitter, Error, Json, state::Value};
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)] struct Total { count: u64 }
    /// # fn count(totals: &mut Value<Json<Total>>) -> Result<(), Error> {
    /// totals.update(|total| total.count += 1)
    /// # }
    /// ```
    #[inline]
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error>
    where
        T: Default,
    {
        let mut value = self.get()?.unwrap_or_default();
        let answer = change(&mut value);
        self.put(value)?;
        Ok(answer)
    }

    /// Deletes the value of the current record's key. An absent value is no error.
    pub fn delete(&mut self) -> Result<(), Error> {
        let (slot, record) = self.cells.keys.current()?;
        self.cells.cached.borrow_mut().write(slot, record, Known::Absent);
        Ok(())
    }

    /// Iterates over every key of this lane that has a value, with the value, in the byte order of the keys.
    /// Use `entries` in `end`, which has no current record. The key is `None` for records without a key. Writes
    /// of this call are included.
    pub fn entries(&self) -> Scan<Key, T> {
        let cached = self.cells.cached.borrow();
        let mut unwritten = BTreeMap::new();
        for slot in &cached.written {
            if let Some(cell) = cached.cells.get(*slot as usize) {
                let value = match &cell.known {
                    Known::Present(value) => Some(value.clone()),
                    Known::Absent => None,
                    _ => continue,
                };
                self.cells.keys.with_key(*slot, |key| unwritten.insert(key.to_vec(), value));
            }
        }
        let name = self.cells.name.clone();
        Scan::new(unwritten, move |after| host::state::keys_scan(&name, after, super::scan::PAGE))
    }
}

impl<T: State> Cells<T> {
    /// Returns the value of a slot, fetched together with the other missing values of the batch.
    #[inline]
    fn read<'c>(&self, cached: &'c mut Cached<T>, slot: u32) -> &'c Known<T> {
        if matches!(cached.cell(slot).known, Known::Unread) {
            self.fetch(cached, slot);
        }
        &cached.cell(slot).known
    }

    /// Reads the missing values of the batch's keys.
    #[cold]
    fn fetch(&self, cached: &mut Cached<T>, slot: u32) {
        let mut asked = Vec::new();
        let mut keys = Column::new();
        let mut ask = |slot: u32| {
            let cell = cached.cell(slot);
            if matches!(cell.known, Known::Unread) {
                cell.known = Known::Asked;
                asked.push(slot);
                self.keys.with_key(slot, |key| keys.push(key));
            }
        };
        ask(slot);
        self.keys.each_of_batch(ask);
        let values = host::state::get(&self.name, &keys);
        for (index, slot) in asked.into_iter().enumerate() {
            let found = values.get(index);
            let size = found.map_or(0, <[u8]>::len);
            cached.bytes += size;
            let cell = cached.cell(slot);
            cell.size = size as u32;
            cell.known = match found.map(T::decode) {
                None => Known::Absent,
                Some(Ok(value)) => Known::Present(value),
                Some(Err(error)) => Known::Unreadable(error.message().into()),
            };
        }
    }

    #[cold]
    fn unreadable(&self, why: &str) -> Error {
        Error::new(format_args!("state table {:?}: {why}", self.name))
    }
}

impl<T> Cached<T> {
    #[inline]
    fn cell(&mut self, slot: u32) -> &mut Cell<T> {
        let slot = slot as usize;
        if slot >= self.cells.len() {
            self.cells.resize_with(slot + 1, Cell::default);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.cells[slot]
    }

    #[inline]
    fn write(&mut self, slot: u32, record: u64, known: Known<T>) {
        if self.journal_of != record {
            self.journal.clear();
            self.journal_of = record;
        }
        let cell = self.cell(slot);
        let before = std::mem::replace(&mut cell.known, known);
        let first = !std::mem::replace(&mut cell.written, true);
        if first {
            self.written.push(slot);
        }
        self.journal.push((slot, before));
    }
}

impl<T: State> Table for Cells<T> {
    fn take_back(&self) {
        let mut cached = self.cached.borrow_mut();
        if cached.journal_of != self.keys.record() {
            return;
        }
        while let Some((slot, before)) = cached.journal.pop() {
            // The entry stays marked as written: writing the same value again is harmless, and `Unread` is not
            // sent.
            cached.cell(slot).known = before;
        }
    }

    fn tell(&self) {
        let mut cached = self.cached.borrow_mut();
        let cached = &mut *cached;
        if cached.written.is_empty() {
            return;
        }
        let (mut keys, mut values, mut deleted) = (Column::new(), Column::new(), Column::new());
        for slot in cached.written.drain(..) {
            let Some(cell) = cached.cells.get_mut(slot as usize) else {
                continue;
            };
            cell.written = false;
            cached.bytes -= cell.size as usize;
            cell.size = 0;
            match &cell.known {
                Known::Present(value) => {
                    self.keys.with_key(slot, |key| keys.push(key));
                    let start = values.bytes.len();
                    if let Err(error) = value.encode(&mut values.bytes) {
                        crate::operator::broken("state.put", &self.unreadable(error.message()));
                    }
                    cell.size = (values.bytes.len() - start) as u32;
                    cached.bytes += cell.size as usize;
                    values.seal();
                }
                Known::Absent => self.keys.with_key(slot, |key| deleted.push(key)),
                Known::Unread | Known::Asked | Known::Unreadable(_) => {}
            }
        }
        cached.journal.clear();
        if !deleted.is_empty() {
            host::state::delete(&self.name, &deleted);
        }
        if !keys.is_empty() {
            host::state::put(&self.name, &keys, &values);
        }
    }

    fn forget(&self) {
        let mut cached = self.cached.borrow_mut();
        cached.cells.clear();
        cached.bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.cached.borrow().bytes
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("table", &self.cells.name).finish_non_exhaustive()
    }
}
