use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, TableStyle};
use serde_json::{Value, json};

use super::ExitCode;
use super::args::{DevicesAction, DevicesArguments, RevokeArguments};
use super::failure::Failure;
use super::printer::Printer;
use super::refusal::{of_job, of_resources};
use sage_machine::{DeviceShare, DeviceUse, LeaseFolder, ResourceError, Revoked, ShareState, ten_thousandths};
use sage_models::{Device, Devices};
use sage_plan::config::DeviceKind;
use sage_runtime::engine::{JobError, JobOptions};
use sage_text::short_size;

/// Time that a holder may take after the grace period: it looks for requests four times a second, and then
/// writes the result.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The commands `devices`, which lists the devices and the leases on them, and `devices revoke`, which
/// revokes a lease.
pub(super) fn devices(arguments: &DevicesArguments, printer: Printer) -> Result<(), Failure> {
    let options = JobOptions {
        host_file: arguments.host.clone(),
        lease_folder: arguments.lease_folder.clone(),
        ..JobOptions::default()
    };
    let settings = options.host_settings().map_err(|error| of_job(&error))?;
    let of_folder = |error| of_job(&JobError::Resources(error));
    let folder = options.lease_folder(&settings).map_err(of_folder)?;
    if let Some(DevicesAction::Revoke(order)) = &arguments.action {
        return revoke(order, &folder, printer);
    }
    let devices = Devices::detect(&settings);
    let shares = folder.taken().map_err(of_folder)?.devices;
    let declared = arguments.host.is_some();
    printer.result(|| text(&devices, &shares, declared), &as_json(&devices, &shares, &folder))
}

fn revoke(order: &RevokeArguments, folder: &LeaseFolder, printer: Printer) -> Result<(), Failure> {
    let RevokeArguments { token, grace } = *order;
    match folder.revoke(token, grace, TIMEOUT).map_err(|error| of_resources_hinted(&error))? {
        Revoked::Free => printer.result(
            || format!("lease {token} is given up, its share is free\n"),
            &json!({ "token": token, "free": true }),
        ),
        Revoked::NotFree(share) => {
            let part = ten_thousandths(u64::from(share.claim.share));
            let (device, state) = (&share.claim.device, share.claim.state.name());
            let message = format!("lease {token} was asked for, but {part} of {device} is not free yet ({state})");
            let hint = match share.claim.state {
                ShareState::Busy => {
                    "the process that drives the device still uses it: the share is free when that process ends"
                        .to_owned()
                }
                ShareState::Held => format!(
                    "process {} has not seen the request: it obeys requests of its own user and of root, \
                     and none while it is stopped",
                    share.pid
                ),
                _ => {
                    format!(
                        "running work has not ended: the share is free when process {} ends, at the latest",
                        share.pid
                    )
                }
            };
            Err(Failure::new(ExitCode::Refused, message).cause(format!("held by {}", holder(&share))).hint(hint))
        }
    }
}

fn of_resources_hinted(error: &ResourceError) -> Failure {
    let failure = Failure::of(of_resources(error), error);
    error.hint().into_iter().fold(failure, Failure::hint)
}

fn text(devices: &Devices, shares: &[DeviceShare], declared: bool) -> String {
    let mut text = String::new();
    let listed = devices.all().iter().map(|device| {
        let used = DeviceUse::of(&device.id, shares);
        [
            device.id.clone(),
            device.kind_name().to_owned(),
            device.backend().name().to_owned(),
            format!("{} of {}", short_size(used.memory), short_size(device.memory)),
            format!("{} of 1", ten_thousandths(u64::from(used.share))),
            if device.trouble.is_some() { "-" } else { device.tier(shares).name() }.to_owned(),
            if device.serves_gpus() { "yes" } else { "no" }.to_owned(),
        ]
    });
    match devices.all() {
        [] if declared => text.push_str("no device is declared in host.toml, and none was found\n"),
        [] => text.push_str("no device was found; those that a host file declares are shown with --host FILE\n"),
        _ => text.push_str(&table(
            ["device", "kind", "backend", "memory held", "share held", "tier", "serves num_gpus"],
            listed,
        )),
    }
    if !shares.is_empty() {
        let rows = shares.iter().map(|share| {
            [
                share.claim.token.to_string(),
                share.claim.device.clone(),
                ten_thousandths(u64::from(share.claim.share)),
                short_size(share.claim.memory),
                share.claim.state.name().to_owned(),
                holder(share),
            ]
        });
        let _ = write!(text, "\n{}", table(["lease", "device", "share", "memory", "state", "held by"], rows));
    }
    text.push('\n');
    for line in notes(devices) {
        let _ = writeln!(text, "{line}");
    }
    let usable = devices.all().iter().filter(|device| device.trouble.is_none());
    let mut tiers: Vec<_> = usable.map(|device| device.tier(shares)).collect();
    tiers.sort();
    tiers.dedup();
    for tier in tiers {
        let _ = writeln!(text, "{}: {}", tier.name(), tier.meaning());
    }
    text
}

/// Notes on single devices, and the reason why no device serves `num_gpus`.
fn notes(devices: &Devices) -> Vec<String> {
    let models = devices.all().iter().filter_map(|device| Some(format!("{}: {}", device.id, device.model.as_ref()?)));
    models.chain(devices.why_none_serves()).collect()
}

fn holder(share: &DeviceShare) -> String {
    let DeviceShare { pid, pipeline, tenant, claim } = share;
    let (operator, instance) = (&claim.operator, claim.instance);
    format!("process {pid} (pipeline {pipeline:?}, tenant {tenant:?}, operator {operator:?}, instance {instance})")
}

/// A table without lines, with columns two spaces apart.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header);
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn as_json(devices: &Devices, shares: &[DeviceShare], folder: &LeaseFolder) -> Value {
    json!({
        "devices": devices.all().iter().map(|device| device_as_json(device, shares)).collect::<Vec<_>>(),
        "leases": shares.iter().map(share_as_json).collect::<Vec<_>>(),
        "nvml": devices.nvml(),
        "lease_folder": folder.path(),
        "lease_ttl_ms": u64::try_from(devices.lease_ttl.as_millis()).unwrap_or(u64::MAX),
    })
}

fn device_as_json(device: &Device, shares: &[DeviceShare]) -> Value {
    let used = DeviceUse::of(&device.id, shares);
    let uuid = match &device.kind {
        DeviceKind::Cuda { uuid } => Some(uuid),
        DeviceKind::Cpu { .. } | DeviceKind::Fake { .. } => None,
    };
    json!({
        "id": device.id,
        "kind": device.kind_name(),
        "uuid": uuid,
        "model": device.model,
        "backend": device.backend().name(),
        "placement": device.placement.name(),
        "slots": device.slots(),
        "threads": device.threads(),
        "cpus": device.cpus(),
        "memory": device.memory,
        "memory_held": used.memory,
        "shares_ten_thousandths": Device::WHOLE,
        "shares_held_ten_thousandths": used.share,
        "tier": device.tier(shares),
        "counts_as_gpu": device.counts_as_gpu,
        "serves_num_gpus": device.serves_gpus(),
        "trouble": device.trouble,
    })
}

fn share_as_json(share: &DeviceShare) -> Value {
    let DeviceShare { pid, pipeline, tenant, claim } = share;
    json!({
        "token": claim.token,
        "device": claim.device,
        "share_ten_thousandths": claim.share,
        "memory": claim.memory,
        "state": claim.state,
        "pid": pid,
        "pipeline": pipeline,
        "tenant": tenant,
        "operator": claim.operator,
        "instance": claim.instance,
    })
}
