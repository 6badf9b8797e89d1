//! A trait for each kind, with honest answers for everything but the function that matters, and `export!`.

use std::marker::PhantomData;

use crate::bindings::source::exports::sage::operator::reader::Progress;
use crate::{Batch, Column, Context};

/// Turns a type that implements one of the traits here into what the bindings want exported.
pub struct Exported<T>(PhantomData<T>);

/// Makes a type the component: `contract::export!(map, Guest)`, with the world's name in snake case.
#[macro_export]
macro_rules! export {
    ($world:ident, $guest:ty) => {
        type Exported = $crate::Exported<$guest>;
        $crate::bindings::$world::export!(Exported with_types_in $crate::bindings::$world);
    };
}

/// World `map`.
pub trait Mapper {
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn map(payloads: Column);
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn filter(payloads: Column);
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn flat_map(payloads: Column);
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn key_by(payloads: Column);
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn process(batch: Batch);
    /// Honest: nothing to say.
    fn end() {}
    /// Honest: none.
    fn ports() -> Vec<String> {
        Vec::new()
    }
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn next(max_records: u32, max_bytes: u32) -> Result<Progress, String>;
    /// Honest: nowhere in particular.
    fn position() -> Vec<u8> {
        Vec::new()
    }
    /// Honest: all is well.
    fn seek(_position: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
    /// Honest: none.
    fn ports() -> Vec<String> {
        Vec::new()
    }
    /// Honest: nothing to do.
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
    /// Honest: all is well.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// What this guest is about.
    fn write(batch: Batch);
    /// Honest: all is well.
    fn flush() -> Result<(), String> {
        Ok(())
    }
    /// Honest: nothing to do.
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
