//! Puts a lane behind the exports of a world. The attribute macros call this; natively it does not exist.

/// One `thread_local` lane, and the functions that the world exports.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (map $operator:ty) => {
        $crate::__export_payloads!(map, mapper, map, $crate::operator::MapLane<$operator>);
    };
    (filter $operator:ty) => {
        $crate::__export_payloads!(filter, predicate, filter, $crate::operator::FilterLane<$operator>);
    };
    (flat_map $operator:ty) => {
        $crate::__export_payloads!(flat_map, flat_mapper, flat_map, $crate::operator::FlatMapLane<$operator>);
    };
    (key_by $operator:ty) => {
        $crate::__export_payloads!(key_by, key_selector, key_by, $crate::operator::KeyByLane<$operator>);
    };
}

/// The kinds that are handed a column of payloads.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_payloads {
    ($world:ident, $interface:ident, $function:ident, $lane:ty) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                static LANE: ::core::cell::RefCell<$lane> = ::core::default::Default::default();
            }

            impl $crate::__private::bindings::$world::exports::sage::operator::$interface::Guest for Component {
                fn open(context: $crate::Context) -> ::core::result::Result<(), ::std::string::String> {
                    LANE.with_borrow_mut(|lane| lane.open(&context))
                }

                fn $function(payloads: $crate::__private::Column) {
                    LANE.with_borrow_mut(|lane| lane.call(&payloads));
                }

                fn close() {
                    LANE.with_borrow_mut(|lane| lane.close());
                }
            }

            $crate::__private::bindings::$world::export_world!(Component with_types_in $crate::__private::bindings::$world);
        };
    };
}
