//! The traits of the kinds whose records come by field, as in `kinds`.

use crate::bindings::fields_source::exports::sage::operator::fields_reader::Progress;
use crate::kinds::Exported;
use crate::{Context, FieldBatch, Table};

/// World `fields-map`.
pub trait FieldsMapper {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn map(table: Table);
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsMapper> crate::bindings::fields_map::exports::sage::operator::fields_mapper::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn map(table: Table) {
        T::map(table)
    }
    fn close() {
        T::close()
    }
}

/// World `fields-filter`.
pub trait FieldsPredicate {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn filter(table: Table);
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsPredicate> crate::bindings::fields_filter::exports::sage::operator::fields_predicate::Guest
    for Exported<T>
{
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn filter(table: Table) {
        T::filter(table)
    }
    fn close() {
        T::close()
    }
}

/// World `fields-flat-map`.
pub trait FieldsFlatMapper {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn flat_map(table: Table);
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsFlatMapper> crate::bindings::fields_flat_map::exports::sage::operator::fields_flat_mapper::Guest
    for Exported<T>
{
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn flat_map(table: Table) {
        T::flat_map(table)
    }
    fn close() {
        T::close()
    }
}

/// World `fields-key-by`.
pub trait FieldsKeySelector {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn key_by(table: Table);
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsKeySelector> crate::bindings::fields_key_by::exports::sage::operator::fields_key_selector::Guest
    for Exported<T>
{
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn key_by(table: Table) {
        T::key_by(table)
    }
    fn close() {
        T::close()
    }
}

/// World `fields-process`.
pub trait FieldsProcessor {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn process(batch: FieldBatch);
    /// Emits nothing by default.
    fn end() {}
    /// No side outputs by default.
    fn ports() -> Vec<String> {
        Vec::new()
    }
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsProcessor> crate::bindings::fields_process::exports::sage::operator::fields_processor::Guest
    for Exported<T>
{
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn process(batch: FieldBatch) {
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

/// World `fields-source`.
pub trait FieldsReader {
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

impl<T: FieldsReader> crate::bindings::fields_source::exports::sage::operator::fields_reader::Guest for Exported<T> {
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

/// World `fields-sink`.
pub trait FieldsWriter {
    /// Succeeds by default.
    fn open(_context: Context) -> Result<(), String> {
        Ok(())
    }
    /// Handles one call: the function under test.
    fn write(batch: FieldBatch);
    /// Succeeds by default.
    fn flush() -> Result<(), String> {
        Ok(())
    }
    /// Does nothing by default.
    fn close() {}
}

impl<T: FieldsWriter> crate::bindings::fields_sink::exports::sage::operator::fields_writer::Guest for Exported<T> {
    fn open(context: Context) -> Result<(), String> {
        T::open(context)
    }
    fn write(batch: FieldBatch) {
        T::write(batch)
    }
    fn flush() -> Result<(), String> {
        T::flush()
    }
    fn close() {
        T::close()
    }
}
