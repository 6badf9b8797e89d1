use std::fmt;
use std::rc::Rc;

use super::keys::Keys;
use super::list::List;
use super::map::Map;
use super::value::Value;
use super::{CACHED_BYTES, CACHED_KEYS, State, StateKey};
use crate::Error;
use crate::types::Column;

/// The tables of keyed state that an operator declares when it opens.
#[derive(Default)]
pub struct Tables {
    names: Vec<String>,
    keys: Rc<Keys>,
    tables: Vec<Rc<dyn Table>>,
}

/// The operations that a batch performs on every table, whatever its type.
pub(super) trait Table {
    /// Undoes the writes of the record being processed.
    fn take_back(&self);
    /// Sends the writes to the host.
    fn tell(&self);
    /// Drops the cache. All writes have been sent before.
    fn forget(&self);
    /// Returns the approximate size of the cache in bytes.
    fn bytes(&self) -> usize;
}

impl Tables {
    /// Declares a table with one `T` for each key.
    ///
    /// # Errors
    /// The name is already in use: two handles of one table would not see each other's writes.
    pub fn value<T: State>(&mut self, name: &str) -> Result<Value<T>, Error> {
        self.name(name)?;
        let value = Value::new(name, &self.keys);
        self.tables.push(value.table());
        Ok(value)
    }

    /// Declares a table with a map from `K` to `V` for each key.
    ///
    /// # Errors
    /// The name is already in use.
    pub fn map<K: StateKey, V: State>(&mut self, name: &str) -> Result<Map<K, V>, Error> {
        self.name(name)?;
        let map = Map::new(name, &self.keys);
        self.tables.push(map.table());
        Ok(map)
    }

    /// Declares a table with a list of `T` for each key.
    ///
    /// # Errors
    /// The name is already in use.
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

    /// Starts a batch of records with these keys.
    pub(crate) fn begin(&mut self, keys: Option<&Column>, records: usize) {
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
        self.keys.begin(keys, records);
    }

    /// Starts processing a record.
    #[inline]
    pub(crate) fn at(&self, row: usize) {
        self.keys.at(row);
    }

    /// Undoes the writes of the record being processed.
    #[cold]
    pub(crate) fn take_back(&self) {
        for table in &self.tables {
            table.take_back();
        }
    }

    /// Ends the call and sends the writes to the host.
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
