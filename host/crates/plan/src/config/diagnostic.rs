use std::fmt;

use super::{SourceText, Span, Spanned};

/// One thing that is wrong in a file, or in a pipeline built from Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What, with the value and the limit; lower case, no full stop.
    pub message: String,
    /// Where, the main place first.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in the file and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// Something wrong, nowhere in particular.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), hint: None }
    }

    /// Adds the place, if it has one.
    #[must_use]
    pub fn at(self, span: Option<Span>) -> Self {
        self.label(span, "")
    }

    /// Adds the place of a value.
    #[must_use]
    pub fn on<T>(self, value: &Spanned<T>) -> Self {
        self.label(value.span, "")
    }

    /// Adds a place, if it has one, and what is there.
    #[must_use]
    pub fn label(mut self, span: Option<Span>, text: impl Into<String>) -> Self {
        if let Some(span) = span {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Everything that is wrong, in the order of the file.
///
/// Shown by [`Diagnostics::render`] (for people, with carets), by `Display` (the same, without colours) or as JSON by its
/// `Serialize`.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    source: Option<SourceText>,
    kept: Vec<Diagnostic>,
    total: usize,
    torn: bool,
}

impl Diagnostics {
    /// How many are kept; a file with more is not a pipeline file, and the rest are only counted.
    pub const KEPT: usize = 100;

    /// Nothing wrong yet.
    #[must_use]
    pub fn new(source: Option<SourceText>) -> Self {
        Self { source, kept: Vec::new(), total: 0, torn: false }
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.total += 1;
        if self.kept.len() < Self::KEPT {
            self.kept.push(diagnostic);
        }
    }

    /// From now on, what is not there is no news: the file could not be read throughout.
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// Adds that something is not there, unless it may have been lost with what could not be read.
    pub(super) fn push_absence(&mut self, diagnostic: Diagnostic) {
        if !self.torn {
            self.push(diagnostic);
        }
    }

    /// Adds all of `other`, which are about the same file, and puts them in the order of the file.
    pub fn append(&mut self, other: Self) {
        self.total += other.total;
        self.kept.extend(other.kept);
        self.sort();
        self.kept.truncate(Self::KEPT);
        if self.source.is_none() {
            self.source = other.source;
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether more would only be counted: no use in working out what they should say.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kept.len() >= Self::KEPT
    }

    /// How many things are wrong.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total
    }

    /// The file they are about; `None` for a pipeline built from Rust.
    #[must_use]
    pub fn source(&self) -> Option<&SourceText> {
        self.source.as_ref()
    }

    /// The first [`Diagnostics::KEPT`] of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.kept.iter()
    }

    /// Puts them in the order of the file; those without a place come last.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|d| d.labels.first().map_or((true, 0), |label| (false, label.span.start)));
    }

    /// Forgets those that `keep` answers `false` for.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Diagnostic) -> bool) {
        let before = self.kept.len();
        self.kept.retain(|d| keep(d));
        self.total -= before - self.kept.len();
    }
}
