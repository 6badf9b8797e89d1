//! The traits of window operators.

use crate::{Batch, Closing, Column, Context, Exported, FieldBatch};

macro_rules! aggregator {
    ($(#[$docs:meta])* $name:ident, $world:ident, $interface:ident, $batch:ty) => {
        $(#[$docs])*
        pub trait $name {
            /// Succeeds by default.
            fn open(_context: Context) -> Result<(), String> {
                Ok(())
            }
            /// Adds records to accumulators.
            fn fold(records: $batch, rows: Vec<u32>, slots: Vec<u32>, accumulators: Column, new: Vec<u8>);
            /// Merges accumulators.
            fn merge(left: Column, right: Column);
            /// Emits the results of windows.
            fn finish(windows: Closing);
            /// Does nothing by default.
            fn close() {}
        }

        impl<T: $name> crate::bindings::$world::exports::sage::operator::$interface::Guest for Exported<T> {
            fn open(context: Context) -> Result<(), String> {
                T::open(context)
            }
            fn fold(records: $batch, rows: Vec<u32>, slots: Vec<u32>, accumulators: Column, new: Vec<u8>) {
                T::fold(records, rows, slots, accumulators, new)
            }
            fn merge(left: Column, right: Column) {
                T::merge(left, right)
            }
            fn finish(windows: Closing) {
                T::finish(windows)
            }
            fn close() {
                T::close()
            }
        }
    };
}

aggregator!(
    /// World `window`.
    Aggregator, window, aggregator, Batch
);
aggregator!(
    /// World `fields-window`.
    FieldsAggregator, fields_window, fields_aggregator, FieldBatch
);
