use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

use sage_batch::Column;

/// The version of the WIT package `sage:operator` that this host speaks.
pub const WIT_VERSION: &str = "0.1.3";

/// Prefix of the names of the package's interfaces.
pub(super) const PACKAGE: &str = "sage:operator/";

/// Whether a guest that was built for `version` of the package runs here: only versions of the same 0.x line
/// do.
pub(super) fn speaks(version: &str) -> bool {
    let line = |version: &str| version.rsplit_once('.').map(|(line, _)| line.to_owned());
    line(version) == line(WIT_VERSION)
}

/// `types.column` as a guest sends it: a view of the guest's memory, read in place while the import runs.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ColumnView {
    pub(super) offsets: WasmList<u32>,
    pub(super) bytes: WasmList<u8>,
}

/// `types.batch` as a guest sends it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct BatchView {
    pub(super) payloads: ColumnView,
    pub(super) keys: Option<ColumnView>,
    pub(super) timestamps: Option<WasmList<i64>>,
    pub(super) headers: Option<ColumnView>,
}

/// `types.column` as the host sends it. Lowering copies the column once, from its place in memory.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ColumnRef<'a> {
    offsets: &'a [u32],
    bytes: &'a [u8],
}

/// `types.batch` as the host sends it.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct BatchRef<'a> {
    pub(super) payloads: ColumnRef<'a>,
    pub(super) keys: Option<ColumnRef<'a>>,
    pub(super) timestamps: Option<&'a [i64]>,
    pub(super) headers: Option<ColumnRef<'a>>,
}

/// `windows.closing`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ClosingRef<'a> {
    pub(super) keys: ColumnRef<'a>,
    pub(super) starts: &'a [i64],
    pub(super) ends: &'a [i64],
    pub(super) accumulators: ColumnRef<'a>,
    pub(super) emissions: &'a [u32],
}

/// `types.context`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ContextRef<'a> {
    pub(super) operator: &'a str,
    pub(super) instance: u32,
    pub(super) parallelism: u32,
    pub(super) lane: u32,
    pub(super) lanes: u32,
    pub(super) config: &'a str,
}

/// `reader.progress`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(variant)]
pub(super) enum ProgressView {
    #[component(name = "more")]
    More,
    #[component(name = "idle")]
    Idle(u32),
    #[component(name = "end")]
    End,
}

/// `log.level`.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "lifting creates the variants from the guest's number")]
pub(super) enum LevelView {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// A column within `state.values` and `state.entries`, as the host returns them.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ColumnOwned {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

/// `state.values`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ValuesOwned {
    pub(super) present: Vec<u8>,
    pub(super) values: ColumnOwned,
}

/// `state.entries`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct EntriesOwned {
    pub(super) subkeys: ColumnOwned,
    pub(super) values: ColumnOwned,
}

impl<'a> From<(&'a [u32], &'a [u8])> for ColumnRef<'a> {
    fn from((offsets, bytes): (&'a [u32], &'a [u8])) -> Self {
        Self { offsets, bytes }
    }
}

impl From<Column> for ColumnOwned {
    fn from(column: Column) -> Self {
        Self { offsets: column.offsets().to_vec(), bytes: column.bytes().to_vec() }
    }
}
