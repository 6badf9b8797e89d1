use std::path::{Path, PathBuf};

use crate::config::resolve;

/// A source's path or pattern as the host reads it. A relative one is resolved against `base`, the folder of
/// the pipeline file, whose characters are taken literally.
#[must_use]
pub fn pattern_path(base: &Path, written: &str) -> PathBuf {
    resolve(&escape_pattern(base), written)
}

/// Escapes a path: the result is a pattern that matches only this path. Any bytes are allowed.
#[cfg(unix)]
#[must_use]
pub fn escape_pattern(path: &Path) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    let mut escaped = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'*' | b'?' | b'[' | b']' => escaped.extend([b'[', byte, b']']),
            byte => escaped.push(byte),
        }
    }
    OsString::from_vec(escaped).into()
}

/// Escapes a path: the result is a pattern that matches only this path.
#[cfg(not(unix))]
#[must_use]
pub fn escape_pattern(path: &Path) -> PathBuf {
    glob::Pattern::escape(&path.to_string_lossy()).into()
}
