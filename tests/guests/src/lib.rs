//! Shared code of the test guests: bindings of the contract without any helper layer, and a few functions for
//! correct answers. A guest breaks one rule, in one place, and is correct otherwise, so that the host's error
//! can only be about that rule.

mod fields_kinds;
mod kinds;
mod told;
mod window_kinds;
mod words;

pub use bindings::fields_flat_map::sage::operator::{fields, fields_output};
pub use bindings::fields_source::exports::sage::operator::fields_reader::Progress as FieldsProgress;
pub use bindings::host::sage::operator::{edges, inference, log, metrics, output, types};
pub use bindings::process::sage::operator::state;
pub use bindings::source::exports::sage::operator::reader::Progress;
pub use bindings::window::sage::operator::windows::Closing;
pub use bindings::window::sage::operator::windows_output;
pub use fields::{Field, FieldBatch, Table, Values};
pub use fields_kinds::{
    FieldsFlatMapper, FieldsKeySelector, FieldsMapper, FieldsPredicate, FieldsProcessor, FieldsReader, FieldsWriter,
};
pub use kinds::{Exported, FlatMapper, KeySelector, Mapper, Predicate, Processor, Reader, Writer};
pub use told::{told, told_by, words_of};
pub use types::{Batch, Column, Context};
pub use window_kinds::{Aggregator, FieldsAggregator};
pub use words::{
    POISON, batch_of, broken, column, echo, entries, keep_all, number, poison_row, poisoned, reject_poison, rows,
};

/// The bindings of each world. All of them share the types and imports of `host`.
#[allow(missing_docs)]
pub mod bindings {
    macro_rules! world {
        ($module:ident, $world:literal $(, $more:literal: $to:path)*) => {
            pub mod $module {
                wit_bindgen::generate!({
                    world: $world,
                    path: "../../wit",
                    with: {
                        "sage:operator/types@0.1.3": crate::bindings::host::sage::operator::types,
                        "sage:operator/output@0.1.3": crate::bindings::host::sage::operator::output,
                        "sage:operator/log@0.1.3": crate::bindings::host::sage::operator::log,
                        "sage:operator/metrics@0.1.3": crate::bindings::host::sage::operator::metrics,
                        "sage:operator/inference@0.1.3": crate::bindings::host::sage::operator::inference,
                        "sage:operator/edges@0.1.3": crate::bindings::host::sage::operator::edges,
                        $($more: $to,)*
                    },
                    pub_export_macro: true,
                    export_macro_name: "export",
                    default_bindings_module: "contract::bindings",
                });
            }
        };
    }

    pub mod host {
        wit_bindgen::generate!({ world: "host", path: "../../wit", generate_all });
    }
    world!(map, "%map");
    world!(filter, "filter");
    world!(flat_map, "flat-map");
    world!(key_by, "key-by");
    world!(process, "process");
    world!(source, "source");
    world!(sink, "sink");
    world!(fields_flat_map, "fields-flat-map");
    world!(
        fields_map, "fields-map",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields,
        "sage:operator/fields-output@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields_output
    );
    world!(
        fields_key_by, "fields-key-by",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields
    );
    world!(
        fields_filter, "fields-filter",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields
    );
    world!(
        fields_process, "fields-process",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields,
        "sage:operator/fields-output@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields_output,
        "sage:operator/state@0.1.3": crate::bindings::process::sage::operator::state
    );
    world!(window, "window");
    world!(
        fields_window, "fields-window",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields,
        "sage:operator/fields-output@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields_output,
        "sage:operator/windows@0.1.3": crate::bindings::window::sage::operator::windows,
        "sage:operator/windows-output@0.1.3": crate::bindings::window::sage::operator::windows_output
    );
    world!(
        fields_source, "fields-source",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields,
        "sage:operator/fields-output@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields_output
    );
    world!(
        fields_sink, "fields-sink",
        "sage:operator/fields@0.1.3": crate::bindings::fields_flat_map::sage::operator::fields
    );
}
