use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::charged::{ARGUMENTS, Charged};
use crate::contract::{ColumnView, EntriesOwned, PACKAGE, ValuesOwned, WIT_VERSION};
use crate::deadline::Deadline;
use crate::failure::HostTrap;
use crate::keyed_state::KeyedState;
use crate::store::GuestStore;
use sage_batch::{Column, Malformed};

type Store<'a> = StoreContextMut<'a, GuestStore>;
type Bytes = WasmList<u8>;

/// Most entries that one scan returns.
const SCAN_LIMIT: u32 = 4096;

/// Links `sage:operator/state`.
pub(crate) fn link_state(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut state = linker.instance(&format!("{PACKAGE}state@{WIT_VERSION}"))?;
    state.func_wrap("get", |mut store: Store<'_>, (table, keys): (WasmStr, ColumnView)| {
        let (table, keys) = (table.to_str(&store)?.into_owned(), keys.read("keys", &store)?);
        let GuestStore { state, deadline, .. } = store.data_mut();
        Ok((values(state, deadline, keys.iter(), state.values(&table))?,))
    })?;
    state.func_wrap("put", |mut store: Store<'_>, (table, keys, values): (WasmStr, ColumnView, ColumnView)| {
        store.data().may_keep_state()?;
        let (keys, values) = pairs(&store, "keys", &keys, &values)?;
        let table = table.to_str(&store)?.into_owned();
        let GuestStore { state, deadline, .. } = store.data_mut();
        let table = state.table_or_new(&table)?;
        keys.iter().zip(values.iter()).try_for_each(|(key, value)| {
            deadline.worked(key.len() + value.len())?;
            state.put_in(table, key, value)
        })
    })?;
    state.func_wrap("delete", |mut store: Store<'_>, (table, keys): (WasmStr, ColumnView)| {
        let (table, keys) = (table.to_str(&store)?.into_owned(), keys.read("keys", &store)?);
        let GuestStore { state, deadline, .. } = store.data_mut();
        keys.iter().try_for_each(|key| {
            // Each deletion looks up the table's name.
            deadline.worked(table.len() + key.len())?;
            state.delete(&table, key)
        })
    })?;
    state.func_wrap("map-get", |mut store: Store<'_>, (table, key, subkeys): (WasmStr, Bytes, ColumnView)| {
        let (table, subkeys) = (table.to_str(&store)?.into_owned(), subkeys.read("subkeys", &store)?);
        let key = key.as_le_slice(&store).to_vec();
        let GuestStore { state, deadline, .. } = store.data_mut();
        Ok((values(state, deadline, subkeys.iter(), state.entries(&table, &key))?,))
    })?;
    state.func_wrap(
        "map-put",
        |mut store: Store<'_>, (table, key, subkeys, values): (WasmStr, Bytes, ColumnView, ColumnView)| {
            store.data().may_keep_state()?;
            let (subkeys, values) = pairs(&store, "subkeys", &subkeys, &values)?;
            let (table, key) = (table.to_str(&store)?.into_owned(), key.as_le_slice(&store).to_vec());
            let GuestStore { state, deadline, .. } = store.data_mut();
            if subkeys.is_empty() {
                return Ok(());
            }
            let at = state.slot(&table, &key)?;
            subkeys.iter().zip(values.iter()).try_for_each(|(subkey, value)| {
                deadline.worked(subkey.len() + value.len())?;
                state.map_put_at(at, subkey, value)
            })
        },
    )?;
    state.func_wrap("map-delete", |mut store: Store<'_>, (table, key, subkeys): (WasmStr, Bytes, ColumnView)| {
        let subkeys = subkeys.read("subkeys", &store)?;
        let (table, key) = (table.to_str(&store)?.into_owned(), key.as_le_slice(&store).to_vec());
        let GuestStore { state, deadline, .. } = store.data_mut();
        let Some(at) = state.locate(&table, &key) else { return Ok(()) };
        subkeys.iter().try_for_each(|subkey| {
            deadline.worked(subkey.len())?;
            state.map_delete_at(at, subkey)
        })
    })?;
    state.func_wrap(
        "map-scan",
        |mut store: Store<'_>, (table, key, after, limit): (WasmStr, Bytes, Option<Bytes>, u32)| {
            let (table, key) = (table.to_str(&store)?.into_owned(), key.as_le_slice(&store).to_vec());
            let after = after.as_ref().map(|after| after.as_le_slice(&store).to_vec());
            let page = (after.as_deref(), limit.min(SCAN_LIMIT) as usize);
            let GuestStore { state, deadline, .. } = store.data_mut();
            let (subkeys, values) = state.map_scan(&table, &key, page, &mut |bytes| deadline.worked(bytes))?;
            Ok((EntriesOwned { subkeys: subkeys.into(), values: values.into() },))
        },
    )?;
    state.func_wrap("keys-scan", |mut store: Store<'_>, (table, after, limit): (WasmStr, Option<Bytes>, u32)| {
        let table = table.to_str(&store)?.into_owned();
        let after = after.as_ref().map(|after| after.as_le_slice(&store).to_vec());
        let page = (after.as_deref(), limit.min(SCAN_LIMIT) as usize);
        let GuestStore { state, deadline, .. } = store.data_mut();
        let (keys, values) = state.keys_scan(&table, page, &mut |bytes| deadline.worked(bytes))?;
        Ok((EntriesOwned { subkeys: keys.into(), values: values.into() },))
    })
}

impl ColumnView {
    /// A copy of the column. The copy counts towards the instance's memory while it exists.
    fn read(&self, name: &'static str, store: &Store<'_>) -> wasmtime::Result<Charged<Column>> {
        let (offsets, bytes) =
            (self.offsets.as_le_slice(store.as_context()), self.bytes.as_le_slice(store.as_context()));
        let size = size_of_val(offsets).saturating_add(bytes.len());
        Charged::of(store.data().limiter.shared_budget(), ARGUMENTS, size, || {
            let mut column = Column::new();
            column.assign(name, offsets, bytes).map_err(|broken| HostTrap::malformed(&broken))?;
            Ok(column)
        })
    }
}

fn pairs(
    store: &Store<'_>,
    name: &'static str,
    keys: &ColumnView,
    values: &ColumnView,
) -> wasmtime::Result<(Charged<Column>, Charged<Column>)> {
    let (keys, values) = (keys.read(name, store)?, values.read("values", store)?);
    if keys.len() != values.len() {
        let broken = Malformed::Count { column: "values", found: values.len(), expected: keys.len() };
        return Err(HostTrap::malformed(&broken));
    }
    Ok((keys, values))
}

fn values<'k, 'v>(
    state: &KeyedState,
    deadline: &mut Deadline,
    keys: impl ExactSizeIterator<Item = &'k [u8]>,
    find: impl Fn(&[u8]) -> Option<&'v [u8]>,
) -> wasmtime::Result<ValuesOwned> {
    let mut present = vec![0; keys.len().div_ceil(8)];
    let mut values = Column::new();
    let mut answer = 0;
    for (row, key) in keys.enumerate() {
        let value = find(key);
        let bytes = value.map_or(0, <[u8]>::len);
        deadline.worked(key.len() + bytes)?;
        state.weigh_answer(&mut answer, bytes)?;
        if let (Some(_), Some(byte)) = (value, present.get_mut(row / 8)) {
            *byte |= 1 << (row % 8);
        }
        values.push(value.unwrap_or_default());
    }
    Ok(ValuesOwned { present, values: values.into() })
}
