/// The JSON Schema (draft 4) of a pipeline file, as editors read it.
pub const PIPELINE_SCHEMA: &str = include_str!("../schema/pipeline.schema.json");

/// The JSON Schema (draft 4) of `host.toml`.
pub const HOST_SCHEMA: &str = include_str!("../schema/host.schema.json");
