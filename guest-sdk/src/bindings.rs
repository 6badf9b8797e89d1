//! The bindings that `wit-bindgen` generates from `wit/`: one module for each world. `process` has every
//! import, and the other worlds reuse its imports. All worlds use the types of this crate (`types.rs`,
//! `context.rs`) instead of generated ones.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    reason = "generated code"
)]

/// Bindings that borrow the parts of a tensor for the call instead of copying them. Only this interface needs
/// borrowing: elsewhere every parameter is one of this crate's own types.
pub mod inference {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package sage:models;

            world models {
                import sage:operator/inference@0.1.3;
            }
        ",
        world: "sage:models/models",
        ownership: Borrowing { duplicate_if_necessary: true },
        generate_all,
    });
}

pub mod process {
    wit_bindgen::generate!({
        path: "wit",
        world: "process",
        pub_export_macro: true,
        export_macro_name: "export_world",
        with: {
            "sage:operator/types@0.1.3/column": crate::types::Column,
            "sage:operator/types@0.1.3/batch": crate::types::Batch,
            "sage:operator/types@0.1.3/context": crate::context::Context,
            "sage:operator/inference@0.1.3": crate::bindings::inference::sage::operator::inference,
        },
    });
}

macro_rules! world {
    ($module:ident, $world:literal ) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: "export_world",
                with: {
                    "sage:operator/types@0.1.3/column": crate::types::Column,
                    "sage:operator/types@0.1.3/batch": crate::types::Batch,
                    "sage:operator/types@0.1.3/context": crate::context::Context,
                    "sage:operator/inference@0.1.3": crate::bindings::inference::sage::operator::inference,
                    "sage:operator/output@0.1.3": crate::bindings::process::sage::operator::output,
                    "sage:operator/log@0.1.3": crate::bindings::process::sage::operator::log,
                    "sage:operator/metrics@0.1.3": crate::bindings::process::sage::operator::metrics,
                    "sage:operator/edges@0.1.3": crate::bindings::process::sage::operator::edges,
                },
            });
        }
    };
}

world!(map, "%map");
world!(filter, "filter");
world!(flat_map, "flat-map");
world!(key_by, "key-by");
world!(source, "source");
world!(sink, "sink");

pub mod fields_map {
    wit_bindgen::generate!({
        path: "wit",
        world: "fields-map",
        pub_export_macro: true,
        export_macro_name: "export_world",
        with: {
            "sage:operator/types@0.1.3/column": crate::types::Column,
            "sage:operator/types@0.1.3/batch": crate::types::Batch,
            "sage:operator/types@0.1.3/context": crate::context::Context,
            "sage:operator/fields@0.1.3/values": crate::fields::Values,
            "sage:operator/fields@0.1.3/field": crate::fields::Field,
            "sage:operator/fields@0.1.3/table": crate::fields::Table,
            "sage:operator/fields@0.1.3/field-batch": crate::fields::FieldBatch,
            "sage:operator/inference@0.1.3": crate::bindings::inference::sage::operator::inference,
            "sage:operator/output@0.1.3": crate::bindings::process::sage::operator::output,
            "sage:operator/log@0.1.3": crate::bindings::process::sage::operator::log,
            "sage:operator/metrics@0.1.3": crate::bindings::process::sage::operator::metrics,
            "sage:operator/edges@0.1.3": crate::bindings::process::sage::operator::edges,
        },
    });
}

macro_rules! fields_world {
    ($module:ident, $world:literal $(, $interface:literal: $bindings:path)*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: "export_world",
                with: {
                    "sage:operator/types@0.1.3/column": crate::types::Column,
                    "sage:operator/types@0.1.3/batch": crate::types::Batch,
                    "sage:operator/types@0.1.3/context": crate::context::Context,
                    "sage:operator/fields@0.1.3/values": crate::fields::Values,
                    "sage:operator/fields@0.1.3/field": crate::fields::Field,
                    "sage:operator/fields@0.1.3/table": crate::fields::Table,
                    "sage:operator/fields@0.1.3/field-batch": crate::fields::FieldBatch,
                    "sage:operator/inference@0.1.3": crate::bindings::inference::sage::operator::inference,
                    "sage:operator/output@0.1.3": crate::bindings::process::sage::operator::output,
                    "sage:operator/log@0.1.3": crate::bindings::process::sage::operator::log,
                    "sage:operator/metrics@0.1.3": crate::bindings::process::sage::operator::metrics,
                    "sage:operator/edges@0.1.3": crate::bindings::process::sage::operator::edges,
                    $($interface: $bindings,)*
                },
            });
        }
    };
}

fields_world!(fields_filter, "fields-filter");
fields_world!(fields_key_by, "fields-key-by");
fields_world!(fields_sink, "fields-sink");
fields_world!(
    fields_flat_map, "fields-flat-map",
    "sage:operator/fields-output@0.1.3": crate::bindings::fields_map::sage::operator::fields_output
);
fields_world!(
    fields_process, "fields-process",
    "sage:operator/fields-output@0.1.3": crate::bindings::fields_map::sage::operator::fields_output,
    "sage:operator/state@0.1.3": crate::bindings::process::sage::operator::state
);
fields_world!(
    fields_source, "fields-source",
    "sage:operator/fields-output@0.1.3": crate::bindings::fields_map::sage::operator::fields_output
);
pub mod window {
    wit_bindgen::generate!({
        path: "wit",
        world: "window",
        pub_export_macro: true,
        export_macro_name: "export_world",
        with: {
            "sage:operator/types@0.1.3/column": crate::types::Column,
            "sage:operator/types@0.1.3/batch": crate::types::Batch,
            "sage:operator/types@0.1.3/context": crate::context::Context,
            "sage:operator/windows@0.1.3/closing": crate::types::Closing,
            "sage:operator/inference@0.1.3": crate::bindings::inference::sage::operator::inference,
            "sage:operator/output@0.1.3": crate::bindings::process::sage::operator::output,
            "sage:operator/log@0.1.3": crate::bindings::process::sage::operator::log,
            "sage:operator/metrics@0.1.3": crate::bindings::process::sage::operator::metrics,
            "sage:operator/edges@0.1.3": crate::bindings::process::sage::operator::edges,
        },
    });
}
fields_world!(
    fields_window, "fields-window",
    "sage:operator/fields-output@0.1.3": crate::bindings::fields_map::sage::operator::fields_output,
    "sage:operator/windows@0.1.3/closing": crate::types::Closing,
    "sage:operator/windows-output@0.1.3": crate::bindings::window::sage::operator::windows_output
);
