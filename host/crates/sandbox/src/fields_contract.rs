use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

use super::contract::{ColumnRef, ColumnView};
use super::float_list::{F32List, F64List};
use super::store::GuestStore;
use sage_batch::fields::{Bits, FieldColumn, RawField, RawTable, RawValues, Table, Values};

/// `fields.values` as the host sends it. Lowering copies the values once, from their place in memory.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(variant)]
#[expect(dead_code, reason = "the host never sends `same`, a case of answers")]
pub(super) enum ValuesRef<'a> {
    #[component(name = "same")]
    Same(u32),
    #[component(name = "bools")]
    Bools(&'a [u8]),
    #[component(name = "int8s")]
    Int8s(&'a [i8]),
    #[component(name = "int16s")]
    Int16s(&'a [i16]),
    #[component(name = "int32s")]
    Int32s(&'a [i32]),
    #[component(name = "int64s")]
    Int64s(&'a [i64]),
    #[component(name = "uint8s")]
    Uint8s(&'a [u8]),
    #[component(name = "uint16s")]
    Uint16s(&'a [u16]),
    #[component(name = "uint32s")]
    Uint32s(&'a [u32]),
    #[component(name = "uint64s")]
    Uint64s(&'a [u64]),
    #[component(name = "float32s")]
    Float32s(&'a [f32]),
    #[component(name = "float64s")]
    Float64s(&'a [f64]),
    #[component(name = "decimals")]
    Decimals(&'a [u64]),
    #[component(name = "strings")]
    Strings(ColumnRef<'a>),
    #[component(name = "lists")]
    Lists((&'a [u32], u32)),
    #[component(name = "structs")]
    Structs(&'a [u32]),
}

/// `fields.field` as the host sends it.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct FieldRef<'a> {
    values: ValuesRef<'a>,
    validity: Option<&'a [u8]>,
}

/// `fields.table` as the host sends it.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct TableRef<'a> {
    pub(super) rows: u32,
    pub(super) fields: &'a [FieldRef<'a>],
    pub(super) children: &'a [FieldRef<'a>],
}

/// `fields.field-batch` as the host sends it.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct FieldBatchRef<'a> {
    pub(super) table: TableRef<'a>,
    pub(super) keys: Option<ColumnRef<'a>>,
    pub(super) timestamps: Option<&'a [i64]>,
    pub(super) headers: Option<ColumnRef<'a>>,
}

/// `fields.values` as a guest sends it: views of the guest's memory, read in place while the import runs.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum ValuesView {
    #[component(name = "same")]
    Same(u32),
    #[component(name = "bools")]
    Bools(WasmList<u8>),
    #[component(name = "int8s")]
    Int8s(WasmList<i8>),
    #[component(name = "int16s")]
    Int16s(WasmList<i16>),
    #[component(name = "int32s")]
    Int32s(WasmList<i32>),
    #[component(name = "int64s")]
    Int64s(WasmList<i64>),
    #[component(name = "uint8s")]
    Uint8s(WasmList<u8>),
    #[component(name = "uint16s")]
    Uint16s(WasmList<u16>),
    #[component(name = "uint32s")]
    Uint32s(WasmList<u32>),
    #[component(name = "uint64s")]
    Uint64s(WasmList<u64>),
    #[component(name = "float32s")]
    Float32s(F32List),
    #[component(name = "float64s")]
    Float64s(F64List),
    #[component(name = "decimals")]
    Decimals(WasmList<u64>),
    #[component(name = "strings")]
    Strings(ColumnView),
    #[component(name = "lists")]
    Lists((WasmList<u32>, u32)),
    #[component(name = "structs")]
    Structs(WasmList<u32>),
}

/// `fields.field` as a guest sends it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct FieldView {
    values: ValuesView,
    validity: Option<WasmList<u8>>,
}

/// `fields.table` as a guest sends it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct TableView {
    pub(super) rows: u32,
    fields: Vec<FieldView>,
    children: Vec<FieldView>,
}

/// `fields.field-batch` as a guest sends it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct FieldBatchView {
    pub(super) table: TableView,
    pub(super) keys: Option<ColumnView>,
    pub(super) timestamps: Option<WasmList<i64>>,
    pub(super) headers: Option<ColumnView>,
}

impl<'a> FieldRef<'a> {
    /// The column as the host sends it. `children` are the numbers of the columns inside.
    fn of(column: &'a FieldColumn, children: &'a [u32]) -> Self {
        let values = match column.values() {
            Values::Bools(bits) => ValuesRef::Bools(bits.bytes()),
            Values::S8(values) => ValuesRef::Int8s(values),
            Values::S16(values) => ValuesRef::Int16s(values),
            Values::S32(values) => ValuesRef::Int32s(values),
            Values::S64(values) => ValuesRef::Int64s(values),
            Values::U8(values) => ValuesRef::Uint8s(values),
            Values::U16(values) => ValuesRef::Uint16s(values),
            Values::U32(values) => ValuesRef::Uint32s(values),
            Values::U64(values) => ValuesRef::Uint64s(values),
            Values::F32(values) => ValuesRef::Float32s(values),
            Values::F64(values) => ValuesRef::Float64s(values),
            Values::Decimals(words) => ValuesRef::Decimals(words),
            Values::Strings(strings) => ValuesRef::Strings((strings.offsets(), strings.bytes()).into()),
            Values::Lists(offsets) => {
                ValuesRef::Lists((offsets.numbers(), children.first().copied().unwrap_or_default()))
            }
            Values::Structs(_) => ValuesRef::Structs(children),
        };
        Self { values, validity: column.validity().map(Bits::bytes) }
    }
}

/// The columns of a table as the host sends them.
pub(super) struct TableColumns<'a> {
    pub(super) fields: Vec<FieldRef<'a>>,
    pub(super) children: Vec<FieldRef<'a>>,
}

impl<'a> TableColumns<'a> {
    /// `columns` are the numbers of the fields, in the order in which the guest reads them. Each is named once.
    pub(super) fn of(table: &'a Table, columns: &[usize]) -> Self {
        let mut sent = Self { fields: Vec::with_capacity(columns.len()), children: Vec::new() };
        let mut numbers = table.schema().children();
        for column in columns.iter().filter_map(|&column| table.fields().get(column)) {
            let (own, rest) = numbers.split_at_checked(column.inside().len()).unwrap_or((numbers, &[]));
            numbers = rest;
            sent.fields.push(FieldRef::of(column, own));
            sent.children.extend(column.inside().iter().map(|column| FieldRef::of(column, &[])));
        }
        sent
    }
}

impl TableView {
    /// The table in the guest's memory.
    pub(super) fn raw<'a>(&'a self, store: &'a StoreContextMut<'_, GuestStore>) -> RawTable<'a> {
        let raw = |fields: &'a [FieldView]| fields.iter().map(|field| field.raw(store)).collect();
        RawTable { fields: raw(&self.fields), children: raw(&self.children) }
    }
}

impl FieldView {
    /// The field in the guest's memory.
    fn raw<'a>(&'a self, store: &'a StoreContextMut<'_, GuestStore>) -> RawField<'a> {
        let values = match &self.values {
            ValuesView::Same(number) => RawValues::Same(*number),
            ValuesView::Bools(values) => RawValues::Bools(values.as_le_slice(store)),
            ValuesView::Int8s(values) => RawValues::S8(values.as_le_slice(store)),
            ValuesView::Int16s(values) => RawValues::S16(values.as_le_slice(store)),
            ValuesView::Int32s(values) => RawValues::S32(values.as_le_slice(store)),
            ValuesView::Int64s(values) => RawValues::S64(values.as_le_slice(store)),
            ValuesView::Uint8s(values) => RawValues::U8(values.as_le_slice(store)),
            ValuesView::Uint16s(values) => RawValues::U16(values.as_le_slice(store)),
            ValuesView::Uint32s(values) => RawValues::U32(values.as_le_slice(store)),
            ValuesView::Uint64s(values) => RawValues::U64(values.as_le_slice(store)),
            ValuesView::Float32s(values) => RawValues::F32(values.as_slice(store)),
            ValuesView::Float64s(values) => RawValues::F64(values.as_slice(store)),
            ValuesView::Decimals(words) => RawValues::Decimals(words.as_le_slice(store)),
            ValuesView::Strings(column) => {
                RawValues::Strings(column.offsets.as_le_slice(store), column.bytes.as_le_slice(store))
            }
            ValuesView::Lists((offsets, child)) => RawValues::Lists(offsets.as_le_slice(store), *child),
            ValuesView::Structs(members) => RawValues::Structs(members.as_le_slice(store)),
        };
        RawField { values, validity: self.validity.as_ref().map(|bits| bits.as_le_slice(store)) }
    }
}
