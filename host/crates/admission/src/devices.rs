use std::collections::BTreeMap;

use super::ledger_row::{row, unenforced};
use super::{DeviceGrant, Options, Reason};
use sage_machine::{DeviceShare, DeviceUse, Holdings, Mechanism, ReportRow, Supply, Tier, counted, ten_thousandths};
use sage_models::{Device, DeviceTier, Devices, RowIndependence};
use sage_plan::{GraphRows, ModelSpec, Plan, RowsChoice, Stage};
use sage_text::{exact_size, short_size};

/// The devices of one stage.
#[derive(Default)]
pub(super) struct StageDevices {
    /// Grants by instance, one for each device. Empty if no device is requested.
    pub(super) instances: Vec<Vec<DeviceGrant>>,
    pub(super) row: Option<ReportRow>,
}

/// Places the `num_gpus` of every instance on devices.
///
/// A whole number N takes N devices that are completely free. A fraction takes a device that has room for its
/// share and for the memory of its models. Among such devices it takes the most used one, so that whole
/// devices stay free; among equals it takes the first. Whole numbers are placed before fractions, and larger
/// fractions before smaller ones, independent of the order of the plan. An operator that does not get its
/// devices uses none.
///
/// Devices are never overcommitted. Two models that together exceed a device's memory do not run more slowly;
/// they fail.
pub(super) fn decide(
    plan: &Plan,
    devices: &Devices,
    supply: &Supply,
    options: &Options,
    taken: &Holdings,
    reasons: &mut Vec<Reason>,
) -> Vec<StageDevices> {
    let mut decided: Vec<StageDevices> = plan.stages.iter().map(|_| StageDevices::default()).collect();
    let mut askers: Vec<(usize, &Stage, Request)> = Vec::new();
    let mut not_placed = BTreeMap::new();
    for (at, stage) in plan.stages.iter().enumerate() {
        let Some(value) = stage.resources.num_gpus.filter(|&value| value > 0) else { continue };
        let nothing_there = devices.serving().next().is_none();
        if stage.kind().is_none() || nothing_there {
            if !options.allow_unenforced {
                not_placed.insert(at, none_for(stage, value, devices));
            }
            if let Some(decided) = decided.get_mut(at) {
                decided.row = Some(unenforced(stage, "num_gpus", ten_thousandths(u64::from(value))));
            }
            continue;
        }
        askers.push((at, stage, Request::of(plan, stage, value, supply)));
    }
    askers.sort_by_key(|(_, _, request)| std::cmp::Reverse(request.value));
    let mut room = Room::of(devices, taken);
    for (at, stage, request) in askers {
        match room.place(&request, stage.parallelism, true) {
            Some(instances) => {
                if let Some(decided) = decided.get_mut(at) {
                    decided.row = Some(ledger_row((plan, stage), request.value, &instances, devices));
                    decided.instances = instances;
                }
            }
            None => {
                not_placed.insert(at, room.refuse(stage, &request, devices, taken));
            }
        }
    }
    reasons.extend(not_placed.into_values());
    decided
}

/// The request of one instance.
struct Request {
    /// In 1/10,000 of a device. Less than one device, or whole devices.
    value: u32,
    /// Bytes on each of its devices.
    memory: u64,
    /// The purpose of this memory, one line for each model.
    models: Vec<String>,
}

impl Request {
    fn of(plan: &Plan, stage: &Stage, value: u32, supply: &Supply) -> Self {
        let (mut memory, mut models) = (0_u64, Vec::new());
        for model in plan.models.iter().filter(|model| stage.models.contains(&model.name)) {
            let weights = supply.model_bytes.get(&model.name).copied().unwrap_or(0);
            memory = memory.saturating_add(weights).saturating_add(model.workspace);
            models.push(format!(
                "model \"{}\": {} of weights, workspace = {}",
                model.name,
                short_size(weights),
                exact_size(model.workspace)
            ));
        }
        Self { value, memory, models }
    }

    /// The number of devices, and the share of each.
    fn split(&self) -> (usize, u32) {
        match self.value / Device::WHOLE {
            0 => (1, self.value),
            whole => (whole as usize, Device::WHOLE),
        }
    }
}

/// The free part of each device, in the order of the devices.
#[derive(Clone)]
struct Room<'d> {
    places: Vec<(&'d Device, DeviceUse)>,
    /// Shares that went to other operators of this pipeline, in 1/10,000 of a device.
    given: u64,
}

impl<'d> Room<'d> {
    fn of(devices: &'d Devices, taken: &Holdings) -> Self {
        let places = devices.serving().map(|device| (device, DeviceUse::of(&device.id, &taken.devices)));
        Self { places: places.collect(), given: 0 }
    }

    /// Places all instances of an operator, or none.
    fn place(&mut self, request: &Request, instances: u32, by_memory: bool) -> Option<Vec<Vec<DeviceGrant>>> {
        let mut tried = self.clone();
        let granted: Option<Vec<_>> = (0..instances).map(|_| tried.place_one(request, by_memory)).collect();
        if granted.is_some() {
            *self = tried;
        }
        granted
    }

    fn place_one(&mut self, request: &Request, by_memory: bool) -> Option<Vec<DeviceGrant>> {
        let (count, share) = request.split();
        (0..count)
            .map(|_| {
                let fits = |(device, used): &&mut (&Device, DeviceUse)| {
                    let full = used.and(share, request.memory);
                    full.share <= Device::WHOLE && (!by_memory || full.memory <= device.memory)
                };
                // `max_by_key` keeps the last of equals, so the reversed order picks the first.
                let (device, used) = self.places.iter_mut().rev().filter(fits).max_by_key(|(_, used)| used.share)?;
                *used = used.and(share, request.memory);
                self.given = self.given.saturating_add(u64::from(share));
                Some(DeviceGrant { device: device.id.clone(), share, memory: request.memory })
            })
            .collect()
    }

    /// The reason why an operator has no place on these devices.
    fn refuse(&self, stage: &Stage, request: &Request, devices: &Devices, taken: &Holdings) -> Reason {
        let serves = |share: &&DeviceShare| devices.get(&share.claim.device).is_some_and(Device::serves_gpus);
        let held: Vec<DeviceShare> =
            taken.devices.iter().filter(|share| share.counts()).filter(serves).cloned().collect();
        if self.clone().place(request, stage.parallelism, false).is_some() {
            return Reason::DeviceMemory {
                operator: stage.name.clone(),
                each: request.memory,
                instances: stage.parallelism,
                models: request.models.clone(),
                devices: self
                    .places
                    .iter()
                    .map(|(device, used)| {
                        let free = short_size(device.memory.saturating_sub(used.memory));
                        format!("{}: {free} of {} is free", device.id, short_size(device.memory))
                    })
                    .collect(),
                held,
            };
        }
        let (count, share) = request.split();
        let room = |used: &DeviceUse| u64::from(Device::WHOLE.saturating_sub(used.share) / share);
        let places: u64 = self.places.iter().map(|(_, used)| room(used)).sum();
        Reason::Devices {
            operator: stage.name.clone(),
            wanted: u64::from(request.value) * u64::from(stage.parallelism),
            instances: stage.parallelism,
            each: request.value,
            free: if count > 1 { places * u64::from(Device::WHOLE) } else { places * u64::from(share) },
            devices: self.places.iter().map(|(device, _)| device.id.clone()).collect(),
            taken: self.given,
            held,
        }
    }
}

/// The reason why no device can serve an operator at all.
fn none_for(stage: &Stage, value: u32, devices: &Devices) -> Reason {
    let value_shown = ten_thousandths(u64::from(value));
    if stage.kind().is_none() {
        return Reason::BuiltIn { stage: stage.name.clone(), resource: "num_gpus", value: value_shown };
    }
    let could_count = devices.all().iter().filter(|device| !device.counts_as_gpu && device.trouble.is_none());
    Reason::NoDevice {
        operator: stage.name.clone(),
        value,
        why: devices.why_none_serves(),
        could_count: could_count.map(|device| device.id.clone()).collect(),
    }
}

fn ledger_row(
    (plan, stage): (&Plan, &Stage),
    value: u32,
    instances: &[Vec<DeviceGrant>],
    devices: &Devices,
) -> ReportRow {
    let requested = ten_thousandths(u64::from(value));
    let mut sets: BTreeMap<Vec<&str>, u32> = BTreeMap::new();
    for granted in instances {
        let ids = granted.iter().map(|grant| grant.device.as_str()).collect();
        *sets.entry(ids).or_default() += 1;
    }
    let shown = |ids: &Vec<&str>| ids.join(", ");
    let effective = match sets.first_key_value() {
        Some((ids, _)) if sets.len() == 1 && value <= Device::WHOLE => format!("{requested} of {}", shown(ids)),
        Some((ids, _)) if sets.len() == 1 => shown(ids),
        _ => {
            let of_each = sets.iter().map(|(ids, count)| format!("{} ({})", shown(ids), counted(*count, "instance")));
            format!("{requested} of {}", of_each.collect::<Vec<_>>().join(" or "))
        }
    };
    let mut used: Vec<(&Device, u32)> = Vec::new();
    for grant in instances.iter().flatten() {
        if let Some(device) = devices.get(&grant.device).filter(|device| !used.iter().any(|(other, _)| other == device))
        {
            used.push((device, grant.share));
        }
    }
    let notes: Vec<String> = used.iter().map(|(device, share)| note(device, *share)).collect();
    let memory = instances.iter().flatten().map(|grant| grant.memory).max().unwrap_or(0);
    let of_memory = (memory > 0).then(|| format!("{} of its memory for each lease", short_size(memory)));
    let models = plan.models.iter().filter(|model| stage.models.contains(&model.name)).filter_map(rows_of);
    let note = notes.into_iter().chain(of_memory).chain(models).collect::<Vec<_>>().join("; ");
    let is_whole = used.iter().all(|(_, share)| *share == Device::WHOLE);
    let tier = if is_whole { Tier::Hard } else { Tier::Cooperative };
    let granted = row(stage, "num_gpus", Some(requested), effective, (Mechanism::DeviceLease, tier));
    ReportRow { note: Some(note), ..granted }
}

/// Whether the rows of different calls of a model share a batch, as far as that is known before the model is
/// loaded.
fn rows_of(model: &ModelSpec) -> Option<String> {
    let rows = match (model.rows, &model.graph_rows) {
        (declared, Some(graph)) => RowIndependence::expected(declared, graph),
        (RowsChoice::Shown, None) => return None,
        (declared, None) => RowIndependence::expected(declared, &GraphRows::default()),
    };
    Some(format!("model \"{}\": {rows}", model.name))
}

/// A description of a device, which tells the readers of the report which hardware runs the models.
fn note(device: &Device, share: u32) -> String {
    let model = device.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
    let serves = if device.kind_name() == "cuda" { "" } else { ", which host.toml lets count as a GPU" };
    let tier: DeviceTier = device.tier_of(share);
    let (kind, placement) = (device.kind_name(), device.placement.name());
    format!(
        "{} is a {kind} device{model}{serves}: {}, {}, models run in a {placement}",
        device.id,
        tier.name(),
        device.backend().name()
    )
}
