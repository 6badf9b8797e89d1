use super::examination::Examination;
use sage_machine::Tier;
use sage_models::Devices;
use sage_plan::config::HostSettings;

/// Lists the devices that can run models, from `host.toml` and NVML. A pipeline without `num_gpus` needs no
/// device. Leases on devices are an agreement between instances of sage-host.
pub(super) fn examine(settings: &HostSettings) -> Examination {
    let devices = Devices::detect(settings);
    let serving: Vec<String> = devices
        .serving()
        .map(|device| format!("{} ({}, {})", device.id, device.kind_name(), device.backend().name()))
        .collect();
    let (found, detail, hint) = if serving.is_empty() {
        let hint =
            "for operators with num_gpus, declare a [[device]] in host.toml; `sage-host devices` lists all devices";
        (
            Tier::None,
            format!("nothing serves num_gpus: {}", devices.why_none_serves().join("; ")),
            Some(hint.to_owned()),
        )
    } else {
        (Tier::Cooperative, format!("num_gpus is served by {}", serving.join(", ")), None)
    };
    Examination { name: "devices", found, needed: Tier::None, mechanism: "host.toml, NVML".to_owned(), detail, hint }
}
