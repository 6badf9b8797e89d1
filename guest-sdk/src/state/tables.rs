use std::fmt;
use std::rc::Rc;

use super::keys::Keys;
use super::list::List;
use super::map::Map;
use super::value::Value;
use super::{CACHED_BYTES, CACHED_KEYS, State, StateKey};
use crate::Error;
use crate::types::Batch;

/// The tables of keyed state that an operator declares when it opens.
#[derive(Default)]
pub struct Tables {
    names: Vec<String>,
    keys: Rc<Keys>,
    tables: Vec<Rc<dyn Table>>,
}

/// What a batch does to each table, whatever it holds.
pub(super) trait Table {
    /// Undo what the record being processed wrote.
    fn take_back(&self);
    /// Tell the host what was written.
    fn tell(&self);
    /// Drop what is cached; all of it is told.
    fn forget(&self);
    /// What is cached takes this much, about.
    fn bytes(&self) -> usize;
}

impl Tables {
    /// A table with one `T` for each key.
    ///
    /// A name that is taken is an error: two handles of a table would not see each other's writes.
    pub fn value<T: State>(&mut self, name: &str) -> Result<Value<T>, Error> {
        self.name(name)?;
        let value = Value::new(name, &self.keys);
        self.tables.push(value.table());
        Ok(value)
    }

    /// A table with a map from `K` to `V` for each key.
    pub fn map<K: StateKey, V: State>(&mut self, name: &str) -> Result<Map<K, V>, Error> {
        self.name(name)?;
        let map = Map::new(name, &self.keys);
        self.tables.push(map.table());
        Ok(map)
    }

    /// A table with a list of `T` for each key.
    pub fn list<T: State>(&mut self, name: &str) -> Result<List<T>, Error> {
        self.name(name)?;
        let list = List::new(name, &self.keys);
        self.tables.extend(list.tables());
        Ok(list)
    }

    fn name(&mut self, name: &str) -> Result<(), Error> {
        if self.names.iter().any(|known| known == name) {
            return Err(Error::new(format_args!("state table {name:?} is declared twice")));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// A batch comes in.
    pub(crate) fn begin(&mut self, batch: &Batch) {
        if self.tables.is_empty() {
            return;
        }
        let bytes = self.keys.bytes() + self.tables.iter().map(|table| table.bytes()).sum::<usize>();
        let outgrown = self.keys.len() > CACHED_KEYS || bytes > CACHED_BYTES;
        if outgrown {
            self.keys.forget();
            for table in &self.tables {
                table.forget();
            }
        }
        self.keys.begin(batch);
    }

    /// This record is being processed.
    #[inline]
    pub(crate) fn at(&self, row: usize) {
        self.keys.at(row);
    }

    /// Undo what the record being processed wrote.
    #[cold]
    pub(crate) fn take_back(&self) {
        for table in &self.tables {
            table.take_back();
        }
    }

    /// The call is over: tell the host what was written.
    pub(crate) fn finish(&mut self) {
        for table in &self.tables {
            table.tell();
        }
        self.keys.finish();
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("names", &self.names).finish_non_exhaustive()
    }
}
