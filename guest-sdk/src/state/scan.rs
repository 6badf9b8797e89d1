use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::fmt;
use std::iter::Peekable;
use std::marker::PhantomData;

use super::{State, StateKey};
use crate::Error;
use crate::host::Entries;

/// Number of entries to request in one call.
pub(super) const PAGE: u32 = 1024;

/// Asks the host for the entries after a key.
type Fetch = Box<dyn FnMut(Option<&[u8]>) -> Entries>;

/// An iterator over the entries of a table or of a map, in the byte order of their keys. The entries are
/// fetched page by page.
///
/// The scan shows the table at the start of the scan, including earlier writes of the same call.
pub struct Scan<K, V> {
    fetch: Fetch,
    page: Entries,
    next: usize,
    ended: bool,
    /// Writes that the host does not know yet; `None` is a deleted entry.
    unwritten: Peekable<IntoIter<Vec<u8>, Option<V>>>,
    keys: PhantomData<fn() -> K>,
}

impl<K: StateKey, V: State> Scan<K, V> {
    pub(super) fn new(
        unwritten: BTreeMap<Vec<u8>, Option<V>>,
        fetch: impl FnMut(Option<&[u8]>) -> Entries + 'static,
    ) -> Self {
        let mut scan = Self {
            fetch: Box::new(fetch),
            page: Entries { subkeys: Default::default(), values: Default::default() },
            next: 0,
            ended: false,
            unwritten: unwritten.into_iter().peekable(),
            keys: PhantomData,
        };
        scan.page = (scan.fetch)(None);
        scan
    }

    /// Returns whether no entry is left.
    pub(super) fn is_empty(&mut self) -> bool {
        // A locally deleted entry is skipped, together with the host's entry of the same key.
        while let Some(None) = self.unwritten.peek().map(|(_, value)| value.as_ref()) {
            let ours = self.unwritten.peek().map(|(key, _)| key.clone());
            let theirs = self.peek();
            match (&ours, theirs) {
                (Some(ours), Some(theirs)) if theirs < ours.as_slice() => return false,
                (Some(ours), Some(theirs)) if theirs == ours.as_slice() => self.next += 1,
                _ => {}
            }
            self.unwritten.next();
        }
        self.unwritten.peek().is_none() && self.peek().is_none()
    }

    /// Returns the host's next key, if there is one.
    fn peek(&mut self) -> Option<&[u8]> {
        if self.next >= self.page.subkeys.len() && !self.ended {
            match self.page.subkeys.len().checked_sub(1).and_then(|last| self.page.subkeys.get(last)) {
                Some(last) => {
                    let page = (self.fetch)(Some(last));
                    self.page = page;
                    self.next = 0;
                }
                None => self.ended = true,
            }
            self.ended |= self.page.subkeys.is_empty();
        }
        self.page.subkeys.get(self.next)
    }

    /// Returns the host's next entry.
    fn take(&mut self) -> Option<Result<(K, V), Error>> {
        let key = self.page.subkeys.get(self.next)?;
        let value = self.page.values.get(self.next)?;
        self.next += 1;
        Some(K::decode_key(key).and_then(|key| Ok((key, V::decode(value)?))))
    }
}

impl<K: StateKey, V: State> Iterator for Scan<K, V> {
    type Item = Result<(K, V), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ours = self.unwritten.peek().map(|(key, _)| key.clone());
            let theirs = self.peek();
            match (ours, theirs) {
                (None, None) => return None,
                (None, Some(_)) => return self.take(),
                (Some(ours), Some(theirs)) if theirs < ours.as_slice() => return self.take(),
                (Some(ours), theirs) => {
                    if theirs == Some(ours.as_slice()) {
                        // The local entry is newer.
                        self.next += 1;
                    }
                    if let Some((key, Some(value))) = self.unwritten.next() {
                        return Some(K::decode_key(&key).map(|key| (key, value)));
                    }
                }
            }
        }
    }
}

impl<K, V> fmt::Debug for Scan<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}
