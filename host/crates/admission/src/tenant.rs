use super::holders::holders;
use super::{Options, Reason};
use sage_machine::{Amounts, Claim, Holdings, Supply, ten_thousandths};
use sage_text::short_size;

/// Compares the sums over the tenant's pipelines with the tenant's ceilings. `--overcommit` applies to
/// resources that a machine can share more thinly. A ceiling is a promise to the other tenants, so it is
/// never exceeded.
pub(super) fn decide(
    supply: &Supply,
    options: &Options,
    (amounts, cpus, gpus): (&Amounts, u64, u64),
    serves_gpus: impl Fn(&str) -> bool,
    taken: &Holdings,
    reasons: &mut Vec<Reason>,
) {
    let tenant = &options.tenant;
    if supply.tenants.is_empty() {
        return;
    }
    let Some(ceiling) = supply.tenants.get(tenant) else {
        let declared = supply.tenants.keys().map(ToString::to_string).collect();
        reasons.push(Reason::UnknownTenant { tenant: tenant.to_string(), declared });
        return;
    };
    let own: Vec<&Claim> = taken.claims.iter().filter(|claim| claim.tenant == tenant.as_str()).collect();
    let mut count =
        |resource: &str, wanted: u64, most: Option<u64>, of: &dyn Fn(&Claim) -> u64, show: fn(u64) -> String| {
            let Some(most) = most else { return };
            let held: u64 = own.iter().map(|claim| of(claim)).fold(0, u64::saturating_add);
            let free = most.saturating_sub(held);
            if wanted > free {
                reasons.push(Reason::Ceiling {
                    tenant: tenant.to_string(),
                    resource: resource.to_owned(),
                    wanted: show(wanted),
                    free: show(free),
                    most: show(most),
                    held: holders(own.iter().copied(), of, show),
                });
            }
        };
    count("CPUs", cpus, ceiling.cpus, &Claim::cpus_of_tenant, ten_thousandths);
    count("memory", amounts.memory_at_most, ceiling.memory, &|claim| claim.amounts.memory_at_most, short_size);
    let shares = |claim: &Claim| {
        let devices = claim.devices.iter().filter(|device| serves_gpus(&device.device));
        devices.map(|device| u64::from(device.share)).fold(0, u64::saturating_add)
    };
    count("GPUs", gpus, ceiling.num_gpus, &shares, ten_thousandths);
    for (name, most) in &ceiling.resources {
        let wanted = amounts.custom.get(name).copied().unwrap_or(0);
        let of = |claim: &Claim| claim.amounts.custom.get(name).copied().unwrap_or(0);
        count(name, wanted, Some(*most), &of, ten_thousandths);
    }
}

/// The largest memory of the tenant's other pipelines together, in bytes.
pub(super) fn memory_of_others(options: &Options, taken: &Holdings) -> u64 {
    let own = taken.claims.iter().filter(|claim| claim.tenant == options.tenant.as_str());
    own.map(|claim| claim.amounts.memory_at_most).fold(0, u64::saturating_add)
}
