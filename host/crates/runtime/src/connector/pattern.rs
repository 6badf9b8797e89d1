use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, PatternError};

/// A path whose parts may be patterns: `*`, `?`, `[abc]`, `[!a-z]`, and `**` for any folders.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) parts: Vec<Part>,
    /// The same path without the escapes of [`Pattern::escape`].
    literal: PathBuf,
}

/// A part of a pattern, between two slashes.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// A literal name; also `/` and `..`.
    Literal(OsString),
    /// Names that match.
    Wild(Wild),
    /// Any number of folders.
    Folders,
}

/// A pattern for one name.
#[derive(Debug, Clone)]
pub(super) struct Wild {
    names: glob::Pattern,
    /// Whether the pattern itself begins with a dot.
    hidden: bool,
}

impl Pattern {
    /// Parses a path as a pattern.
    pub(super) fn of(path: &Path) -> Result<Self, PatternError> {
        let (mut parts, mut literal) = (Vec::new(), PathBuf::new());
        for component in path.components() {
            let name = component.as_os_str();
            let plain = unescaped(name);
            literal.push(plain.as_deref().unwrap_or(name));
            let part = match (component, plain) {
                (Component::Normal(_), None) => Part::wild(name)?,
                (_, plain) => Part::Literal(plain.unwrap_or_else(|| name.to_owned())),
            };
            // `**/**` finds the same files as `**`.
            if !matches!((&part, parts.last()), (Part::Folders, Some(Part::Folders))) {
                parts.push(part);
            }
        }
        Ok(Self { parts, literal })
    }

    /// Whether the pattern has no wildcards.
    pub(super) fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The path with its characters taken literally.
    pub(super) fn literal_path(&self) -> PathBuf {
        self.literal.clone()
    }

    /// A path as a pattern that matches it alone.
    #[cfg(test)]
    pub(super) fn escape(path: &Path) -> PathBuf {
        sage_plan::escape_pattern(path)
    }
}

impl Part {
    fn wild(name: &OsStr) -> Result<Self, PatternError> {
        if name == "**" {
            return Ok(Self::Folders);
        }
        let names = glob::Pattern::new(&name.to_string_lossy())?;
        Ok(Self::Wild(Wild { names, hidden: name.as_bytes().starts_with(b".") }))
    }
}

impl Wild {
    /// Whether a name matches. Each run of bytes that are not UTF-8 counts as one character, which only `*`,
    /// `?` and `[!…]` match.
    pub(super) fn matches(&self, name: &OsStr) -> bool {
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        (self.hidden || !is_hidden(name)) && self.names.matches_with(&name.to_string_lossy(), options)
    }
}

/// Whether a name is hidden. Patterns leave hidden names out unless they begin with a dot too.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Whether a name is that of an unfinished output, which no pattern matches.
pub(super) fn is_partial(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".partial")
}

/// A name without wildcards, with `[*]`, `[?]`, `[[]` and `[]]` replaced by the character that they stand for;
/// `None` if the name has other wildcards.
fn unescaped(name: &OsStr) -> Option<OsString> {
    let mut plain = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'[', [escaped @ (b'*' | b'?' | b'[' | b']'), b']', after @ ..]) => {
                plain.push(*escaped);
                after
            }
            (b'*' | b'?' | b'[', _) => return None,
            _ => {
                plain.push(first);
                after
            }
        };
    }
    Some(OsString::from_vec(plain))
}
