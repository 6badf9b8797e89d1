use sage_jobs::JobOrder;
use sage_machine::{EnforcementReport, Mechanism, ReportRow, Tier};

use crate::ExitCode;
use crate::failure::Failure;

/// Refuses a job of a tenant with a ceiling of CPU or memory where the kernel does not hold it to what it gets. A
/// ceiling is a promise to the other tenants.
pub(super) fn hard_limits(order: &JobOrder, report: &EnforcementReport) -> Result<(), Failure> {
    let soft = report.rows.iter().find(|row| is_promised(row) && row.tier != Tier::Hard);
    let Some(row) = soft.filter(|_| order.hard_limits) else { return Ok(()) };
    let tenant = order.tenant.as_deref().unwrap_or_default();
    let message = format!(
        "the tenant {tenant} has a ceiling, and {} of operator \"{}\" is {}, not hard",
        row.resource,
        row.operator,
        row.tier.name()
    );
    Err(Failure::new(ExitCode::Refused, message)
        .hint("`sage-host doctor` says why limits are not hard here; a tenant without cpus and memory in host.toml has no such promise"))
}

fn is_promised(row: &ReportRow) -> bool {
    let bounded = matches!(row.resource.as_str(), "memory" | "num_cpus");
    bounded && (row.requested.is_some() || row.mechanism != Mechanism::SharedCpus)
}
