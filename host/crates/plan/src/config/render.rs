use std::fmt::{self, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, ThemeCharacters, ThemeStyles};
use serde::{Serialize, Serializer};

use super::{Diagnostic, Diagnostics, SourceText};
use sage_text::plain_text;

impl Diagnostics {
    /// Formats all diagnostics for people: each with file, line, column, the text of the line, carets and a
    /// hint. The last line is their number.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let handler = GraphicalReportHandler::new_themed(theme(color)).with_links(false).with_width(120);
        let named =
            self.source().map(|source| NamedSource::new(plain_text(source.name()), plain_source(source.text())));
        let mut out = String::new();
        for diagnostic in self.iter() {
            let view = View { diagnostic, source: self.source(), named: named.as_ref() };
            // Writing to a string fails only if miette cannot read the source; then only the message is
            // printed.
            if handler.render_report(&mut out, &view).is_err() {
                let _ = writeln!(out, "error: {}", plain_text(&diagnostic.message));
            }
            if let Some(hint) = &diagnostic.hint {
                let label = if color { "\u{1b}[36mhint:\u{1b}[0m" } else { "hint:" };
                let _ = writeln!(out, "  {label} {}", plain_text(hint));
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{}", self.count());
        out
    }

    /// `3 errors in pipeline.toml`.
    #[must_use]
    pub fn count(&self) -> String {
        let place = self.source().map_or_else(|| "the pipeline".into(), |source| plain_text(source.name()));
        match self.len() {
            1 => format!("1 error in {place}"),
            n if n > Self::KEPT => format!("{n} errors in {place}, the first {} are shown", Self::KEPT),
            n => format!("{n} errors in {place}"),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The file's text with every control character replaced by a printable character of the same number of bytes.
/// Carets stay in their place, and no byte of the file controls the terminal.
fn plain_source(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\n' | '\t' => c,
            '\r' if chars.peek() == Some(&'\n') => c,
            c if c.is_control() && c.len_utf8() == 1 => '?',
            c if c.is_control() => '¿',
            c => c,
        });
    }
    plain
}

/// The theme uses ASCII characters, also in colour.
fn theme(color: bool) -> GraphicalTheme {
    let styles = if color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    GraphicalTheme { characters: ThemeCharacters { error: "error:".to_owned(), ..ThemeCharacters::ascii() }, styles }
}

/// A diagnostic as miette prints it. The hint is left out, because miette would call it "help".
#[derive(Debug)]
struct View<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<&'a SourceText>,
    named: Option<&'a NamedSource<String>>,
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain_text(&self.diagnostic.message))
    }
}

impl std::error::Error for View<'_> {}

impl miette::Diagnostic for View<'_> {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.named.map(|named| named as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let source = self.source?;
        if self.diagnostic.labels.is_empty() {
            return None;
        }
        Some(Box::new(spans(self.diagnostic, source)))
    }
}

fn spans<'a>(diagnostic: &'a Diagnostic, source: &'a SourceText) -> impl Iterator<Item = LabeledSpan> + 'a {
    diagnostic.labels.iter().enumerate().map(|(i, label)| {
        let span = source.fit(label.span);
        let text = (!label.text.is_empty()).then(|| plain_text(&label.text).into_owned());
        let (start, length) = (span.start, span.end - span.start);
        if i == 0 {
            LabeledSpan::new_primary_with_span(text, (start, length))
        } else {
            LabeledSpan::new(text, start, length)
        }
    })
}

/// `{"file": .., "errors": [ERROR], "total": ..}`, where ERROR is
/// `{"message": .., "hint": .., "labels": [{"line": .., "column": .., "start": .., "end": .., "text": ..}]}`.
impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = |label: &super::Label| {
            let (line, column) = self.source()?.line_and_column(label.span.start);
            Some(JsonLabel { line, column, start: label.span.start, end: label.span.end, text: label.text.clone() })
        };
        let errors = self.iter().map(|d| JsonError {
            message: &d.message,
            hint: d.hint.as_deref(),
            labels: d.labels.iter().filter_map(place).collect(),
        });
        JsonReport { file: self.source().map(SourceText::name), errors: errors.collect(), total: self.len() }
            .serialize(serializer)
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    file: Option<&'a str>,
    errors: Vec<JsonError<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct JsonError<'a> {
    message: &'a str,
    hint: Option<&'a str>,
    labels: Vec<JsonLabel>,
}

#[derive(Serialize)]
struct JsonLabel {
    line: usize,
    column: usize,
    start: usize,
    end: usize,
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    #[test]
    fn nothing_in_a_file_or_a_message_steers_the_terminal_and_carets_stay() {
        let source = SourceText::new("a\u{1b}[2J.toml", "x = \"\u{1b}[2J\u{9b}ü\" # y\n");
        let mut errors = Diagnostics::new(Some(source));
        let at = Span { start: 13, end: 14 };
        errors.push(Diagnostic::new("\u{7}bell").label(Some(at), "\u{9d}").hint("\u{1b}c"));
        let drawn = errors.render(false);
        assert!(!drawn.chars().any(|c| c.is_control() && c != '\n'), "{drawn:?}");
        assert!(drawn.contains("x = \"?[2J¿ü\" # y"), "{drawn}");
        assert!(drawn.contains("error: \\u{7}bell") && drawn.contains("hint: \\u{1b}c"), "{drawn}");
    }
}
