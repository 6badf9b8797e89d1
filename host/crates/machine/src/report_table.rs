use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use comfy_table::{Table, TableStyle};

use super::amount::{counted, ten_thousandths};
use super::{EnforcementReport, Totals};
use sage_text::{short_size, width_of, wrapped};

/// Headings of the columns, in the order of the fields of [`super::ReportRow`].
const HEADER: [&str; 7] = ["operator", "instance", "resource", "requested", "effective", "mechanism", "tier"];

/// No lines: two spaces separate the columns.
const STYLE: TableStyle = TableStyle::new();

/// The table, its notes, the meaning of each mechanism and tier in it, and the sums. The lines may have any
/// width; [`EnforcementReport::fitted`] is for terminals.
impl fmt::Display for EnforcementReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, notes) = self.cells();
        write!(f, "{}\n{}", plain(rows), self.words(&notes))
    }
}

impl EnforcementReport {
    /// The report with lines of at most `width` columns. If the table does not fit, it becomes a list with
    /// one line for each resource.
    #[must_use]
    pub fn fitted(&self, width: usize) -> String {
        let (rows, notes) = self.cells();
        let table = plain(rows.clone());
        let rows = if width_of(&table) <= width { table } else { narrow(rows, width) };
        format!("{rows}\n{}", wrapped(&self.words(&notes), width))
    }

    /// The cells of the rows by [`HEADER`], and the notes that they refer to.
    fn cells(&self) -> (Vec<[String; HEADER.len()]>, Vec<&str>) {
        let mut notes: Vec<&str> = Vec::new();
        let mut above = None;
        let rows = self.rows.iter().map(|row| {
            let same = above.replace(&row.operator) == Some(&row.operator);
            let (operator, instance) =
                if same { (String::new(), String::new()) } else { (row.operator.clone(), instances(row.instances)) };
            let effective = match &row.note {
                Some(note) => {
                    let number = notes.iter().position(|other| other == note).unwrap_or_else(|| {
                        notes.push(note);
                        notes.len() - 1
                    });
                    format!("{} [{}]", row.effective, number + 1)
                }
                None => row.effective.clone(),
            };
            [
                operator,
                instance,
                row.resource.clone(),
                row.requested.clone().unwrap_or_else(|| "-".to_owned()),
                effective,
                row.mechanism.name().to_owned(),
                row.tier.name().to_owned(),
            ]
        });
        (rows.collect(), notes)
    }

    /// The text below the rows.
    fn words(&self, notes: &[&str]) -> String {
        let mut text = String::new();
        for (number, note) in notes.iter().enumerate() {
            let _ = writeln!(text, "[{}] {note}", number + 1);
        }
        for mechanism in self.rows.iter().map(|row| row.mechanism).collect::<BTreeSet<_>>() {
            let _ = writeln!(text, "{}: {}", mechanism.name(), mechanism.explanation());
        }
        for tier in self.rows.iter().map(|row| row.tier).collect::<BTreeSet<_>>() {
            let _ = writeln!(text, "{}: {}", tier.name(), tier.meaning());
        }
        let _ = write!(text, "\n{}", self.totals);
        if let Some(leases) = &self.leases {
            let _ = writeln!(text, "{leases}");
        }
        if let Some(arithmetic) = &self.arithmetic {
            let _ = write!(text, "\n{arithmetic}");
        }
        text
    }
}

fn plain(rows: Vec<[String; HEADER.len()]>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(HEADER).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The rows as a list: an operator's name, then a line for each of its resources.
fn narrow(rows: Vec<[String; HEADER.len()]>, width: usize) -> String {
    let mut text = String::new();
    for [operator, instance, resource, requested, effective, mechanism, tier] in rows {
        if !operator.is_empty() {
            let s = if instance == "0" { "instance" } else { "instances" };
            let _ = writeln!(text, "{operator} ({s}: {instance})");
        }
        let asked = if requested == "-" { String::new() } else { format!(", {requested} requested") };
        let _ = writeln!(text, "  {resource}: {effective}{asked}; {mechanism}, {tier}");
    }
    wrapped(&text, width)
}

fn instances(count: u32) -> String {
    if count == 1 { "0".to_owned() } else { format!("all {count}") }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = self.cpus_allowed.count();
        write!(f, "{} ({}): ", counted(allowed, "CPU"), self.cpus_allowed)?;
        write!(f, "{} leased by this pipeline, {} by others, ", self.cpus_leased, self.cpus_leased_elsewhere)?;
        write!(f, "{} shared ({} of them never leased), ", self.cpus_shared, self.cpus_reserved.min(self.cpus_shared))?;
        write!(f, "shares come to {}", ten_thousandths(self.shares_ten_thousandths))?;
        if self.shares_elsewhere_ten_thousandths > 0 {
            write!(f, " beside {} of others", ten_thousandths(self.shares_elsewhere_ten_thousandths))?;
        }
        writeln!(f)?;
        if let Some(quota) = &self.cpu_quota {
            let (amount, group) = (ten_thousandths(quota.amount), quota.group.display());
            writeln!(f, "CPU time: {amount} CPUs at most, by the quota of the control group {group}")?;
        }
        write!(f, "memory: {} of {} asked for", short_size(self.memory_declared), short_size(self.memory_available))?;
        if self.memory_elsewhere > 0 {
            write!(f, ", {} held by others", short_size(self.memory_elsewhere))?;
        }
        writeln!(
            f,
            ", {} more under default caps, {} kept for the host",
            short_size(self.memory_default_caps),
            short_size(self.memory_reserved)
        )
    }
}
