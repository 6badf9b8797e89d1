use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use crate::fields::{FieldBatch, Table as FieldTable};
use crate::inference::LeaseState;
use crate::log::Level;
use crate::testing::Model;
use crate::types::{Batch, Column};

thread_local! {
    static RECORDER: RefCell<Recorder> = RefCell::new(Recorder::default());
}

/// The calls that a host would have received, and the state that it would hold.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) payloads: Vec<Column>,
    pub(crate) keep: Vec<Vec<u8>>,
    pub(crate) rows: Vec<(Column, Vec<u32>)>,
    pub(crate) keys: Vec<Column>,
    pub(crate) columns: Vec<FieldTable>,
    pub(crate) field_rows: Vec<(FieldTable, Vec<u32>)>,
    pub(crate) field_emitted: Vec<(u32, FieldBatch, Option<Vec<u32>>)>,
    pub(crate) emitted: Vec<(u32, Batch, Option<Vec<u32>>)>,
    pub(crate) accumulators: Vec<Column>,
    pub(crate) failures: Vec<(u32, String)>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) gauges: BTreeMap<String, f64>,
    pub(crate) histograms: BTreeMap<String, Vec<f64>>,
    pub(crate) tables: BTreeMap<String, Table>,
    /// Number of calls of `state`, of any function.
    pub(crate) state_calls: usize,
    /// State of the instance's lease; `None` if the instance has no lease.
    pub(crate) lease: Option<LeaseState>,
    /// The models that the operator may open.
    pub(crate) models: Vec<Rc<Model>>,
    /// The edge of the current call. `None` in a call without records.
    pub(crate) edge: Option<String>,
}

/// A table of keyed state.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) keys: BTreeMap<Vec<u8>, Entry>,
}

/// The value and the map of one key. At least one of them is present.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) map: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Runs `call` with `recorder` as the host of this thread.
pub(crate) fn enter<R>(recorder: &mut Recorder, call: impl FnOnce() -> R) -> R {
    RECORDER.with_borrow_mut(|current| std::mem::swap(current, recorder));
    let result = call();
    RECORDER.with_borrow_mut(|current| std::mem::swap(current, recorder));
    result
}

pub(crate) fn edge() -> Option<String> {
    RECORDER.with_borrow(|host| host.edge.clone())
}

pub(crate) fn payloads(payloads: &Column) {
    RECORDER.with_borrow_mut(|host| host.payloads.push(payloads.clone()));
}

pub(crate) fn keep(bitmap: &[u8]) {
    RECORDER.with_borrow_mut(|host| host.keep.push(bitmap.to_vec()));
}

pub(crate) fn rows(payloads: &Column, parents: &[u32]) {
    RECORDER.with_borrow_mut(|host| host.rows.push((payloads.clone(), parents.to_vec())));
}

pub(crate) fn keys(keys: &Column) {
    RECORDER.with_borrow_mut(|host| host.keys.push(keys.clone()));
}

pub(crate) fn columns(table: &FieldTable) {
    RECORDER.with_borrow_mut(|host| host.columns.push(table.clone()));
}

pub(crate) fn field_rows(table: &FieldTable, parents: &[u32]) {
    RECORDER.with_borrow_mut(|host| host.field_rows.push((table.clone(), parents.to_vec())));
}

pub(crate) fn field_emit(port: u32, batch: &FieldBatch, parents: Option<&[u32]>) {
    RECORDER.with_borrow_mut(|host| {
        host.field_emitted.push((port, batch.clone(), parents.map(<[u32]>::to_vec)));
    });
}

pub(crate) fn emit(port: u32, batch: &Batch, parents: Option<&[u32]>) {
    RECORDER.with_borrow_mut(|host| {
        host.emitted.push((port, batch.clone(), parents.map(<[u32]>::to_vec)));
    });
}

pub(crate) fn accumulators(values: &Column) {
    RECORDER.with_borrow_mut(|host| host.accumulators.push(values.clone()));
}

pub(crate) fn failures(rows: &[u32], messages: &Column) {
    RECORDER.with_borrow_mut(|host| {
        let messages = messages.iter().map(|text| String::from_utf8_lossy(text).into_owned());
        host.failures.extend(rows.iter().copied().zip(messages));
    });
}

pub(crate) fn log(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
    RECORDER.with_borrow_mut(|host| host.logs.push((level, message.to_owned())));
}

pub(crate) fn counter(name: &str, add: u64) {
    RECORDER.with_borrow_mut(|host| {
        *host.counters.entry(name.to_owned()).or_default() += add;
    });
}

pub(crate) fn gauge(name: &str, value: f64) {
    RECORDER.with_borrow_mut(|host| host.gauges.insert(name.to_owned(), value));
}

pub(crate) fn histogram(name: &str, value: f64) {
    RECORDER.with_borrow_mut(|host| {
        host.histograms.entry(name.to_owned()).or_default().push(value);
    });
}

/// Keyed state; see `wit/imports.wit`.
pub(crate) mod state {
    use super::{BTreeMap, Bound, Column, Entry, RECORDER, Table};
    use crate::host::{Entries, Values};

    /// The contract's limit on the entries of one page of a scan.
    const PAGE: u32 = 4096;

    fn with<R>(table: &str, call: impl FnOnce(&mut Table) -> R) -> R {
        RECORDER.with_borrow_mut(|host| {
            host.state_calls += 1;
            call(host.tables.entry(table.to_owned()).or_default())
        })
    }

    fn values<'a>(found: impl Iterator<Item = Option<&'a [u8]>>) -> Values {
        let mut present = Vec::new();
        let mut values = Column::new();
        for (index, value) in found.enumerate() {
            if index % 8 == 0 {
                present.push(0);
            }
            if let (Some(_), Some(byte)) = (value, present.last_mut()) {
                *byte |= 1 << (index % 8);
            }
            values.push(value.unwrap_or_default());
        }
        Values { present, values }
    }

    fn page<'a>(found: impl Iterator<Item = (&'a [u8], &'a [u8])>, limit: u32) -> Entries {
        let mut subkeys = Column::new();
        let mut values = Column::new();
        for (key, value) in found.take(limit.min(PAGE) as usize) {
            subkeys.push(key);
            values.push(value);
        }
        Entries { subkeys, values }
    }

    fn from(after: Option<&[u8]>) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
    }

    pub(crate) fn get(table: &str, keys: &Column) -> Values {
        with(table, |table| values(keys.iter().map(|key| table.keys.get(key)?.value.as_deref())))
    }

    pub(crate) fn put(table: &str, keys: &Column, values: &Column) {
        with(table, |table| {
            for (key, value) in keys.iter().zip(values.iter()) {
                table.keys.entry(key.to_vec()).or_default().value = Some(value.to_vec());
            }
        });
    }

    pub(crate) fn delete(table: &str, keys: &Column) {
        with(table, |table| {
            for key in keys.iter() {
                table.keys.remove(key);
            }
        });
    }

    pub(crate) fn map_get(table: &str, key: &[u8], subkeys: &Column) -> Values {
        with(table, |table| {
            let map = table.keys.get(key).map(|entry| &entry.map);
            values(subkeys.iter().map(|subkey| map?.get(subkey).map(Vec::as_slice)))
        })
    }

    pub(crate) fn map_put(table: &str, key: &[u8], subkeys: &Column, values: &Column) {
        with(table, |table| {
            if subkeys.is_empty() {
                return;
            }
            let map = &mut table.keys.entry(key.to_vec()).or_default().map;
            for (subkey, value) in subkeys.iter().zip(values.iter()) {
                map.insert(subkey.to_vec(), value.to_vec());
            }
        });
    }

    pub(crate) fn map_delete(table: &str, key: &[u8], subkeys: &Column) {
        with(table, |table| {
            let Some(entry) = table.keys.get_mut(key) else {
                return;
            };
            for subkey in subkeys.iter() {
                entry.map.remove(subkey);
            }
            if entry.value.is_none() && entry.map.is_empty() {
                table.keys.remove(key);
            }
        });
    }

    pub(crate) fn map_scan(table: &str, key: &[u8], after: Option<&[u8]>, limit: u32) -> Entries {
        let none = BTreeMap::new();
        with(table, |table| {
            let map = table.keys.get(key).map_or(&none, |Entry { map, .. }| map);
            let found = map.range::<[u8], _>(from(after));
            page(found.map(|(key, value)| (key.as_slice(), value.as_slice())), limit)
        })
    }

    pub(crate) fn keys_scan(table: &str, after: Option<&[u8]>, limit: u32) -> Entries {
        with(table, |table| {
            let found = table.keys.range::<[u8], _>(from(after));
            page(found.map(|(key, entry)| (key.as_slice(), entry.value.as_deref().unwrap_or_default())), limit)
        })
    }
}

/// Models; see `wit/inference.wit`.
pub(crate) mod inference {
    use super::{LeaseState, RECORDER, Rc};
    use crate::inference::{InferenceError, LeaseEnd, Outputs, Tensor, TensorSpec};

    pub(crate) struct Lease;
    pub(crate) struct Model(Rc<crate::testing::Model>);

    /// Returns at once, because nothing can change the state of the lease meanwhile.
    pub(crate) fn acquire(_patience_ms: u32) -> Result<Lease, InferenceError> {
        held().map(|()| Lease)
    }

    fn held() -> Result<(), InferenceError> {
        match RECORDER.with_borrow(|host| host.lease) {
            None => Err(InferenceError::NoLease),
            Some(LeaseState::Held) => Ok(()),
            Some(LeaseState::Pending) => Err(InferenceError::Deadline),
            Some(LeaseState::Draining) => Err(InferenceError::LeaseLost(LeaseEnd::Draining)),
            Some(LeaseState::Revoked | LeaseState::Released) => Err(InferenceError::LeaseLost(LeaseEnd::Revoked)),
            Some(LeaseState::Expired) => Err(InferenceError::LeaseLost(LeaseEnd::Expired)),
            Some(LeaseState::DeviceLost) => Err(InferenceError::DeviceLost("the test says so".to_owned())),
        }
    }

    impl Lease {
        pub(crate) fn state(&self) -> LeaseState {
            RECORDER.with_borrow(|host| host.lease).unwrap_or(LeaseState::Released)
        }

        /// A whole device.
        #[expect(clippy::unused_self, reason = "there is one lease; in a component this is its handle")]
        pub(crate) fn share(&self) -> u32 {
            10_000
        }

        #[expect(clippy::unused_self, reason = "there is one lease; in a component this is its handle")]
        pub(crate) fn open(&self, name: &str) -> Result<Model, InferenceError> {
            held()?;
            let found =
                RECORDER.with_borrow(|host| host.models.iter().find(|model| model.name() == name).map(Rc::clone));
            found.map(Model).ok_or_else(|| InferenceError::UnknownModel(name.to_owned()))
        }
    }

    impl Model {
        pub(crate) fn inputs(&self) -> Vec<TensorSpec> {
            self.0.inputs().to_vec()
        }

        pub(crate) fn outputs(&self) -> Vec<TensorSpec> {
            self.0.outputs().to_vec()
        }

        pub(crate) fn run(&self, inputs: &[Tensor<'_>], _deadline_ms: Option<u32>) -> Result<Outputs, InferenceError> {
            held()?;
            self.0.run(inputs)
        }
    }
}
