use std::fmt;

use comfy_table::{Table, TableStyle};
use serde::Serialize;

use super::Examination;
use sage_machine::Tier;
use sage_machine::cgroup::Composition;

/// All examinations, and the verdict for `run --isolation process`. `Display` prints a table, the hints and the
/// verdict. `Serialize` writes the same as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every promise of `--isolation process` can be enforced.
    sufficient: bool,
    /// The kinds of cgroups on this machine.
    cgroups: Composition,
    /// The path of our slice in the first hierarchy.
    slice: Option<String>,
    examinations: Vec<Examination>,
}

/// The columns.
const HEADER: [&str; 4] = ["examined", "tier", "mechanism", "observation"];

/// A table without lines: two spaces separate the columns.
const STYLE: TableStyle = TableStyle::new();

impl Report {
    pub(super) fn new(cgroups: Composition, slice: Option<String>, examinations: Vec<Examination>) -> Self {
        let sufficient = examinations.iter().all(Examination::suffices);
        Self { sufficient, cgroups, slice, examinations }
    }

    /// Adds an examination from elsewhere.
    #[must_use]
    pub fn with(mut self, examination: Examination) -> Self {
        self.sufficient &= examination.suffices();
        self.examinations.push(examination);
        self
    }

    /// Returns `true` if every promise of `--isolation process` can be enforced.
    #[must_use]
    pub fn is_sufficient(&self) -> bool {
        self.sufficient
    }

    /// The examinations, in order.
    #[must_use]
    pub fn examinations(&self) -> &[Examination] {
        &self.examinations
    }

    /// The features with a weaker tier than `--isolation process` promises, as text for people; empty if there
    /// are none.
    #[must_use]
    pub fn shortfall(&self) -> String {
        let short = |tier| {
            let names: Vec<&str> = self
                .examinations
                .iter()
                .filter(|one| !one.suffices() && one.found == tier)
                .map(|one| one.name)
                .collect();
            match tier {
                _ if names.is_empty() => None,
                Tier::None => Some(format!("nothing holds {}", names.join(", "))),
                tier => Some(format!("{} only {}", names.join(", "), tier.name())),
            }
        };
        [Tier::Cooperative, Tier::None].into_iter().filter_map(short).collect::<Vec<_>>().join("; ")
    }

    /// The hints, each with the names of its examinations.
    fn hints(&self) -> Vec<(Vec<&str>, &str)> {
        let mut hints: Vec<(Vec<&str>, &str)> = Vec::new();
        for examination in &self.examinations {
            let Some(hint) = examination.hint.as_deref() else { continue };
            match hints.iter_mut().find(|(_, other)| *other == hint) {
                Some((names, _)) => names.push(examination.name),
                None => hints.push((vec![examination.name], hint)),
            }
        }
        hints
    }

    fn verdict(&self) -> String {
        let held: Vec<&str> = self
            .examinations
            .iter()
            .filter(|one| one.needed == Tier::Hard && one.found == Tier::Hard)
            .map(|one| one.name)
            .collect();
        let held = if held.is_empty() { "nothing".to_owned() } else { held.join(", ") };
        let verdict = format!("`sage-host run --isolation process` can rely here on {held}");
        if self.sufficient { verdict } else { format!("{verdict}; not so: {}", self.shortfall()) }
    }
}

/// Lines have their full width. A caller that prints to a narrow terminal wraps them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(STYLE).set_header(HEADER);
        for Examination { name, found, mechanism, detail, .. } in &self.examinations {
            table.add_row([name, found.name(), mechanism, detail]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        match &self.slice {
            Some(slice) => writeln!(f, "\ncontrol groups: {} at {slice}", self.cgroups)?,
            None => writeln!(f, "\ncontrol groups: {}", self.cgroups)?,
        }
        for (names, hint) in self.hints() {
            writeln!(f, "hint: {}: {hint}", names.join(", "))?;
        }
        writeln!(f, "{}", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(name: &'static str, found: Tier, needed: Tier, hint: Option<&str>) -> Examination {
        let (mechanism, detail) = ("some mechanism".to_owned(), "what was seen".to_owned());
        Examination { name, found, needed, mechanism, detail, hint: hint.map(str::to_owned) }
    }

    #[test]
    fn what_falls_short_is_named_with_how_hard_it_holds_and_what_to_do_is_said_once() {
        let root = Some("run as root");
        let report = Report::new(
            Composition::None,
            None,
            vec![
                examined("memory", Tier::Cooperative, Tier::Hard, root),
                examined("CPU quota", Tier::Cooperative, Tier::Hard, root),
                examined("system calls", Tier::Hard, Tier::Hard, None),
                examined("shared memory", Tier::None, Tier::Hard, None),
            ],
        );
        assert!(!report.is_sufficient());
        assert_eq!(report.shortfall(), "memory, CPU quota only cooperative; nothing holds shared memory");
        insta::assert_snapshot!(report.to_string());
    }

    #[test]
    fn what_process_isolation_does_without_takes_nothing_from_it() {
        let all = vec![examined("memory", Tier::Hard, Tier::Hard, None)];
        let report = Report::new(Composition::V1, Some("/sage-host".to_owned()), all).with(examined(
            "wasm target",
            Tier::None,
            Tier::None,
            Some("rustup target add wasm32-wasip2"),
        ));
        assert!(report.is_sufficient() && report.shortfall().is_empty());
        insta::assert_snapshot!(report.to_string());
    }
}
