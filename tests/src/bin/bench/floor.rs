use sage_batch::Column;
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc};

use crate::figure::Problem;

/// The lowest possible cost of a guest with a memory of its own. The host copies offsets and bytes into the
/// memory of a core module, the module copies them to another place there with one instruction, and the host
/// copies them out. Epochs and a memory limit are on, as for operators. There is no component model, no check
/// and no record.
pub(crate) struct Floor {
    store: Store<StoreLimits>,
    memory: Memory,
    copy: TypedFunc<(u32, u32, u32), ()>,
    /// Offset in the memory at which the module's copies begin.
    middle: usize,
    offsets: Vec<u8>,
    bytes: Vec<u8>,
}

const MODULE: &str = r#"
(module
  (memory (export "memory") 1)
  (func (export "copy") (param $to i32) (param $from i32) (param $length i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $length))))
"#;
const PAGE: usize = 64 << 10;

impl Floor {
    /// A floor for columns up to the size of `column`.
    pub(crate) fn new(column: &Column) -> Result<Self, Problem> {
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, wat::parse_str(MODULE)?)?;
        let limits = StoreLimitsBuilder::new().memory_size(1 << 30).trap_on_grow_failure(true).build();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        store.set_epoch_deadline(1000);
        let instance = Instance::new(&mut store, &module, &[])?;
        let memory = instance.get_memory(&mut store, "memory").ok_or("the module has no memory")?;
        let copy = instance.get_typed_func(&mut store, "copy")?;
        let pages = (4 * column.offsets().len() + column.byte_len()).div_ceil(PAGE);
        memory.grow(&mut store, 2 * pages as u64)?;
        Ok(Self { store, memory, copy, middle: pages * PAGE, offsets: Vec::new(), bytes: Vec::new() })
    }

    /// Copies in, across and out.
    pub(crate) fn call(&mut self, column: &Column) -> Result<(), Problem> {
        self.store.set_epoch_deadline(1000);
        let offsets = as_bytes(column.offsets());
        let (first, length) = (offsets.len(), offsets.len() + column.byte_len());
        self.memory.write(&mut self.store, 0, offsets)?;
        self.memory.write(&mut self.store, first, column.bytes())?;
        self.copy.call(&mut self.store, (u32::try_from(self.middle)?, 0, u32::try_from(length)?))?;
        let copied = self.memory.data(&self.store).get(self.middle..self.middle + length).unwrap_or_default();
        let (offsets, bytes) = copied.split_at_checked(first).ok_or("the copy is outside the memory")?;
        self.offsets.clear();
        self.offsets.extend_from_slice(offsets);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the last output equals the input.
    pub(crate) fn holds(&self, column: &Column) -> bool {
        self.bytes == column.bytes() && self.offsets == as_bytes(column.offsets())
    }
}

fn as_bytes(numbers: &[u32]) -> &[u8] {
    // SAFETY: the four bytes of a `u32` are valid bytes, the length is that of the same memory, and bytes
    // need no alignment. Safe code would copy number by number, and the result would not be the floor.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}
