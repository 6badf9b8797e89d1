use crate::bindings::process::sage::operator::{log as wit_log, metrics};
use crate::log::Level;

pub(crate) use crate::bindings::process::sage::operator::output::{emit, failures, keep, keys, payloads, rows};
pub(crate) use metrics::{counter, gauge, histogram};

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit_log::Level::Trace,
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::write(level, message);
}

/// Keyed state; see `wit/imports.wit`.
pub(crate) mod state {
    use crate::bindings::process::sage::operator::state as wit;
    use crate::host::{Entries, Values};
    use crate::types::Column;

    pub(crate) use wit::{delete, map_delete, map_put, put};

    pub(crate) fn get(table: &str, keys: &Column) -> Values {
        let wit::Values { present, values } = wit::get(table, keys);
        Values { present, values }
    }

    pub(crate) fn map_get(table: &str, key: &[u8], subkeys: &Column) -> Values {
        let wit::Values { present, values } = wit::map_get(table, key, subkeys);
        Values { present, values }
    }

    pub(crate) fn map_scan(table: &str, key: &[u8], after: Option<&[u8]>, limit: u32) -> Entries {
        let wit::Entries { subkeys, values } = wit::map_scan(table, key, after, limit);
        Entries { subkeys, values }
    }

    pub(crate) fn keys_scan(table: &str, after: Option<&[u8]>, limit: u32) -> Entries {
        let wit::Entries { subkeys, values } = wit::keys_scan(table, after, limit);
        Entries { subkeys, values }
    }
}
