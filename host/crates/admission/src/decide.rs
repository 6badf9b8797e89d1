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

/// Decides the grant of each stage of the plan on this machine, given the current holdings of running
/// pipelines.
///
/// CPUs go to stages in the plan's order. Requested memory (`memory`, `object_store_memory`), shares and
/// custom resources are added to the claims of other pipelines. The sums are compared with the amounts that
/// the host gives away, and with the tenant's ceilings. If instances are threads, an instance that requests
/// no memory has a cap but no claim, except against its tenant's ceiling. Shares and memory of devices are
/// summed for each device, and the CPUs of a device belong only to that device. The use by other programs is
/// not considered.
///
/// # Errors
/// Every reason against the pipeline. An operator that does not get its CPUs leaves them for the operators
/// after it.
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
    let amounts = Amounts {
        memory: memory.sums.declared,
        memory_at_most: memory.sums.declared.saturating_add(memory.sums.default_caps),
        shares: cpus.totals.shares_ten_thousandths,
        unleased: cpus.unleased,
        custom: custom.counted,
    };
    let of_tenant = (u64::from(cpus.whole) * 10_000).saturating_add(amounts.shares);
    let serves_gpus = |device: &str| devices.get(device).is_some_and(Device::serves_gpus);
    let parts = granted.iter().flat_map(|stage| stage.instances.iter().flatten());
    let gpus = parts.filter(|part| serves_gpus(&part.device)).map(|part| u64::from(part.share)).sum();
    tenant::decide(supply, options, (&amounts, of_tenant, gpus), serves_gpus, taken, &mut reasons);

    let mut stages = Vec::with_capacity(plan.stages.len());
    let mut rows = Vec::new();
    let parts = cpus.stages.into_iter().zip(memory.stages).zip(custom.stages).zip(granted);
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
    let report = EnforcementReport { pipeline: plan.name.clone(), rows, totals, leases, arithmetic };
    let (tenant, memory_max) = (options.tenant.clone(), worker_memory::of_pipeline(&memory.sums));
    Ok(Grant {
        stages,
        report,
        allowed: given.allowed.clone(),
        cpus_reserved: pool.reserved,
        memory_max,
        needs,
        tenant,
        amounts,
    })
}

/// Whether a refused pipeline would be granted if no other run held anything, so that waiting makes sense.
#[must_use]
pub fn fits_alone(plan: &Plan, inventory: &Inventory, supply: &Supply, options: &Options, devices: &Devices) -> bool {
    decide(plan, inventory, supply, options, devices, &Holdings::default()).is_ok()
}

/// Checks that no lease covers a CPU that is reserved for a granted device. Other runs with a lease on the
/// same device share those CPUs and are allowed.
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
    // The default reserve is not a request, so it may exceed a small machine.
    if supply.memory_reserved > inventory.memory && supply.memory_reserved != Reserve::DEFAULT_MEMORY {
        let (kept, there) = (short_size(supply.memory_reserved), short_size(inventory.memory));
        reasons.push(Reason::ReserveNotHere { key: "memory", kept, there });
    }
    reasons
}
