use toml::de::DeValue;

use super::table::{Table, table_to_json};
use super::{
    Capabilities, ComponentUse, ConfigPlaces, ConfigReference, DeadLetters, Diagnostic, Diagnostics, Folder, Limits,
    OnError, Resources, Spanned, suggest,
};

/// Keys that only a component has.
pub(super) const COMPONENT_KEYS: [&str; 8] =
    ["parallelism", "resources", "limits", "on_error", "retries", "config", "capabilities", "models"];

/// The five resource keys of an instance.
const RESOURCES: [&str; 5] = ["num_cpus", "memory", "num_gpus", "object_store_memory", "resources"];

/// Reads how the stage in `table` uses the component at `path`.
pub(super) fn component_use(
    table: &mut Table<'_, '_>,
    path: Spanned<String>,
    errors: &mut Diagnostics,
) -> ComponentUse {
    let mut config_places = ConfigPlaces::default();
    let config = config(table, &mut config_places, errors);
    ComponentUse {
        path,
        parallelism: table.count("parallelism", errors),
        resources: table.table("resources", errors).map(|inner| resources(inner, errors)).unwrap_or_default(),
        limits: table.table("limits", errors).map(|inner| limits(inner, errors)).unwrap_or_default(),
        on_error: on_error(table, errors),
        retries: table.count("retries", errors),
        references: ConfigReference::find(&config),
        config,
        capabilities: table.table("capabilities", errors).map(|inner| capabilities(inner, errors)).unwrap_or_default(),
        models: models(table, errors),
        config_places,
    }
}

fn models(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Vec<Spanned<String>> {
    let nodes = table.array("models", errors).unwrap_or_default();
    nodes.iter().filter_map(|node| table.string_of("models", node, errors)).collect()
}

fn resources(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Resources {
    let read = Resources {
        num_cpus: table.amount("num_cpus", errors),
        memory: table.size("memory", errors),
        num_gpus: table.amount("num_gpus", errors),
        object_store_memory: table.size("object_store_memory", errors),
        custom: match table.table("resources", errors) {
            None => Vec::new(),
            Some(inner) => {
                let entries = inner.entries().into_iter();
                entries
                    .filter_map(|(name, node)| Some((inner.amount_of(&name.value, node, errors)?, name)))
                    .map(|(n, name)| (name, n))
                    .collect()
            }
        },
    };
    for (key, _) in table.entries() {
        if !RESOURCES.contains(&key.value.as_str()) {
            let message = format!("unknown resource \"{}\" in {}", key.value, table.place());
            let hint = match meant(&key.value).or_else(|| suggest::closest(&key.value, RESOURCES)) {
                Some(name) => format!("did you mean \"{name}\"? there are {}", RESOURCES.join(", ")),
                None => format!(
                    "there are {}; one of your own goes there: resources = {{ resources = {{ {} = 1 }} }}",
                    RESOURCES.join(", "),
                    key.value
                ),
            };
            errors.push(Diagnostic::new(message).on(&key).hint(hint));
        }
    }
    read
}

/// The resource key for a name that other systems use.
fn meant(written: &str) -> Option<&'static str> {
    Some(match written.to_ascii_lowercase().as_str() {
        "cpu" | "cpus" | "cores" | "num_cores" | "vcpus" | "threads" | "cpu_count" => "num_cpus",
        "mem" | "ram" | "memory_bytes" | "memory_mb" | "memory_limit" | "mem_limit" => "memory",
        "gpu" | "gpus" | "cuda" | "accelerators" => "num_gpus",
        "object_store" | "buffer" | "queue" | "buffer_bytes" => "object_store_memory",
        "custom" => "resources",
        _ => return None,
    })
}

fn limits(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Limits {
    let read = Limits {
        cpu_time_per_call: table.duration("cpu_time_per_call", errors),
        call_timeout: table.duration("call_timeout", errors),
        log_bytes_per_second: table.size("log_bytes_per_second", errors),
        record_bytes: table.size("record_bytes", errors),
        output_bytes_per_call: table.size("output_bytes_per_call", errors),
        restarts_in_a_row: table.count("restarts_in_a_row", errors),
        flush_interval: table.duration("flush_interval", errors),
    };
    table.finish(errors);
    read
}

/// Reads the error policy `on_error`.
pub(super) fn on_error(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> OnError {
    const HINT: &str = "write \"fail\", \"skip\" or { dead_letter = \"file.jsonl\" }";
    let Some(node) = table.node("on_error") else { return OnError::Fail };
    match node.get_ref() {
        DeValue::String(word) if word == "fail" => OnError::Fail,
        DeValue::String(word) if word == "skip" => OnError::Skip,
        DeValue::Table(entries) => {
            let mut inner = Table::new(entries, node.span().into(), format!("on_error of {}", table.place()));
            let path = inner.string("dead_letter", errors);
            if path.is_none() && inner.key_span("dead_letter").is_none() {
                inner.missing("dead_letter", HINT, errors);
            }
            let max_bytes = inner.size("max_bytes", errors);
            inner.finish(errors);
            path.map_or(OnError::Fail, |path| OnError::DeadLetter(DeadLetters { path, max_bytes }))
        }
        DeValue::String(word) => {
            let message = format!("on_error of {} is \"{word}\"", table.place());
            errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(HINT));
            OnError::Fail
        }
        _ => {
            let none: Option<OnError> = table.wrong_type("on_error", "a word or a table", node, errors);
            none.unwrap_or_default()
        }
    }
}

fn config(
    table: &mut Table<'_, '_>,
    places: &mut ConfigPlaces,
    errors: &mut Diagnostics,
) -> serde_json::Map<String, serde_json::Value> {
    let place = format!("config of {}", table.place());
    let Some(node) = table.node("config") else { return Default::default() };
    *places = ConfigPlaces::read(node);
    match node.get_ref() {
        DeValue::Table(entries) => table_to_json(entries, &place, errors),
        _ => table.wrong_type("config", "a table", node, errors).unwrap_or_default(),
    }
}

fn capabilities(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Capabilities {
    let mut read = Capabilities::default();
    for node in table.array("folders", errors).unwrap_or_default() {
        if let Some(inner) = table.table_of("folders", node, errors) {
            read.folders.extend(folder(inner, errors));
        }
    }
    if let Some(inner) = table.table("environment", errors) {
        for (name, node) in inner.entries() {
            if let Some(value) = inner.string_of(&name.value, node, errors) {
                read.environment.push((name, value));
            }
        }
    }
    for node in table.array("connect", errors).unwrap_or_default() {
        read.connect.extend(table.string_of("connect", node, errors));
    }
    read.clock = table.string("clock", errors);
    table.finish(errors);
    read
}

fn folder(mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<Folder> {
    const HINT: &str = "a folder is { host = \"data\", guest = \"/data\", write = false }";
    let host = table.string("host", errors);
    let guest = table.string("guest", errors);
    let write = table.boolean("write", errors).unwrap_or(false);
    for key in ["host", "guest"] {
        if table.key_span(key).is_none() {
            table.missing(key, HINT, errors);
        }
    }
    table.finish(errors);
    Some(Folder { host: host?, guest: guest?, write })
}
