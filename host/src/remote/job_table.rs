use std::time::Duration;

use comfy_table::{Table, TableStyle};
use sage_jobs::now;
use sage_serve::server::JobRow;
use sage_text::{plain_line, short_size};

/// The table of `ps`.
pub(super) fn table(jobs: &[JobRow]) -> String {
    let now = now();
    if jobs.iter().any(|job| job.tenant.is_some()) {
        let header = ["TENANT", "NAME", "STATE", "SINCE", "TRY", "RECORDS", "CPU", "MEMORY", "WHY"];
        return lines(header, jobs.iter().map(|job| with_tenant(job, now)));
    }
    let header = ["NAME", "STATE", "SINCE", "TRY", "RECORDS", "CPU", "MEMORY", "WHY"];
    lines(header, jobs.iter().map(|job| row(job, now)))
}

fn with_tenant(job: &JobRow, now: u64) -> [String; 9] {
    let tenant = job.tenant.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let [name, state, since, tries, records, cpu, memory, why] = row(job, now);
    [tenant, name, state, since, tries, records, cpu, memory, why]
}

fn row(job: &JobRow, now: u64) -> [String; 8] {
    let dash = || "-".to_owned();
    let memory = match (job.memory_used, job.memory_limit) {
        (Some(used), Some(limit)) => format!("{}/{}", short_size(used), short_size(limit)),
        (Some(used), None) => short_size(used),
        _ => dash(),
    };
    let state = match (job.state.as_str(), job.exit_code) {
        ("failed" | "rejected", Some(code)) => format!("{} ({code})", job.state),
        _ => job.state.clone(),
    };
    let tries = if job.attempt == 0 { dash() } else { (job.restarts + 1).to_string() };
    [
        job.name.to_string(),
        state,
        age(now.saturating_sub(job.since)),
        tries,
        job.records_in.map_or_else(dash, |records| records.to_string()),
        job.cpu_seconds.map_or_else(dash, |seconds| format!("{seconds:.1}s")),
        memory,
        plain_line(job.why.as_deref().unwrap_or_default()).into_owned(),
    ]
}

/// A time in the largest unit that fits.
pub(super) fn age(milliseconds: u64) -> String {
    let seconds = Duration::from_millis(milliseconds).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A table without lines, with columns two spaces apart.
pub(super) fn lines<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header);
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (milliseconds, shown) in
            [(999, "0s"), (61_000, "1m"), (7_200_000, "2h"), (172_799_000, "47h"), (172_800_000, "2d")]
        {
            assert_eq!(age(milliseconds), shown);
        }
    }
}
