use super::memory::{MemorySums, of_instance};
use super::{Options, StageGrant, tenant};
use sage_machine::{Arithmetic, Holdings, InstanceArithmetic, Supply};
use sage_plan::Plan;

/// Bytes that the control group of a pipeline may use for a host process in it, beside what is claimed. The process
/// uses 1 to 2 MiB of its own. The kernel also counts the program's pages and the files that it reads, which it can
/// free at any time, and the default queues of a large pipeline. The limit of the tenant still holds.
const HOST_ROOM: u64 = 64 << 20;

/// The memory limit of the pipeline's control group, in bytes. `None` if the kernel does not limit memory, or
/// if no instance is a worker.
pub(super) fn of_pipeline(sums: &MemorySums) -> Option<u64> {
    let of_workers = sums.instances.saturating_add(sums.room);
    let in_host = [sums.host_process, HOST_ROOM, sums.edges, sums.copies];
    let of_host = if sums.host_process > 0 { in_host.into_iter().fold(0, u64::saturating_add) } else { 0 };
    (sums.room > 0).then(|| of_workers.saturating_add(of_host))
}

/// The sum of the memory of workers, step by step. `None` with threads, because then the totals of the
/// enforcement report are sufficient.
pub(super) fn add_up(
    plan: &Plan,
    grants: &[StageGrant],
    sums: &MemorySums,
    (supply, options): (&Supply, &Options),
    taken: &Holdings,
) -> Option<Arithmetic> {
    let worker = options.isolation.worker()?;
    let components =
        plan.stages.iter().zip(grants).filter_map(|(stage, grant)| Some((stage, grant, grant.memory_cap?)));
    let instances = components.map(|(stage, grant, lane_caps)| InstanceArithmetic {
        operator: stage.name.clone(),
        instances: stage.parallelism,
        lanes: grant.lanes,
        lane_caps,
        overhead: worker.overhead_of(stage),
        memory: of_instance(stage, options),
        by_kernel: grant.memory_max.is_some(),
    });
    Some(Arithmetic {
        kernel: worker.kernel.place.clone(),
        instances: instances.collect(),
        room: sums.room,
        pipeline: sums.instances.saturating_add(sums.room),
        edges: sums.edges,
        copies: sums.copies,
        host_process: sums.host_process,
        claimed: sums.declared,
        tenant: options.tenant.to_string(),
        tenant_held: tenant::memory_of_others(options, taken),
        tenant_ceiling: supply.tenants.get(&options.tenant).and_then(|ceiling| ceiling.memory),
        host_held: sums.elsewhere,
        host: sums.available,
    })
}
