use wasmtime::component::{Linker, WasmList};
use wasmtime::{AsContext, StoreContextMut};

use crate::answer::Answer;
use crate::contract::{BatchView, ColumnView, PACKAGE, WIT_VERSION};
use crate::fields_contract::{FieldBatchView, TableView};
use crate::store::GuestStore;
use sage_batch::RawColumns;
use sage_plan::Kind;

type Store<'a> = StoreContextMut<'a, GuestStore>;

/// Links `sage:operator/output`.
pub(crate) fn link_output(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut output = linker.instance(&format!("{PACKAGE}output@{WIT_VERSION}"))?;
    output.func_wrap("payloads", |mut store: Store<'_>, (payloads,): (ColumnView,)| {
        with_answer(&mut store, |answer, store| {
            let (offsets, bytes) = payloads.slices(store);
            answer.take_column(Kind::Map, "payloads", offsets, bytes)
        })
    })?;
    output.func_wrap("keep", |mut store: Store<'_>, (bitmap,): (WasmList<u8>,)| {
        with_answer(&mut store, |answer, store| answer.take_bitmap(bitmap.as_le_slice(store)))
    })?;
    output.func_wrap("rows", |mut store: Store<'_>, (payloads, parents): (ColumnView, WasmList<u32>)| {
        with_answer(&mut store, |answer, store| {
            let (offsets, bytes) = payloads.slices(store);
            answer.take_rows(offsets, bytes, parents.as_le_slice(store))
        })
    })?;
    output.func_wrap("keys", |mut store: Store<'_>, (keys,): (ColumnView,)| {
        with_answer(&mut store, |answer, store| {
            let (offsets, bytes) = keys.slices(store);
            answer.take_column(Kind::KeyBy, "keys", offsets, bytes)
        })
    })?;
    output.func_wrap(
        "emit",
        |mut store: Store<'_>, (port, batch, parents): (u32, BatchView, Option<WasmList<u32>>)| {
            with_answer(&mut store, |answer, store| {
                let columns = RawColumns {
                    payloads: batch.payloads.slices(store),
                    keys: batch.keys.as_ref().map(|keys| keys.slices(store)),
                    timestamps: batch.timestamps.as_ref().map(|times| times.as_le_slice(store)),
                    headers: batch.headers.as_ref().map(|headers| headers.slices(store)),
                };
                let parents = parents.as_ref().map(|parents| parents.as_le_slice(store));
                answer.take_emission(port, columns, parents)
            })
        },
    )?;
    output.func_wrap("failures", |mut store: Store<'_>, (rows, messages): (WasmList<u32>, ColumnView)| {
        with_answer(&mut store, |answer, store| {
            let (offsets, bytes) = messages.slices(store);
            answer.take_failures(rows.as_le_slice(store), offsets, bytes)
        })
    })
}

/// Links `sage:operator/windows-output`.
pub(crate) fn link_windows_output(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut output = linker.instance(&format!("{PACKAGE}windows-output@{WIT_VERSION}"))?;
    output.func_wrap("accumulators", |mut store: Store<'_>, (values,): (ColumnView,)| {
        with_answer(&mut store, |answer, store| {
            let (offsets, bytes) = values.slices(store);
            answer.take_accumulators(offsets, bytes)
        })
    })
}

/// Links `sage:operator/fields-output`.
pub(crate) fn link_fields_output(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut output = linker.instance(&format!("{PACKAGE}fields-output@{WIT_VERSION}"))?;
    output.func_wrap("columns", |mut store: Store<'_>, (table,): (TableView,)| {
        with_answer(&mut store, |answer, store| answer.take_table(table.rows, &table.raw(store)))
    })?;
    output.func_wrap("rows", |mut store: Store<'_>, (table, parents): (TableView, WasmList<u32>)| {
        with_answer(&mut store, |answer, store| {
            answer.take_table_rows(table.rows, &table.raw(store), parents.as_le_slice(store))
        })
    })?;
    output.func_wrap(
        "emit",
        |mut store: Store<'_>, (port, batch, parents): (u32, FieldBatchView, Option<WasmList<u32>>)| {
            with_answer(&mut store, |answer, store| {
                let columns = RawColumns {
                    payloads: (&[], &[]),
                    keys: batch.keys.as_ref().map(|keys| keys.slices(store)),
                    timestamps: batch.timestamps.as_ref().map(|times| times.as_le_slice(store)),
                    headers: batch.headers.as_ref().map(|headers| headers.slices(store)),
                };
                let parents = parents.as_ref().map(|parents| parents.as_le_slice(store));
                answer.take_field_emission(port, (batch.table.rows, &batch.table.raw(store)), columns, parents)
            })
        },
    )
}

/// Moves the answer out of the store for a moment, so that the answer can be written while the guest's memory
/// is read. No guest code runs in between, so no guest sees the missing answer.
fn with_answer(
    store: &mut Store<'_>,
    take: impl FnOnce(&mut Answer, &Store<'_>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    let Some(mut answer) = store.data_mut().answer.take() else { return Ok(()) };
    let result = take(&mut answer, store);
    store.data_mut().answer = Some(answer);
    result
}

impl ColumnView {
    pub(super) fn slices<'a>(&self, store: &'a Store<'_>) -> (&'a [u32], &'a [u8]) {
        (self.offsets.as_le_slice(store.as_context()), self.bytes.as_le_slice(store.as_context()))
    }
}
