use super::ledger_row::row;
use super::{Options, Reason};
use sage_machine::{Mechanism, ReportRow, Tier, counted};
use sage_plan::{Stage, Work};
use sage_sandbox::MOST_THREADS_OF_A_LANE;

/// The number of processes and threads that a worker may have. No stage requests this limit; process
/// isolation promises it.
pub(super) fn decide(
    stage: &Stage,
    lanes: u32,
    options: &Options,
    reasons: &mut Vec<Reason>,
) -> (Option<u32>, Option<ReportRow>) {
    let Some(worker) = options.isolation.worker().filter(|_| stage.kind().is_some()) else { return (None, None) };
    let most = lanes.saturating_add(worker.threads).saturating_add(file_threads(stage, lanes));
    let (max, effective, how) = if worker.kernel.pids {
        (Some(most), counted(most, "thread"), (Mechanism::CgroupPids, Tier::Hard))
    } else if worker.kernel.syscall_filter {
        (None, "1 process".to_owned(), (Mechanism::SyscallFilter, Tier::Cooperative))
    } else {
        if !options.allow_unenforced {
            let place = worker.kernel.place.clone();
            reasons.push(Reason::Pids { operator: stage.name.clone(), most, place });
        }
        (None, "nothing".to_owned(), (Mechanism::Nothing, Tier::None))
    };
    (max, Some(row(stage, "pids", None, effective, how)))
}

/// Threads that read and write files and sockets for lanes with guests that have such capabilities.
fn file_threads(stage: &Stage, lanes: u32) -> u32 {
    let Work::Component(component, _) = &stage.work else { return 0 };
    let granted = &component.capabilities;
    if granted.folders.is_empty() && granted.connect.is_empty() {
        return 0;
    }
    lanes.saturating_mul(MOST_THREADS_OF_A_LANE)
}
