use std::fmt;

use super::{SourceText, Span, Spanned};

/// An error in a file, or in a pipeline that was built from Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Description of the error, with the value and the limit; lower case, no full stop.
    pub message: String,
    /// Places of the error, the main place first.
    pub labels: Vec<Label>,
    /// Advice on how to correct the error.
    pub hint: Option<String>,
}

/// A place in the file, with a text about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Range of the place.
    pub span: Span,
    /// Text that is shown at the place; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// Makes a diagnostic without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), hint: None }
    }

    /// Adds the place, if there is one.
    #[must_use]
    pub fn at(self, span: Option<Span>) -> Self {
        self.label(span, "")
    }

    /// Adds the place of a value.
    #[must_use]
    pub fn on<T>(self, value: &Spanned<T>) -> Self {
        self.label(value.span, "")
    }

    /// Adds a place, if there is one, with a text about it.
    #[must_use]
    pub fn label(mut self, span: Option<Span>, text: impl Into<String>) -> Self {
        if let Some(span) = span {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Sets the hint.
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

/// All errors, in the order of the file.
///
/// [`Diagnostics::render`] prints them for people, with carets. `Display` prints the same without colours, and
/// `Serialize` writes them as JSON.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    source: Option<SourceText>,
    kept: Vec<Diagnostic>,
    total: usize,
    torn: bool,
}

impl Diagnostics {
    /// Number of diagnostics that are kept. The rest are only counted: a file with more errors is not a
    /// pipeline file.
    pub const KEPT: usize = 100;

    /// Makes an empty list.
    #[must_use]
    pub fn new(source: Option<SourceText>) -> Self {
        Self { source, kept: Vec::new(), total: 0, torn: false }
    }

    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.total += 1;
        if self.kept.len() < Self::KEPT {
            self.kept.push(diagnostic);
        }
    }

    /// Marks the file as partly unreadable. From now on, [`Diagnostics::push_absence`] adds nothing.
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// Adds a diagnostic about something that is missing, unless it may stand in an unreadable part of the
    /// file.
    pub(super) fn push_absence(&mut self, diagnostic: Diagnostic) {
        if !self.torn {
            self.push(diagnostic);
        }
    }

    /// Adds all diagnostics of `other`, which are about the same file, and sorts them in the order of the file.
    pub fn append(&mut self, other: Self) {
        self.total += other.total;
        self.kept.extend(other.kept);
        self.sort();
        self.kept.truncate(Self::KEPT);
        if self.source.is_none() {
            self.source = other.source;
        }
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether the list is full. A further diagnostic would only be counted, so its text need not be made.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kept.len() >= Self::KEPT
    }

    /// Number of errors, with those that were only counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total
    }

    /// The file that the diagnostics are about; `None` for a pipeline built from Rust.
    #[must_use]
    pub fn source(&self) -> Option<&SourceText> {
        self.source.as_ref()
    }

    /// The first [`Diagnostics::KEPT`] diagnostics.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.kept.iter()
    }

    /// Sorts the diagnostics in the order of the file; those without a place come last.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|d| d.labels.first().map_or((true, 0), |label| (false, label.span.start)));
    }

    /// Removes the diagnostics for which `keep` returns `false`.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Diagnostic) -> bool) {
        let before = self.kept.len();
        self.kept.retain(|d| keep(d));
        self.total -= before - self.kept.len();
    }
}
