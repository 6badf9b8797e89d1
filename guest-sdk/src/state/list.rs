use std::rc::Rc;

use super::keys::{Key, Keys};
use super::map::Map;
use super::tables::Table;
use super::value::Value;
use super::{Scan, State};
use crate::{Error, Json};

/// A list of `T` for each key; declared with [`Tables::list`](super::Tables::list). Elements are appended at
/// the end and taken from the front.
///
/// Each element is stored on its own. Pushing costs the same for every length of the list, and a list may be
/// larger than the operator's memory.
#[derive(Debug)]
pub struct List<T> {
    /// Positions of the first element and of the next element to be pushed: the table's value. Absent for an
    /// empty list.
    ends: Value<Json<(u64, u64)>>,
    /// Elements by position: the table's map.
    elements: Map<u64, T>,
}

impl<T: State> List<T> {
    pub(super) fn new(name: &str, keys: &Rc<Keys>) -> Self {
        Self { ends: Value::new(name, keys), elements: Map::new(name, keys) }
    }

    /// Returns the table of the ends before the table of the elements: deleting a key's value also deletes its
    /// map, and only an empty list deletes its ends.
    pub(super) fn tables(&self) -> [Rc<dyn Table>; 2] {
        [self.ends.table(), self.elements.table()]
    }

    fn ends(&self) -> Result<(u64, u64), Error> {
        Ok(self.ends.get()?.map_or((0, 0), |ends| ends.0))
    }

    /// Returns the number of elements in the list of the current record's key.
    pub fn len(&self) -> Result<u64, Error> {
        let (first, next) = self.ends()?;
        Ok(next - first)
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Appends an element to the list.
    pub fn push(&mut self, element: T) -> Result<(), Error> {
        let (first, next) = self.ends()?;
        self.elements.put(&next, element)?;
        self.ends.put(Json((first, next + 1)))
    }

    /// Returns element `index` of the list, counted from 0.
    pub fn get(&self, index: u64) -> Result<Option<T>, Error> {
        let (first, next) = self.ends()?;
        match first.checked_add(index) {
            Some(position) if position < next => self.elements.get(&position),
            _ => Ok(None),
        }
    }

    /// Writes element `index` of the list.
    ///
    /// # Errors
    /// The list has no such element, or no record is being processed.
    pub fn put(&mut self, index: u64, element: T) -> Result<(), Error> {
        let (first, next) = self.ends()?;
        match first.checked_add(index) {
            Some(position) if position < next => self.elements.put(&position, element),
            _ => Err(Error::new(format_args!("no element {index} in a list of {}", next - first))),
        }
    }

    /// Removes and returns the first element of the list. With [`push`](Self::push), the list is a queue or a
    /// sliding window.
    pub fn pop_front(&mut self) -> Result<Option<T>, Error> {
        let (first, next) = self.ends()?;
        if first == next {
            return Ok(None);
        }
        let element = self.elements.get(&first)?;
        self.elements.delete(&first)?;
        if first + 1 == next {
            self.ends.delete()?;
        } else {
            self.ends.put(Json((first + 1, next)))?;
        }
        Ok(element)
    }

    /// Deletes the list.
    pub fn delete(&mut self) -> Result<(), Error> {
        let (first, next) = self.ends()?;
        for position in first..next {
            self.elements.delete(&position)?;
        }
        self.ends.delete()
    }

    /// Iterates over the elements of the list, in order. Writes of this call are included.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<T, Error>> + use<T>, Error> {
        let elements: Scan<u64, T> = self.elements.iter()?;
        Ok(elements.map(|entry| entry.map(|(_, element)| element)))
    }

    /// Iterates over every key of this lane whose list has elements, in byte order, with its elements in order.
    /// Use `entries` in `end`, which has no current record. The key is `None` for records without a key. Writes
    /// of this call are included.
    ///
    /// ```
    /// # use sage_guest::{Emitter, Error, state::List};
    /// # fn end(readings: &List<f64>, out: &mut Emitter) -> Result<(), Error> {
    /// for entry in readings.entries() {
    ///     let (key, readings) = entry?;
    ///     let readings = readings.collect::<Result<Vec<f64>, Error>>()?;
    ///     out.key_or_none(key.as_deref()).emit(readings.iter().sum::<f64>() / readings.len() as f64)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn entries(
        &self,
    ) -> impl Iterator<Item = Result<(Key, impl Iterator<Item = Result<T, Error>> + use<T>), Error>> + use<T> {
        let lists = self.elements.entries();
        lists.map(|list| list.map(|(key, elements)| (key, elements.map(|entry| entry.map(|(_, element)| element)))))
    }
}
