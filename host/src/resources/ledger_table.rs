use std::collections::BTreeSet;
use std::fmt;

use comfy_table::{Table, TableStyle};

use super::amount::{bytes, counted, ten_thousandths};
use super::{Ledger, Totals};

/// The columns, in the order of [`super::LedgerRow`].
const HEADER: [&str; 7] = ["operator", "instance", "resource", "requested", "effective", "mechanism", "tier"];

/// No lines: two spaces part the columns.
const STYLE: TableStyle = TableStyle::new();

/// The table, its notes, what each mechanism and tier in it means, and the sums. Lines are as wide as they must be; whoever
/// prints to a narrow terminal wraps them.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(STYLE).set_header(HEADER);
        let mut notes: Vec<&str> = Vec::new();
        let mut above = None;
        for row in &self.rows {
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
            table.add_row([
                operator,
                instance,
                row.resource.clone(),
                row.requested.clone().unwrap_or_else(|| "-".to_owned()),
                effective,
                row.mechanism.name().to_owned(),
                row.tier.name().to_owned(),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        for (number, note) in notes.iter().enumerate() {
            writeln!(f, "[{}] {note}", number + 1)?;
        }
        for mechanism in self.rows.iter().map(|row| row.mechanism).collect::<BTreeSet<_>>() {
            writeln!(f, "{}: {}", mechanism.name(), mechanism.explanation())?;
        }
        for tier in self.rows.iter().map(|row| row.tier).collect::<BTreeSet<_>>() {
            writeln!(f, "{}: {}", tier.name(), tier.meaning())?;
        }
        write!(f, "\n{}", self.totals)?;
        match &self.arithmetic {
            Some(arithmetic) => write!(f, "\n{arithmetic}"),
            None => Ok(()),
        }
    }
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
        write!(f, "memory: {} of {} asked for", bytes(self.memory_declared), bytes(self.memory_available))?;
        if self.memory_elsewhere > 0 {
            write!(f, ", {} held by others", bytes(self.memory_elsewhere))?;
        }
        writeln!(
            f,
            ", {} more under default caps, {} kept for the host",
            bytes(self.memory_default_caps),
            bytes(self.memory_reserved)
        )
    }
}
