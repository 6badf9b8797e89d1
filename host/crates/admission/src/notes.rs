use super::Reason;
use sage_machine::{DeviceShare, HeldCpu, ShareState, counted, ten_thousandths};
use sage_text::short_size;

impl Reason {
    /// The numbers behind the reason, one per line.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Cpus { allowed, not_given, reserved, taken, held, .. } => {
                let mut notes = vec![format!(
                    "of {} ({allowed}), {reserved} never leased, {taken} for other operators of this pipeline, \
                     {} leased already",
                    counted(allowed.count(), "CPU"),
                    held.len()
                )];
                if *not_given > 0 {
                    notes.push(format!(
                        "{} more may be used, and host.toml does not give them away",
                        counted(*not_given, "CPU")
                    ));
                }
                notes.extend(few(held.iter().map(HeldCpu::to_string)));
                notes
            }
            Self::Memory { available, most, reserved, of_devices, room, askers, held, .. } => {
                let mut notes = shown(askers);
                if *room > 0 {
                    notes.push(format!("{} for the pipeline's control group beside its instances", short_size(*room)));
                }
                match most.filter(|most| most == available) {
                    Some(most) => notes.push(format!("host.toml gives away at most {}", short_size(most))),
                    None => notes.push(format!("{} kept for the host", short_size(*reserved))),
                }
                if *of_devices > 0 {
                    notes.push(format!("{} for models on CPU devices", short_size(*of_devices)));
                }
                notes.extend(few(shown(held)));
                notes
            }
            Self::Shares { askers, held, .. } | Self::Custom { askers, held, .. } => {
                [shown(askers), few(shown(held))].concat()
            }
            Self::Quota { askers, held, .. } => [shown(askers), few(held.clone())].concat(),
            Self::Ceiling { held, .. } => few(shown(held)),
            Self::NotHard { note, .. } => note.iter().cloned().collect(),
            Self::UnknownTenant { declared, .. } => vec![format!("host.toml names {}", declared.join(", "))],
            Self::Pids { place, .. } => vec![format!("found: {place}")],
            Self::Undeclared { declared, .. } if declared.is_empty() => Vec::new(),
            Self::Undeclared { declared, .. } => vec![format!("this host declares {}", declared.join(", "))],
            Self::Leases(error) => {
                let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
                causes.map(ToString::to_string).collect()
            }
            Self::NoDevice { why, .. } => why.clone(),
            Self::Devices { devices, taken, held, .. } => {
                let count = u32::try_from(devices.len()).unwrap_or(u32::MAX);
                let mut notes = vec![format!(
                    "of {} ({}), {} for other operators of this pipeline",
                    counted(count, "device"),
                    devices.join(", "),
                    ten_thousandths(*taken)
                )];
                notes.extend(few(held.iter().map(held_share)));
                notes
            }
            Self::DeviceMemory { models, devices, held, .. } => {
                [models.clone(), devices.clone(), few(held.iter().map(held_memory))].concat()
            }
            Self::NoSharedCpu { held, .. } | Self::DeviceCpus { held, .. } => {
                held.iter().map(HeldCpu::to_string).collect()
            }
            Self::NoCpuLeft { .. }
            | Self::NoEdge { .. }
            | Self::BuiltIn { .. }
            | Self::TooSmall { .. }
            | Self::CpusNotHere(_)
            | Self::MemoryNotHere { .. }
            | Self::ReserveNotHere { .. } => Vec::new(),
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Cpus { .. } | Self::Shares { .. } => "lower num_cpus or parallelism, or pass --overcommit".to_owned(),
            Self::Quota { .. } => "raise the quota (docker's --cpus, Kubernetes' limits.cpu, systemd's CPUQuota), \
                 lower num_cpus or parallelism, or pass --overcommit"
                .to_owned(),
            Self::Memory { .. } => "lower memory or parallelism, or pass --overcommit".to_owned(),
            Self::NoDevice { could_count, .. } => match could_count.as_slice() {
                [] => "declare a [[device]] in host.toml, remove num_gpus, or pass --allow-unenforced to run without"
                    .to_owned(),
                devices => format!(
                    "set counts_as_gpu = true for {} in host.toml to let it serve num_gpus: \
                     models then run there, not on a GPU",
                    devices.join(" or ")
                ),
            },
            Self::Devices { .. } => "lower num_gpus or parallelism, or wait for other runs with --wait; \
                 --overcommit does not share devices out more thinly"
                .to_owned(),
            Self::DeviceMemory { .. } => "lower workspace of the models or parallelism, \
                 or raise the device's memory in host.toml if it has more; --overcommit does not stretch it"
                .to_owned(),
            Self::NoSharedCpu { .. } => {
                "wait for other runs with --wait, give this run more CPUs, or pass --overcommit to run on leased ones"
                    .to_owned()
            }
            Self::DeviceCpus { .. } => {
                "give the device other CPUs in host.toml, the same in all host files of the machine, \
                 or wait for other runs with --wait"
                    .to_owned()
            }
            Self::NoCpuLeft { .. } => {
                "give devices fewer CPUs in host.toml: operators and the host need some".to_owned()
            }
            Self::NoEdge { .. } => {
                "remove object_store_memory, or give it to the stages that take this one's output".to_owned()
            }
            Self::BuiltIn { resource, .. } => format!("remove {resource}, or pass --allow-unenforced to run without"),
            Self::Undeclared { resource, value, .. } => {
                format!(
                    "add resources = {{ {resource} = {} }} to host.toml if this host has it",
                    ten_thousandths(*value)
                )
            }
            Self::Custom { resource, .. } => {
                format!("lower {resource} or parallelism, raise it in host.toml if there is more, or pass --overcommit")
            }
            Self::TooSmall { least, .. } => {
                format!(
                    "raise memory above {}, with room for the guest, or run with --isolation thread",
                    short_size(*least)
                )
            }
            Self::Pids { .. } => {
                "give this process a control group with the pids controller, or pass --allow-unenforced to run without"
                    .to_owned()
            }
            Self::CpusNotHere(_) => "correct cpus in host.toml, or start sage-host where it may use them".to_owned(),
            Self::MemoryNotHere { .. } => {
                "correct memory in host.toml, or start sage-host where it may use as much".to_owned()
            }
            Self::ReserveNotHere { key, .. } => {
                format!("lower {key} in [reserve] of host.toml: operators cannot get the reserve")
            }
            Self::UnknownTenant { tenant, .. } => {
                format!("name the tenant with --tenant, or add [tenant.{tenant}] to host.toml")
            }
            Self::Ceiling { tenant, .. } => {
                format!(
                    "ask for less, or raise the ceiling in [tenant.{tenant}] of host.toml; \
                     --overcommit does not lift it"
                )
            }
            Self::NotHard { .. } => "`sage-host doctor` lists the limits that can be hard here; \
                 without --strict the pipeline runs as --explain shows"
                .to_owned(),
            Self::Leases(error) => return error.hint().map(str::to_owned),
        })
    }
}

/// The first holders and the number of the others. A full page of holders would not be read.
fn few(holders: impl IntoIterator<Item = String>) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut holders: Vec<String> = holders.into_iter().collect();
    // The name of one more holder needs no more lines than the count of the others.
    if holders.len() > SHOWN + 1 {
        let more = holders.len() - SHOWN;
        holders.truncate(SHOWN);
        holders.push(format!("{more} more"));
    }
    holders
}

fn held_share(share: &DeviceShare) -> String {
    let of = ten_thousandths(u64::from(share.claim.share));
    match share.claim.state {
        ShareState::Held => format!("{of} of {} is held by {share}", share.claim.device),
        state => format!("{of} of {} is {}, of {share}", share.claim.device, state.name()),
    }
}

fn held_memory(share: &DeviceShare) -> String {
    format!("{} of {} is held by {share}", short_size(share.claim.memory), share.claim.device)
}

fn shown(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Holding;

    #[test]
    fn of_many_holders_five_are_named_and_the_rest_counted() {
        let holder = |n| Holding { holder: format!("process {n}"), amount: "1".to_owned() };
        for (count, lines, last) in [
            (0, 0, None),
            (5, 5, Some("process 4 holds 1")),
            (6, 6, Some("process 5 holds 1")),
            (192, 6, Some("187 more")),
        ] {
            let held = (0..count).map(holder).collect();
            let (resource, askers) = ("licence".to_owned(), Vec::new());
            let reason = Reason::Custom { resource, wanted: 10_000, free: 0, declared: 0, askers, held };
            let notes = reason.notes();
            assert_eq!((notes.len(), notes.last().map(String::as_str)), (lines, last));
        }
    }
}
