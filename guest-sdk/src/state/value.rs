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

/// One `T` for each key; declared with [`Tables::value`](super::Tables::value).
pub struct Value<T> {
    cells: Rc<Cells<T>>,
}

struct Cells<T> {
    name: String,
    keys: Rc<Keys>,
    cached: RefCell<Cached<T>>,
}

/// What is known of a table here.
struct Cached<T> {
    /// By slot; slots past its end are unknown.
    cells: Vec<Cell<T>>,
    /// Slots written since the last call of the host, each once.
    written: Vec<u32>,
    /// What the record of this number overwrote, in order.
    journal: Vec<(u32, Known<T>)>,
    journal_of: u64,
    /// What the cached values took as the host holds them.
    bytes: usize,
}

struct Cell<T> {
    known: Known<T>,
    written: bool,
    /// Bytes of the value, when the host last gave or got it.
    size: u32,
}

enum Known<T> {
    /// Not read yet.
    Unread,
    /// About to be read, by the call being put together.
    Asked,
    Absent,
    Present(T),
    /// The host's bytes are not a `T`, and why.
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

    /// The value of the current record's key. The first read of a batch fetches what its keys lack, in one call.
    ///
    /// An error if the table holds something else than a `T`, or no record is being processed.
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

    /// Write the value of the current record's key.
    #[inline]
    pub fn put(&mut self, value: T) -> Result<(), Error> {
        let (slot, record) = self.cells.keys.current()?;
        self.cells.cached.borrow_mut().write(slot, record, Known::Present(value));
        Ok(())
    }

    /// Change the value of the current record's key, which begins as `T::default()`.
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

    /// Forget the value of the current record's key; that there is none is fine.
    pub fn delete(&mut self) -> Result<(), Error> {
        let (slot, record) = self.cells.keys.current()?;
        self.cells.cached.borrow_mut().write(slot, record, Known::Absent);
        Ok(())
    }

    /// Every key of this lane that has a value, and the value, in the byte order of the keys. For `end`, which has no record of
    /// its own. The key `None` is of records without a key. What was written so far is seen.
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
    /// What the table holds for a slot, read together with what else the batch lacks.
    #[inline]
    fn read<'c>(&self, cached: &'c mut Cached<T>, slot: u32) -> &'c Known<T> {
        if matches!(cached.cell(slot).known, Known::Unread) {
            self.fetch(cached, slot);
        }
        &cached.cell(slot).known
    }

    /// Read what is not known of the batch's keys.
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
            // It stays marked as written: writing the same again is harmless, and `Unread` is not written.
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
