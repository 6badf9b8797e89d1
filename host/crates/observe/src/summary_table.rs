use std::fmt::{self, Write as _};

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::numbers::{count, rate, shortened, time};
use super::{InferenceSummary, KernelSummary, StageSummary, Summary};
use sage_text::{card, short_size, width_of, wrapped};

/// The summary for people: a table of the stages within 100 columns, then the record counts of every operator.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}{}", self.headline(self.outcome), plain(&table(&self.stages)), self.below())
    }
}

impl Summary {
    /// The summary for a terminal: no line is wider than `width`. If the table does not fit, every stage gets
    /// lines of its own. With `colour`, the outcome is coloured.
    #[must_use]
    pub fn fitted(&self, width: Option<usize>, colour: bool) -> String {
        let width = width.unwrap_or(usize::MAX);
        let table = plain(&table(&self.stages));
        let stages = if width_of(&table) <= width {
            table
        } else {
            self.stages.iter().map(|stage| own_lines(stage, width)).collect()
        };
        let text = format!("{}\n\n", wrapped(&self.headline(self.outcome), width).trim_end());
        let text = format!("{text}{stages}{}", wrapped(&self.below(), width));
        if !colour {
            return text;
        }
        // The first match is in the headline: only the pipeline's name comes before, and a name has no space.
        let said = format!(": {} after", self.outcome);
        text.replacen(&said, &format!(": \u{1b}[{}m{}\u{1b}[0m after", self.colour(), self.outcome), 1)
    }

    /// Green if all work is done, yellow if a part of it is, red if the run failed.
    fn colour(&self) -> &'static str {
        match self.outcome {
            "completed" if self.balanced => "32",
            "drained" | "interrupted" if self.balanced => "33",
            _ => "31",
        }
    }

    fn headline(&self, outcome: &str) -> String {
        let sources = self.stages.iter().filter(|stage| stage.is_source());
        let read: u64 = sources.map(|source| source.records_in + source.records_out).sum();
        let (pipeline, elapsed) = (&self.pipeline, time(self.elapsed_seconds));
        format!("{pipeline}: {outcome} after {elapsed}, {} records read", count(read))
    }

    /// The text below the table: the sums, and the notes.
    fn below(&self) -> String {
        let mut text = String::new();
        let operators: Vec<_> =
            self.stages.iter().filter_map(|stage| Some((stage, stage.equation.as_ref()?))).collect();
        let width = operators.iter().map(|(stage, _)| stage.name.chars().count()).max().unwrap_or(0);
        if !operators.is_empty() {
            text.push('\n');
        }
        for (stage, equation) in operators {
            let verdict = if stage.balanced { "" } else { "  DOES NOT ADD UP" };
            let _ = writeln!(text, "{:width$}  {equation}{verdict}", stage.name);
        }
        for stage in &self.stages {
            if stage.stopped_early == Some(true) && self.error.is_none() {
                let note = "stopped before its end: the output is incomplete";
                let _ = writeln!(text, "{}: {note}", stage.name);
            }
            for note in notes(stage) {
                let _ = writeln!(text, "{}: {note}", stage.name);
            }
        }
        if let Some(epoch) = self.continued_from {
            let _ = writeln!(text, "continued from epoch {epoch}");
        }
        if let Some(epoch) = self.last_epoch.filter(|_| self.outcome != "completed") {
            let _ = writeln!(text, "saved up to epoch {epoch}: the next run goes on from there");
        }
        for lost in &self.limits_lost {
            let (operator, resource, was, tier) = (&lost.operator, &lost.resource, lost.was, lost.tier);
            let after = time(lost.after_seconds);
            let _ = writeln!(text, "{operator}: {resource} was {was} and is {tier} since {after}: {}", lost.message);
        }
        text
    }
}

/// The lines of a table, each with its line end.
fn plain(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The notes about a stage, one line each.
fn notes(stage: &StageSummary) -> Vec<String> {
    let mut notes = Vec::new();
    if stage.ends_failed > 0 {
        notes.push(format!("`end` failed in {} of its lanes, so its last output is missing", stage.ends_failed));
    }
    if stage.filtered > 0 {
        notes.push(format!("{} of the records handled were filtered out", count(stage.filtered)));
    }
    if stage.late_records > 0 {
        notes.push(format!("{} of the records handled came too late for their windows", count(stage.late_records)));
    }
    if stage.windows_failed > 0 {
        notes.push(format!("{} windows could not be finished and were given up", count(stage.windows_failed)));
    }
    if !stage.errors.is_empty() {
        let errors: Vec<_> = stage.errors.iter().map(|(code, n)| format!("{code} {}", count(*n))).collect();
        notes.push(format!("errors by code: {}", errors.join(", ")));
    }
    if let Some(watermark) = stage.watermark.as_ref().filter(|_| stage.is_source()) {
        notes.push(format!("event time reached {watermark}"));
    }
    if stage.records_ahead > 0 {
        let ahead = count(stage.records_ahead);
        notes.push(format!("{ahead} records were too far ahead of the clock to move event time on"));
    }
    if stage.bad_files > 0 {
        notes.push(format!("{} of its files could not be read to the end", count(stage.bad_files)));
    }
    if !stage.breaches.is_empty() {
        let breaches: Vec<_> = stage.breaches.iter().map(|(limit, n)| format!("{limit} {}", count(*n))).collect();
        notes.push(format!("calls that broke a limit: {}", breaches.join(", ")));
    }
    if stage.unread > 0 {
        notes.push(format!("{} records went to side outputs without a reader", count(stage.unread)));
    }
    if stage.throttled_seconds > 0.0 {
        notes.push(format!("held back for {} by its CPU share", time(stage.throttled_seconds)));
    }
    if stage.workers_lost > 0 {
        notes.push(format!("{} of its worker processes died and were replaced", count(stage.workers_lost)));
    }
    if let Some(kernel) = &stage.kernel {
        notes.extend(kernel_notes(kernel));
    }
    if let Some(inference) = &stage.inference {
        notes.extend(inference_notes(inference));
    }
    if stage.log_bytes_dropped > 0 {
        notes.push(format!(
            "{} of log over limits.log_bytes_per_second were dropped",
            short_size(stage.log_bytes_dropped)
        ));
    }
    if let (Some(half), Some(most)) = (stage.latency_p50_seconds, stage.latency_p99_seconds) {
        notes.push(format!("half of the records arrived within {}, 99 % within {}", time(half), time(most)));
    }
    notes
}

/// Notes with the kernel's counts of the worker processes: always the memory, and the other counts if they are
/// not zero.
fn kernel_notes(kernel: &KernelSummary) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(peak) = kernel.memory_peak_bytes {
        let of = kernel.memory_max_bytes.map(|max| format!(" of {}", short_size(max))).unwrap_or_default();
        notes.push(format!("a worker had {}{of} at its peak, everything counted by the kernel", short_size(peak)));
    }
    if let Some(kills) = kernel.oom_kills.filter(|&kills| kills > 0) {
        notes.push(format!("the kernel killed {} of its workers for lack of memory", count(kills)));
    }
    if let (Some(periods), Some(seconds)) = (kernel.throttled_periods.filter(|&n| n > 0), kernel.throttled_seconds) {
        notes.push(format!(
            "held back by the kernel's CPU quota in {} periods, {} in all",
            count(periods),
            time(seconds)
        ));
    }
    notes
}

/// Notes about the devices that served the stage, and their work.
fn inference_notes(inference: &InferenceSummary) -> Vec<String> {
    let devices: Vec<_> = inference.devices.iter().map(String::as_str).collect();
    let mut notes = vec![format!(
        "{} calls of models, {} rows, on {}: {} of CPU there",
        count(inference.calls),
        count(inference.rows),
        devices.join(", "),
        cpu(inference.cpu_seconds)
    )];
    if !inference.errors.is_empty() {
        let errors: Vec<_> = inference.errors.iter().map(|(code, n)| format!("{code} {}", count(*n))).collect();
        notes.push(format!("calls of models that failed: {}", errors.join(", ")));
    }
    notes
}

fn table(stages: &[StageSummary]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(COLUMNS);
    for stage in stages {
        table.add_row(row(stage).map(Cell::new));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        column.set_cell_alignment(if at == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

const COLUMNS: [&str; 8] = ["stage", "in", "out", "rejected", "retried\nrestarts", "records/s", "CPU", "memory"];

/// The lines of a stage if the table is too wide.
fn own_lines(stage: &StageSummary, width: usize) -> String {
    let [name, cells @ ..] = row(stage);
    let names = COLUMNS.into_iter().skip(1);
    card(&name.replace('\n', ", "), names.zip(cells), width)
}

fn row(stage: &StageSummary) -> [String; COLUMNS.len()] {
    let kind =
        if stage.instances > 1 { format!("{} × {}", stage.kind, stage.instances) } else { stage.kind.to_owned() };
    let moved = |here: bool, records: u64, size: u64| {
        if here { format!("{}\n{}", count(records), short_size(size)) } else { String::new() }
    };
    let mut lost = vec![count(stage.rejected)];
    for (n, what) in [(stage.dead_lettered, "dead"), (stage.failed, "failed"), (stage.unfinished, "undone")] {
        if n > 0 {
            lost.push(format!("{} {what}", count(n)));
        }
    }
    let operator = stage.is_operator();
    let memory = match (stage.memory_peak_bytes, stage.memory_limit_bytes) {
        (Some(peak), Some(cap)) => format!("{}\nof {}", short_size(peak), short_size(cap)),
        _ => String::new(),
    };
    [
        format!("{}\n{kind}", shortened(&stage.name, 16)),
        moved(!stage.is_source(), stage.records_in, stage.bytes_in),
        moved(!stage.is_sink(), stage.records_out, stage.bytes_out),
        if operator || lost.len() > 1 { lost.join("\n") } else { String::new() },
        if operator { format!("{}\n{}", count(stage.retried), count(stage.restarts)) } else { String::new() },
        rate(stage.records_per_second),
        cpu(stage.cpu_seconds),
        memory,
    ]
}

/// CPU time, always in seconds, so that stages can be compared at a glance.
fn cpu(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::LostLimit;
    use super::*;

    fn stage(name: &str, kind: &'static str, instances: usize, scale: u64) -> StageSummary {
        let operator = kind != "source" && kind != "sink";
        let mut stage = StageSummary {
            name: name.to_owned(),
            kind,
            instances,
            records_in: match kind {
                "source" => 0,
                "sink" => 26_483 * scale,
                _ => 27_004 * scale,
            },
            records_out: if kind == "sink" { 0 } else { 26_483 * scale },
            bytes_in: 3_000_000 * scale,
            bytes_out: 2_500_000 * scale,
            handled: 26_483 * scale,
            filtered: 0,
            late_records: 0,
            windows_failed: 0,
            rejected: if operator { 521 * scale } else { 0 },
            dead_lettered: 0,
            failed: 0,
            unfinished: 0,
            balanced: true,
            equation: None,
            stopped_early: None,
            ends_failed: 0,
            unread: 0,
            watermark: None,
            records_ahead: 0,
            bad_files: 0,
            retried: scale - 1,
            restarts: scale - 1,
            workers_lost: 0,
            worker_start_seconds: None,
            kernel: None,
            inference: None,
            errors: BTreeMap::new(),
            breaches: BTreeMap::new(),
            records_per_second: 21_954.0 * scale as f64,
            cpu_seconds: 0.31 * scale as f64,
            throttled_seconds: 0.0,
            memory_peak_bytes: operator.then_some(1_234_567 * scale),
            memory_limit_bytes: operator.then_some(64 << 20),
            log_bytes_dropped: 0,
            latency_p50_seconds: None,
            latency_p99_seconds: None,
            latency_longest_seconds: None,
        };
        stage.set_equation();
        stage
    }

    fn summary(stages: Vec<StageSummary>) -> Summary {
        Summary {
            pipeline: "flights".into(),
            run: "r1".into(),
            outcome: "completed",
            error: None,
            unended: Vec::new(),
            continued_from: None,
            last_epoch: None,
            elapsed_seconds: 1.23,
            balanced: true,
            limits_lost: Vec::new(),
            stages,
        }
    }

    #[test]
    fn a_limit_that_was_lost_is_a_line() {
        let mut summary = summary(vec![stage("parse", "map", 4, 1)]);
        summary.limits_lost.push(LostLimit {
            operator: "parse".to_owned(),
            resource: "num_cpus".to_owned(),
            was: "hard",
            tier: "none",
            after_seconds: 2.5,
            message: "its lane on leased CPU 1 may run on CPU 0 now".to_owned(),
        });
        let text = summary.to_string();
        let line = "parse: num_cpus was hard and is none since 2.50 s: its lane on leased CPU 1 may run on CPU 0 now";
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn a_run_reads_well() {
        let mut parse = stage("parse", "map", 4, 1);
        parse.errors = BTreeMap::from([("rejected", 521)]);
        let mut sink = stage("out", "sink", 1, 1);
        (sink.latency_p50_seconds, sink.latency_p99_seconds) = (Some(0.0012), Some(0.034));
        let summary = summary(vec![stage("flights", "source", 1, 1), parse, sink]);
        insta::assert_snapshot!(summary);
    }

    #[test]
    fn on_a_narrow_terminal_every_stage_has_lines_of_its_own() {
        let mut parse = stage("parse", "map", 4, 1000);
        parse.errors = BTreeMap::from([("rejected", 521)]);
        (parse.dead_lettered, parse.failed) = (1234, 5678);
        let mut sink = stage("out", "sink", 1, 1000);
        (sink.latency_p50_seconds, sink.latency_p99_seconds) = (Some(0.0012), Some(0.034));
        let mut source = stage("flights", "source", 1, 1000);
        source.stopped_early = Some(true);
        let summary = summary(vec![source, parse, sink]);
        let natural = width_of(&plain(&table(&summary.stages)));
        for width in [natural, 80, 40] {
            let text = summary.fitted(Some(width), false);
            assert!(width_of(&text) <= width, "{width}:\n{text}");
            if width < natural {
                insta::assert_snapshot!(format!("a_run_in_{width}_columns"), text);
            }
        }
        assert_eq!(summary.fitted(None, false), summary.to_string());
        let coloured = summary.fitted(None, true);
        assert!(coloured.starts_with("flights: \u{1b}[32mcompleted\u{1b}[0m after"), "{coloured}");
        assert_eq!(coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), summary.to_string());
    }

    #[test]
    fn six_operators_fit_in_a_hundred_columns_even_when_numbers_are_large() {
        for scale in [1, 1000, 300_000] {
            let kinds = ["map", "filter", "flat-map", "key-by", "process", "map"];
            let mut stages = vec![stage("a-source-with-a-very-long-name", "source", 1, scale)];
            stages.extend(kinds.map(|kind| {
                let mut stage = stage(&format!("an-operator-to-{kind}-records"), kind, 128, scale);
                (stage.dead_lettered, stage.failed, stage.unfinished) = (1234, 5678, 12_345);
                stage
            }));
            stages.push(stage("out", "sink", 1, scale));
            let text = table(&stages).to_string();
            let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
            assert!(widest <= 100, "{widest} columns:\n{text}");
        }
    }

    #[test]
    fn a_source_says_what_it_could_not_read_and_counts_it_as_read() {
        let mut source = stage("in", "source", 1, 1);
        assert_eq!(source.equation, None);
        (source.records_in, source.failed, source.bad_files) = (17, 17, 2);
        source.set_equation();
        let text = summary(vec![source]).to_string();
        for part in [
            "26,500 records read",
            "in  26500 read = 26483 sent + 0 dead-lettered + 17 failed\n",
            "in: 2 of its files could not be read to the end\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn what_does_not_add_up_is_said() {
        let mut broken = stage("parse", "map", 1, 1);
        broken.balanced = false;
        let text = summary(vec![broken]).to_string();
        let line = "parse  27004 in = 26483 handled + 521 rejected + 0 dead-lettered + 0 failed  DOES NOT ADD UP";
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
