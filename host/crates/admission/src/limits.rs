use super::ledger_row::row;
use sage_machine::{Mechanism, ReportRow, Tier};
use sage_plan::config::format_duration;
use sage_plan::{Limits, Stage};
use sage_text::exact_size;

/// The limits of each call of a component. A limit counts as requested if it differs from the default.
pub(super) fn rows(stage: &Stage) -> Vec<ReportRow> {
    if stage.kind().is_none() {
        return Vec::new();
    }
    let (limits, default) = (&stage.limits, Limits::default());
    let limit = |name: &str, shown: String, is_default: bool, mechanism| {
        row(stage, name, (!is_default).then(|| shown.clone()), shown, (mechanism, Tier::Hard))
    };
    vec![
        limit(
            "cpu_time_per_call",
            format_duration(limits.cpu_time_per_call),
            limits.cpu_time_per_call == default.cpu_time_per_call,
            Mechanism::CpuDeadline,
        ),
        limit(
            "call_timeout",
            format_duration(limits.call_timeout),
            limits.call_timeout == default.call_timeout,
            Mechanism::WallDeadline,
        ),
        limit(
            "log_bytes_per_second",
            exact_size(limits.log_bytes_per_second),
            limits.log_bytes_per_second == default.log_bytes_per_second,
            Mechanism::LogRate,
        ),
        limit(
            "output_bytes_per_call",
            exact_size(limits.output_bytes_per_call),
            limits.output_bytes_per_call == default.output_bytes_per_call,
            Mechanism::OutputCount,
        ),
    ]
}
