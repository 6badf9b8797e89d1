//! Macros that put a lane behind the exports of a world. The attribute macros call them for components; a
//! native build has no such exports.

/// Defines one `thread_local` lane and the functions that the world exports.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (map $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_payloads!(map, mapper, map, $crate::operator::MapLane<$operator>);
    };
    (filter $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_payloads!(filter, predicate, filter, $crate::operator::FilterLane<$operator>);
    };
    (flat_map $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_payloads!(flat_map, flat_mapper, flat_map, $crate::operator::FlatMapLane<$operator>);
    };
    (fields_map $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_table!(fields_map, fields_mapper, map, $crate::operator::FieldsMapLane<$operator>);
    };
    (fields_filter $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_table!(fields_filter, fields_predicate, filter, $crate::operator::FieldsFilterLane<$operator>);
    };
    (fields_flat_map $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_table!(
            fields_flat_map,
            fields_flat_mapper,
            flat_map,
            $crate::operator::FieldsFlatMapLane<$operator>
        );
    };
    (fields_key_by $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_table!(
            fields_key_by,
            fields_key_selector,
            key_by,
            $crate::operator::FieldsKeyByLane<$operator>
        );
    };
    (key_by $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_payloads!(key_by, key_selector, key_by, $crate::operator::KeyByLane<$operator>);
    };
    (fields_process $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_lane!(fields_process, fields_processor, $crate::operator::FieldsProcessLane<$operator>, {
            fn ports() -> ::std::vec::Vec<::std::string::String> {
                LANE.with_borrow(|lane| lane.ports())
            }

            fn process(batch: $crate::__private::FieldBatch) {
                LANE.with_borrow_mut(|lane| lane.call(batch));
            }

            fn end() {
                LANE.with_borrow_mut(|lane| lane.end());
            }
        });
    };
    (fields_source $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_source!(
            fields_source,
            fields_reader,
            $crate::operator::FieldsSourceLane<$operator>,
            $crate::__private::fields_progress
        );
    };
    (fields_sink $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_lane!(fields_sink, fields_writer, $crate::operator::FieldsSinkLane<$operator>, {
            fn write(batch: $crate::__private::FieldBatch) {
                LANE.with_borrow_mut(|lane| lane.call(&batch));
            }

            fn flush() -> ::core::result::Result<(), ::std::string::String> {
                LANE.with_borrow_mut(|lane| lane.flush())
            }
        });
    };
    (process $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_lane!(process, processor, $crate::operator::ProcessLane<$operator>, {
            fn ports() -> ::std::vec::Vec<::std::string::String> {
                LANE.with_borrow(|lane| lane.ports())
            }

            fn process(batch: $crate::__private::Batch) {
                LANE.with_borrow_mut(|lane| lane.call(batch));
            }

            fn end() {
                LANE.with_borrow_mut(|lane| lane.end());
            }
        });
    };
    (window $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_window!(window, aggregator, $crate::__private::Batch, $crate::operator::WindowLane<$operator>);
    };
    (fields_window $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_window!(
            fields_window,
            fields_aggregator,
            $crate::__private::FieldBatch,
            $crate::operator::FieldsWindowLane<$operator>
        );
    };
    (source $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_source!(source, reader, $crate::operator::SourceLane<$operator>, $crate::__private::progress);
    };
    (sink $operator:ty) => {
        $crate::__describe!($operator);
        $crate::__export_lane!(sink, writer, $crate::operator::SinkLane<$operator>, {
            fn write(batch: $crate::__private::Batch) {
                LANE.with_borrow_mut(|lane| lane.call(&batch));
            }

            fn flush() -> ::core::result::Result<(), ::std::string::String> {
                LANE.with_borrow_mut(|lane| lane.flush())
            }
        });
    };
}

/// Puts the operator's description into a section of the component.
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($operator:ty) => {
        const _: () = {
            const DESCRIPTION: $crate::description::Description =
                <$operator as $crate::operator::Described>::DESCRIPTION;
            const LENGTH: usize = $crate::description::render::<0>(&DESCRIPTION).length;

            // Like `wit-bindgen`'s own section: a custom section, which takes no memory of the component.
            #[unsafe(link_section = "sage:description")]
            pub static SECTION: [u8; LENGTH] = $crate::description::render::<LENGTH>(&DESCRIPTION).bytes;
        };
    };
}

/// Exports a source, of bytes or by field.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_source {
    ($world:ident, $interface:ident, $lane:ty, $progress:path) => {
        $crate::__export_lane!($world, $interface, $lane, {
            fn ports() -> ::std::vec::Vec<::std::string::String> {
                LANE.with_borrow(|lane| lane.ports())
            }

            fn next(
                max_records: u32,
                max_bytes: u32,
            ) -> ::core::result::Result<
                $crate::__private::bindings::$world::exports::sage::operator::$interface::Progress,
                ::std::string::String,
            > {
                let found = LANE.with_borrow_mut(|lane| lane.call(max_records, max_bytes));
                found.map($progress)
            }

            fn position() -> ::std::vec::Vec<u8> {
                LANE.with_borrow_mut(|lane| lane.position())
            }

            fn seek(position: ::std::vec::Vec<u8>) -> ::core::result::Result<(), ::std::string::String> {
                LANE.with_borrow_mut(|lane| lane.seek(&position))
            }
        });
    };
}

/// Exports a window operator, of bytes or by field.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_window {
    ($world:ident, $interface:ident, $batch:ty, $lane:ty) => {
        $crate::__export_lane!($world, $interface, $lane, {
            fn fold(
                records: $batch,
                rows: ::std::vec::Vec<u32>,
                slots: ::std::vec::Vec<u32>,
                accumulators: $crate::__private::Column,
                new: ::std::vec::Vec<u8>,
            ) {
                LANE.with_borrow_mut(|lane| lane.fold(&records, &rows, &slots, &accumulators, &new));
            }

            fn merge(left: $crate::__private::Column, right: $crate::__private::Column) {
                LANE.with_borrow_mut(|lane| lane.merge(&left, &right));
            }

            fn finish(windows: $crate::__private::Closing) {
                LANE.with_borrow_mut(|lane| lane.finish(&windows));
            }
        });
    };
}

/// Exports a kind whose call takes a column of payloads.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_payloads {
    ($world:ident, $interface:ident, $function:ident, $lane:ty) => {
        $crate::__export_lane!($world, $interface, $lane, {
            fn $function(mut payloads: $crate::__private::Column) {
                // A map changes the column; the other kinds only read it.
                LANE.with_borrow_mut(|lane| lane.call(&mut payloads));
            }
        });
    };
}

/// Exports a kind whose call takes a table of fields.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_table {
    ($world:ident, $interface:ident, $function:ident, $lane:ty) => {
        $crate::__export_lane!($world, $interface, $lane, {
            fn $function(table: $crate::__private::Table) {
                LANE.with_borrow_mut(|lane| lane.call(&table));
            }
        });
    };
}

/// Exports a lane: the functions that every kind has, and the functions that only this kind has.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_lane {
    ($world:ident, $interface:ident, $lane:ty, { $($own:item)* }) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                static LANE: ::core::cell::RefCell<$lane> = ::core::default::Default::default();
            }

            impl $crate::__private::bindings::$world::exports::sage::operator::$interface::Guest for Component {
                fn open(context: $crate::Context) -> ::core::result::Result<(), ::std::string::String> {
                    LANE.with_borrow_mut(|lane| lane.open(&context))
                }

                $($own)*

                fn close() {
                    LANE.with_borrow_mut(|lane| lane.close());
                }
            }

            $crate::__private::bindings::$world::export_world!(
                Component with_types_in $crate::__private::bindings::$world
            );
        };
    };
}
