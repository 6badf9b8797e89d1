//! A trait for each kind, with correct defaults for every function but the one under test, and `export!`.

use std::marker::PhantomData;

use crate::bindings::source::exports::sage::operator::reader::Progress;
use crate::{Batch, Column, Context};

/// Adapts a type that implements a trait of this module to the exports that the bindings require.
pub struct Exported<T>(PhantomData<T>);

/// Exports a type as the component: `contract::export!(map, Guest)`, with the world's name in snake case.
#[macro_export]
macro_rules! export {
    ($world:ident, $guest:ty) => {
        type Exported = $crate::Exported<$guest>;
        $crate::bindings::$world::export!(Exported with_types_in $crate::bindings::$world);
    };
}

/// World `map`.
pub trait Mapper {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn map(payloads: Column);
    /// Does nothing by default.
    fn close() {}
}

impl<T: Mapper> crate::bindings::map::exports::sage::operator::mapper::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn map(payloads: Column) {
        T::map(payloads)
    }
    fn close() {
        T::close()
    }
}

/// World `filter`.
pub trait Predicate {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn filter(payloads: Column);
    /// Does nothing by default.
    fn close() {}
}

impl<T: Predicate> crate::bindings::filter::exports::sage::operator::predicate::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn filter(payloads: Column) {
        T::filter(payloads)
    }
    fn close() {
        T::close()
    }
}

/// World `flat-map`.
pub trait FlatMapper {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn flat_map(payloads: Column);
    /// Does nothing by default.
    fn close() {}
}

impl<T: FlatMapper> crate::bindings::flat_map::exports::sage::operator::flat_mapper::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn flat_map(payloads: Column) {
        T::flat_map(payloads)
    }
    fn close() {
        T::close()
    }
}

/// World `key-by`.
pub trait KeySelector {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn key_by(payloads: Column);
    /// Does nothing by default.
    fn close() {}
}

impl<T: KeySelector> crate::bindings::key_by::exports::sage::operator::key_selector::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn key_by(payloads: Column) {
        T::key_by(payloads)
    }
    fn close() {
        T::close()
    }
}

/// World `process`.
pub trait Processor {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn process(batch: Batch);
    /// Emits nothing by default.
    fn end() {}
    /// No side outputs by default.
    fn ports() -> Vec<String> {
        Vec::new()
    }
    /// Does nothing by default.
    fn close() {}
}

impl<T: Processor> crate::bindings::process::exports::sage::operator::processor::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn process(batch: Batch) {
        T::process(batch)
    }
    fn end() {
        T::end()
    }
    fn ports() -> Vec<String> {
        T::ports()
    }
    fn close() {
        T::close()
    }
}

/// World `source`.
pub trait Reader {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn next(max_records: u32, max_bytes: u32) -> Result<Progress, String>;
    /// An empty position by default.
    fn position() -> Vec<u8> {
        Vec::new()
    }
    /// Succeeds by default.
    fn seek(_position: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
    /// No side outputs by default.
    fn ports() -> Vec<String> {
        Vec::new()
    }
    /// Does nothing by default.
    fn close() {}
}

impl<T: Reader> crate::bindings::source::exports::sage::operator::reader::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn next(max_records: u32, max_bytes: u32) -> Result<Progress, String> {
        T::next(max_records, max_bytes)
    }
    fn position() -> Vec<u8> {
        T::position()
    }
    fn seek(position: Vec<u8>) -> Result<(), String> {
        T::seek(position)
    }
    fn ports() -> Vec<String> {
        T::ports()
    }
    fn close() {
        T::close()
    }
}

/// World `sink`.
pub trait Writer {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn write(batch: Batch);
    /// Succeeds by default.
    fn flush() -> Result<(), String> {
        Ok(())
    }
    /// Does nothing by default.
    fn close() {}
}

impl<T: Writer> crate::bindings::sink::exports::sage::operator::writer::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn write(batch: Batch) {
        T::write(batch)
    }
    fn flush() -> Result<(), String> {
        T::flush()
    }
    fn close() {
        T::close()
    }
}
