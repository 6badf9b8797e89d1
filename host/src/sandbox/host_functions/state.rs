use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::batch::{Column, Malformed};
use crate::sandbox::contract::{ColumnView, EntriesOwned, PACKAGE, ValuesOwned, WIT_VERSION};
use crate::sandbox::failure::HostTrap;
use crate::sandbox::keyed_state::KeyedState;
use crate::sandbox::store::GuestStore;

type Store<'a> = StoreContextMut<'a, GuestStore>;
type Bytes = WasmList<u8>;

/// The most entries that one scan answers.
const SCAN_LIMIT: u32 = 4096;

/// Links `sage:operator/state`.
pub(in crate::sandbox) fn link_state(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut state = linker.instance(&format!("{PACKAGE}state@{WIT_VERSION}"))?;
    state.func_wrap("get", |store: Store<'_>, (table, keys): (WasmStr, ColumnView)| {
        let (table, keys) = (table.to_str(&store)?, keys.read("keys", &store)?);
        let state = &store.data().state;
        Ok((values(state, keys.iter().map(|key| state.get(&table, key)))?,))
    })?;
    state.func_wrap("put", |mut store: Store<'_>, (table, keys, values): (WasmStr, ColumnView, ColumnView)| {
        store.data().may_keep_state()?;
        let (keys, values) = pairs(&store, "keys", &keys, &values)?;
        let table = table.to_str(&store)?.into_owned();
        store.data_mut().state.put(&table, keys.iter().zip(values.iter()))
    })?;
    state.func_wrap("delete", |mut store: Store<'_>, (table, keys): (WasmStr, ColumnView)| {
        let (table, keys) = (table.to_str(&store)?.into_owned(), keys.read("keys", &store)?);
        let state: &mut KeyedState = &mut store.data_mut().state;
        keys.iter().try_for_each(|key| state.delete(&table, key))
    })?;
    state.func_wrap("map-get", |store: Store<'_>, (table, key, subkeys): (WasmStr, Bytes, ColumnView)| {
        let (table, subkeys) = (table.to_str(&store)?, subkeys.read("subkeys", &store)?);
        let key = key.as_le_slice(&store);
        let state = &store.data().state;
        Ok((values(state, subkeys.iter().map(|subkey| state.map_get(&table, key, subkey)))?,))
    })?;
    state.func_wrap(
        "map-put",
        |mut store: Store<'_>, (table, key, subkeys, values): (WasmStr, Bytes, ColumnView, ColumnView)| {
            store.data().may_keep_state()?;
            let (subkeys, values) = pairs(&store, "subkeys", &subkeys, &values)?;
            let (table, key) = (table.to_str(&store)?.into_owned(), key.as_le_slice(&store).to_vec());
            let state = &mut store.data_mut().state;
            subkeys.iter().zip(values.iter()).try_for_each(|(sub, value)| state.map_put(&table, &key, sub, value))
        },
    )?;
    state.func_wrap("map-delete", |mut store: Store<'_>, (table, key, subkeys): (WasmStr, Bytes, ColumnView)| {
        let subkeys = subkeys.read("subkeys", &store)?;
        let (table, key) = (table.to_str(&store)?.into_owned(), key.as_le_slice(&store).to_vec());
        let state = &mut store.data_mut().state;
        subkeys.iter().try_for_each(|subkey| state.map_delete(&table, &key, subkey))
    })?;
    state.func_wrap(
        "map-scan",
        |store: Store<'_>, (table, key, after, limit): (WasmStr, Bytes, Option<Bytes>, u32)| {
            let table = table.to_str(&store)?;
            let after = after.as_ref().map(|after| after.as_le_slice(&store));
            let limit = limit.min(SCAN_LIMIT) as usize;
            let (subkeys, values) = store.data().state.map_scan(&table, key.as_le_slice(&store), after, limit)?;
            Ok((EntriesOwned { subkeys: subkeys.into(), values: values.into() },))
        },
    )?;
    state.func_wrap("keys-scan", |store: Store<'_>, (table, after, limit): (WasmStr, Option<Bytes>, u32)| {
        let table = table.to_str(&store)?;
        let after = after.as_ref().map(|after| after.as_le_slice(&store));
        let (keys, values) = store.data().state.keys_scan(&table, after, limit.min(SCAN_LIMIT) as usize)?;
        Ok((EntriesOwned { subkeys: keys.into(), values: values.into() },))
    })
}

impl ColumnView {
    fn read(&self, name: &'static str, store: &Store<'_>) -> wasmtime::Result<Column> {
        let mut column = Column::new();
        let (offsets, bytes) =
            (self.offsets.as_le_slice(store.as_context()), self.bytes.as_le_slice(store.as_context()));
        column.assign(name, offsets, bytes).map_err(|broken| HostTrap::malformed(&broken))?;
        Ok(column)
    }
}

fn pairs(
    store: &Store<'_>,
    name: &'static str,
    keys: &ColumnView,
    values: &ColumnView,
) -> wasmtime::Result<(Column, Column)> {
    let (keys, values) = (keys.read(name, store)?, values.read("values", store)?);
    if keys.len() != values.len() {
        let broken = Malformed::Count { column: "values", found: values.len(), expected: keys.len() };
        return Err(HostTrap::malformed(&broken));
    }
    Ok((keys, values))
}

fn values<'a>(
    state: &KeyedState,
    found: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) -> wasmtime::Result<ValuesOwned> {
    let mut present = vec![0; found.len().div_ceil(8)];
    let mut values = Column::new();
    let mut answer = 0;
    for (row, value) in found.enumerate() {
        state.weigh_answer(&mut answer, value.map_or(0, <[u8]>::len))?;
        if let (Some(_), Some(byte)) = (value, present.get_mut(row / 8)) {
            *byte |= 1 << (row % 8);
        }
        values.push(value.unwrap_or_default());
    }
    Ok(ValuesOwned { present, values: values.into() })
}
