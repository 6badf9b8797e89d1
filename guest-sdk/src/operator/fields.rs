use super::failures::Failures;
use super::running::Running;
use crate::fields::{Table, TableCall};
use crate::{Context, Error, metrics};

/// The trait and the lane of a kind that takes records by field.
macro_rules! kind {
    ($kind:ident, $lane:ident, $docs:literal, $function:literal) => {
        #[doc = $docs]
        pub trait $kind: Sized {
            /// Starts a lane.
            fn open(context: &Context) -> Result<Self, Error>;
            /// Processes the records of a call.
            fn call(&mut self, call: TableCall<'_>);
            /// Ends the lane.
            fn close(self) {}
        }

        /// The lane of the kind: one copy of the operator behind the functions of the contract.
        #[derive(Debug)]
        pub struct $lane<O> {
            operator: Running<O>,
            failures: Failures,
        }

        impl<O: $kind> $lane<O> {
            /// Creates a lane that is not open yet.
            pub fn new() -> Self {
                Self { operator: Running::default(), failures: Failures::default() }
            }

            /// `open` of the contract.
            pub fn open(&mut self, context: &Context) -> Result<(), String> {
                self.operator.open(|| O::open(context))
            }

            #[doc = $function]
            pub fn call(&mut self, table: &Table) {
                let operator = self.operator.get();
                operator.call(TableCall::new(table, &mut self.failures));
                self.failures.tell();
                metrics::flush();
            }

            /// `close` of the contract.
            pub fn close(&mut self) {
                self.operator.close(O::close);
            }
        }

        impl<O: $kind> Default for $lane<O> {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

kind!(
    FieldsMap,
    FieldsMapLane,
    "One record in, one record out, by field. `#[sage_guest::map]` implements this trait for a function that takes a \
     record.",
    "`map` of the contract."
);
kind!(
    FieldsFilter,
    FieldsFilterLane,
    "One record in, the same record or no record out, by field. `#[sage_guest::filter]` implements this trait for a \
     function that takes a record.",
    "`filter` of the contract."
);
kind!(
    FieldsFlatMap,
    FieldsFlatMapLane,
    "One record in, any number of records out, by field. `#[sage_guest::flat_map]` implements this trait for a \
     function that takes a record.",
    "`flat-map` of the contract."
);
kind!(
    FieldsKeyBy,
    FieldsKeyByLane,
    "Gives each record a key, by field. `#[sage_guest::key_by]` implements this trait for a function that takes a \
     record.",
    "`key-by` of the contract."
);
