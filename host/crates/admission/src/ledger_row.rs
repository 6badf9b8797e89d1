use sage_machine::{Mechanism, ReportRow, Tier};
use sage_plan::Stage;

/// A row of this stage's instances.
pub(super) fn row(
    stage: &Stage,
    resource: &str,
    requested: Option<String>,
    effective: String,
    (mechanism, tier): (Mechanism, Tier),
) -> ReportRow {
    ReportRow {
        operator: stage.name.clone(),
        instances: stage.parallelism,
        resource: resource.to_owned(),
        requested,
        effective,
        mechanism,
        tier,
        note: None,
    }
}

/// A row for what was asked for and is let through without anything behind it.
pub(super) fn unenforced(stage: &Stage, resource: &str, requested: String) -> ReportRow {
    row(stage, resource, Some(requested), "nothing".to_owned(), (Mechanism::Nothing, Tier::None))
}
