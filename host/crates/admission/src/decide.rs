use std::collections::BTreeSet;

use super::cpu_pool::CpuPool;
use super::{
    Grant, Needs, Options, Reason, Refusal, StageGrant, cpus, custom, devices, lease_place, limits, memory, pids,
    strict, tenant, worker_memory,
};
use sage_machine::{Amounts, DeviceShare, EnforcementReport, Holdings, Inventory, Supply, counted};
use sage_models::{Device, Devices};
use sage_plan::Plan;
use sage_plan::config::Reserve;
use sage_text::short_size;

/// Decides what each stage of the plan gets on this machine, given what running pipelines hold of it at present.
///
/// CPUs go to stages in the plan's order. Memory that is asked for (`memory`, `object_store_memory`), shares and custom resources
/// are summed up with what others hold against what the host gives away, and against the tenant's ceilings. Where instances
/// are threads, one that asks for no memory has a cap and no claim, except towards its tenant's ceiling. Devices have their shares and their
/// memory summed up for each, and their own CPUs are nobody else's. Says nothing of what other programs use.
///
/// # Errors
/// Every reason against it. An operator that does not get its CPUs does not use up any for those after it.
pub fn decide(
    plan: &Plan,
    inventory: &Inventory,
    supply: &Supply,
    options: &Options,
    devices: &Devices,
    taken: &Holdings,
) -> Result<Grant, Refusal> {
    let mut reasons = Vec::new();
    let mut given = supply.given(inventory).unwrap_or_else(|not_here| {
        reasons.push(Reason::CpusNotHere(not_here));
        inventory.clone()
    });
    reasons.extend(not_here(supply, inventory));
    let of_devices = devices.cpus();
    let left = given.allowed.without(&of_devices);
    if left.is_empty() && !given.allowed.is_empty() {
        reasons.push(Reason::NoCpuLeft { given: given.allowed.clone(), of_devices });
    } else {
        given.allowed = left;
    }
    let pool = CpuPool::new(&given, inventory.allowed.count(), supply, taken);
    let cpus = cpus::decide(plan, &pool, options, &mut reasons);
    let of_devices = devices.host_memory();
    let memory = memory::decide(plan, supply, (&given, of_devices), options, taken, &mut reasons);
    let custom = custom::decide(plan, supply, options, taken, &mut reasons);
    let granted = devices::decide(plan, devices, supply, options, taken, &mut reasons);
    device_cpus(devices, &granted, taken, &mut reasons);
    let devices = granted;
    let amounts = Amounts {
        memory: memory.sums.declared,
        memory_at_most: memory.sums.declared.saturating_add(memory.sums.default_caps),
        shares: cpus.totals.shares_ten_thousandths,
        unleased: cpus.unleased,
        custom: custom.counted,
    };
    let of_tenant = (u64::from(cpus.whole) * 10_000).saturating_add(amounts.shares);
    tenant::decide(supply, options, (&amounts, of_tenant), taken, &mut reasons);

    let mut stages = Vec::with_capacity(plan.stages.len());
    let mut rows = Vec::new();
    let parts = cpus.stages.into_iter().zip(memory.stages).zip(custom.stages).zip(devices);
    for (stage, (((cpus, memory), custom), devices)) in plan.stages.iter().zip(parts) {
        rows.extend(cpus.rows);
        rows.extend(memory.rows);
        let (pids_max, pids) = pids::decide(stage, cpus.lanes, options, &mut reasons);
        rows.extend(pids);
        rows.extend(devices.row);
        rows.extend(custom.rows);
        rows.extend(limits::rows(stage));
        stages.push(StageGrant {
            lanes: cpus.lanes,
            cpus: cpus.cpus,
            cpu_quota: cpus.quota,
            memory_cap: memory.cap,
            memory_max: memory.max,
            pids_max,
            edge_bytes: memory.edge_bytes,
            custom: custom.counted,
            devices: devices.instances,
        });
    }
    lease_place::lower(&mut rows, taken.place.as_ref());
    if options.strict && reasons.is_empty() {
        reasons.extend(strict::reasons(&rows));
    }
    if !reasons.is_empty() {
        return Err(Refusal { reasons });
    }
    let needs =
        Needs { memory: memory.sums.needed(of_devices), cpu_time: cpus.needed, usable: inventory.allowed.count() };
    let totals = memory.sums.put_into(cpus.totals);
    let arithmetic = worker_memory::add_up(plan, &stages, &memory.sums, (supply, options), taken);
    let leases = taken.place.clone();
    let ledger = EnforcementReport { pipeline: plan.name.clone(), rows, totals, leases, arithmetic };
    let (tenant, memory_max) = (options.tenant.clone(), worker_memory::of_pipeline(&memory.sums));
    Ok(Grant {
        stages,
        ledger,
        allowed: given.allowed.clone(),
        cpus_reserved: pool.reserved,
        memory_max,
        needs,
        tenant,
        amounts,
    })
}

/// Whether a pipeline that is refused would be granted if nobody else held anything, so that it is worth waiting.
#[must_use]
pub fn fits_alone(plan: &Plan, inventory: &Inventory, supply: &Supply, options: &Options, devices: &Devices) -> bool {
    decide(plan, inventory, supply, options, devices, &Holdings::default()).is_ok()
}

/// The CPUs that the devices of these grants have to themselves must be nobody else's; another run that has a lease on the same device shares them.
fn device_cpus(devices: &Devices, granted: &[devices::StageDevices], taken: &Holdings, reasons: &mut Vec<Reason>) {
    let ids = granted.iter().flat_map(|stage| stage.instances.iter().flatten()).map(|part| part.device.as_str());
    for id in ids.collect::<BTreeSet<_>>() {
        let Some(cpus) = devices.get(id).and_then(Device::cpus) else { continue };
        let of_the_same = |cpu: u32| {
            let share =
                |share: &DeviceShare| share.claim.device == id && share.claim.cpus.contains(cpu) && share.counts();
            taken.devices.iter().any(share)
        };
        let held = taken.cpus.iter().filter(|held| cpus.contains(held.cpu) && !of_the_same(held.cpu));
        let held: Vec<_> = held.cloned().collect();
        if !held.is_empty() {
            reasons.push(Reason::DeviceCpus { device: id.to_owned(), cpus, held });
        }
    }
}

/// What host.toml says of memory and of what is kept that this machine does not bear out.
fn not_here(supply: &Supply, inventory: &Inventory) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(given) = supply.memory.filter(|given| *given > inventory.memory) {
        reasons.push(Reason::MemoryNotHere { given, there: inventory.memory });
    }
    let usable = inventory.allowed.count();
    if let Some(kept) = supply.cpus_reserved.filter(|kept| *kept > usable) {
        let there = counted(usable, "CPU");
        reasons.push(Reason::ReserveNotHere { key: "cpus", kept: kept.to_string(), there });
    }
    // What nobody asked to keep gives way on a small machine.
    if supply.memory_reserved > inventory.memory && supply.memory_reserved != Reserve::DEFAULT_MEMORY {
        let (kept, there) = (short_size(supply.memory_reserved), short_size(inventory.memory));
        reasons.push(Reason::ReserveNotHere { key: "memory", kept, there });
    }
    reasons
}
