use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::family::Kind;
use super::reading::Heading;
use super::sample::{Labels, Sample};

/// The text for Prometheus: families in order of their names, each with its samples.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
    /// The families to which names of samples belong.
    names: HashMap<String, String>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    lines: String,
}

/// The form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, for a scraper that says that it reads it.
    OpenMetrics,
    /// The older text format of Prometheus.
    Plain,
}

impl Format {
    /// The form for a request with this `Accept` header.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Plain }
    }

    /// The `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Exposition {
    /// Most bytes of samples.
    const MOST: usize = 64 << 20;

    /// Adds a sample of a family. It is dropped if the name has another type, belongs to another family, or if the text
    /// is full.
    pub fn add(&mut self, family: Heading<'_>, sample: &Sample) {
        let line = sample.line();
        if self.bytes + line.len() > Self::MOST || !self.claim(family) {
            self.dropped += 1;
            return;
        }
        if let Some(family) = self.families.get_mut(family.name) {
            self.bytes += line.len();
            family.lines.push_str(&line);
        }
    }

    /// Adds a sample of the server itself.
    pub fn own(&mut self, name: &str, kind: Kind, help: &str, labels: &[(&str, &str)], value: f64) {
        let suffix = kind.suffixes().first().copied().unwrap_or_default();
        let sample = Sample { name: format!("{name}{suffix}"), labels: owned(labels), value };
        self.add(Heading { name, kind, help }, &sample);
    }

    /// Notes lines of jobs that had no place.
    pub fn drop_lines(&mut self, lines: u64) {
        self.dropped += lines;
    }

    fn claim(&mut self, family: Heading<'_>) -> bool {
        if let Some(known) = self.families.get(family.name) {
            return known.kind == family.kind;
        }
        // The name of a family and those of its samples are its own.
        let mut names = vec![family.name.to_owned()];
        names.extend(family.kind.suffixes().iter().map(|suffix| format!("{}{suffix}", family.name)));
        if names.iter().any(|name| self.names.contains_key(name)) {
            return false;
        }
        for name in names {
            self.names.insert(name, family.name.to_owned());
        }
        let known = Family { kind: family.kind, help: one_line(family.help), lines: String::new() };
        self.families.insert(family.name.to_owned(), known);
        true
    }

    /// Writes the text.
    #[must_use]
    pub fn text(mut self, format: Format) -> String {
        let dropped = self.dropped as f64;
        let help = "Samples of jobs that are not in this text";
        self.own("sage_scrape_dropped_samples", Kind::Gauge, help, &[], dropped);
        let mut text = String::with_capacity(self.bytes + self.families.len() * 128);
        for (name, family) in &self.families {
            let (name, kind) = match (format, family.kind) {
                (Format::OpenMetrics, kind) => (name.clone(), kind.word()),
                (Format::Plain, Kind::Counter) => (format!("{name}_total"), "counter"),
                (Format::Plain, Kind::Info) => (format!("{name}_info"), "gauge"),
                (Format::Plain, kind) => (name.clone(), kind.word()),
            };
            if !family.help.is_empty() {
                let _ = writeln!(text, "# HELP {name} {}", family.help);
            }
            let _ = writeln!(text, "# TYPE {name} {kind}");
            text.push_str(&family.lines);
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// Labels with their own texts.
pub(super) fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A help text of a job, which has had its escapes already.
fn one_line(help: &str) -> String {
    help.chars().filter(|character| !character.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Sample {
        Sample { name: name.to_owned(), labels: owned(&[("job", "a\"b")]), value: 1.0 }
    }

    #[test]
    fn a_name_has_one_type_and_one_family() {
        let mut all = Exposition::default();
        let family = |name, kind| Heading { name, kind, help: "What.\u{7}" };
        all.add(family("sage_a", Kind::Counter), &sample("sage_a_total"));
        all.add(family("sage_a", Kind::Gauge), &sample("sage_a"));
        all.add(family("sage_a_total", Kind::Gauge), &sample("sage_a_total"));
        all.add(family("sage_b", Kind::Info), &sample("sage_b_info"));
        let dropped = "# HELP sage_scrape_dropped_samples Samples of jobs that are not in this text\n\
                       # TYPE sage_scrape_dropped_samples gauge\nsage_scrape_dropped_samples 2\n";
        let expected = format!(
            "# HELP sage_a_total What.\n# TYPE sage_a_total counter\nsage_a_total{{job=\"a\\\"b\"}} 1\n\
             # HELP sage_b_info What.\n# TYPE sage_b_info gauge\nsage_b_info{{job=\"a\\\"b\"}} 1\n{dropped}"
        );
        assert_eq!(all.text(Format::Plain), expected);
    }

    #[test]
    fn a_full_text_takes_no_more() {
        let mut all = Exposition { bytes: Exposition::MOST - 10, ..Exposition::default() };
        all.add(Heading { name: "sage_a", kind: Kind::Gauge, help: "" }, &sample("sage_a"));
        assert_eq!((all.dropped, all.families.len()), (1, 0));
    }
}
