use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, PatternError};

/// A path whose parts may be patterns: `*`, `?`, `[abc]`, `[!a-z]`, and `**` for any folders.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) parts: Vec<Part>,
    /// The same without what [`Pattern::escape`] has put in.
    literal: PathBuf,
}

/// One part of a pattern, between two slashes.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// A name as it is; `/` and `..` too.
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
    /// Whether it begins with a dot itself.
    hidden: bool,
}

impl Pattern {
    /// What a path says as a pattern.
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
            // `**/**` finds what `**` finds.
            if !matches!((&part, parts.last()), (Part::Folders, Some(Part::Folders))) {
                parts.push(part);
            }
        }
        Ok(Self { parts, literal })
    }

    /// Whether there is nothing to match in it.
    pub(super) fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The path that it is if its characters stand for themselves.
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
    /// Whether a name matches. Bytes that are not UTF-8 count as one character each run of them, which only `*`, `?` and `[!…]` match.
    pub(super) fn matches(&self, name: &OsStr) -> bool {
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        (self.hidden || !is_hidden(name)) && self.names.matches_with(&name.to_string_lossy(), options)
    }
}

/// Whether a name is one that patterns leave out unless they begin with a dot too.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Whether a name is an unfinished output's, which no pattern matches.
pub(super) fn is_partial(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".partial")
}

/// A name without wildcards, `[*]`, `[?]`, `[[]` and `[]]` read as what they stand for; `None` if there are others.
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
