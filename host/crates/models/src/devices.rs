use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::Device;
use super::nvml::{Gpu, GpuPart, NvmlReport};
use sage_machine::CpuSet;
use sage_plan::config::{self, DeviceKind, HostSettings, Placement};

/// The devices on which models can run: the devices that `host.toml` declares, and the CUDA devices that were
/// found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    list: Vec<Device>,
    nvml: NvmlReport,
    /// Lifetime of a lease on a device after its last renewal.
    pub lease_ttl: Duration,
    /// Path of ONNX Runtime's library, if the host file gives it.
    pub onnxruntime_library: Option<PathBuf>,
}

impl Default for Devices {
    fn default() -> Self {
        Self::put_together(&HostSettings::default(), NvmlReport::NotAsked, &CpuSet::default())
    }
}

impl Devices {
    /// Finds the devices. Asks NVML if `host.toml` enables discovery or declares a CUDA device. Call it once
    /// in a process, because NVML can take seconds.
    ///
    /// Never fails. A device that cannot be used has a reason ([`Device::trouble`]), and so does an unusable
    /// NVML ([`Devices::nvml`]).
    #[must_use]
    pub fn detect(settings: &HostSettings) -> Self {
        let is_cuda = |device: &config::Device| matches!(device.kind, DeviceKind::Cuda { .. });
        let asks = settings.discover_devices || settings.devices.iter().any(is_cuda);
        let report = if asks { NvmlReport::ask() } else { NvmlReport::NotAsked };
        Self::put_together(settings, report, &CpuSet::allowed().unwrap_or_default())
    }

    /// The devices that `host.toml` declares, without an inspection of the machine. Sufficient for a run that
    /// requests no device.
    #[must_use]
    pub fn declared(settings: &HostSettings) -> Self {
        Self::put_together(settings, NvmlReport::NotAsked, &CpuSet::allowed().unwrap_or_default())
    }

    /// Combines the declared devices with the found ones, on a machine where this process may use the CPUs in
    /// `usable`.
    #[must_use]
    pub fn put_together(settings: &HostSettings, nvml: NvmlReport, usable: &CpuSet) -> Self {
        let gpus: &[Gpu] = match &nvml {
            NvmlReport::Answered { gpus, .. } => gpus,
            NvmlReport::NotAsked | NvmlReport::Unusable { .. } => &[],
        };
        let mut named = BTreeSet::new();
        let mut list = Vec::new();
        for declared in &settings.devices {
            let mut device = Device::declared(declared);
            match &declared.kind {
                DeviceKind::Cuda { uuid } => {
                    named.insert(uuid.as_str());
                    device.find(uuid, gpus, &nvml, declared.memory);
                }
                DeviceKind::Cpu { .. } => device.trouble = missing_cpus(&device, usable),
                DeviceKind::Fake { .. } => {}
            }
            list.push(device);
        }
        if settings.discover_devices {
            for gpu in gpus {
                let parts = gpu.instances.as_deref().unwrap_or(std::slice::from_ref(&gpu.own));
                let new = parts.iter().filter(|part| !named.contains(part.uuid.as_str()));
                list.extend(new.map(|part| Device::discovered(part, gpu.instances.is_some())));
            }
        }
        for device in &mut list {
            if let (None, Some(why)) = (&device.trouble, device.missing_in_build()) {
                device.trouble = Some(why.to_owned());
            }
        }
        let onnxruntime_library = settings.onnxruntime_library.clone();
        Self { list, nvml, lease_ttl: settings.lease_ttl, onnxruntime_library }
    }

    /// All devices, including unusable ones. The declared devices come first, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Device] {
        &self.list
    }

    /// The device with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Device> {
        self.list.iter().find(|device| device.id == id)
    }

    /// The devices that serve `num_gpus`.
    pub fn serving(&self) -> impl Iterator<Item = &Device> {
        self.list.iter().filter(|device| device.serves_gpus())
    }

    /// The report of NVML.
    #[must_use]
    pub fn nvml(&self) -> &NvmlReport {
        &self.nvml
    }

    /// CPUs that only devices use. No operator runs there.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.list.iter().filter_map(Device::cpus).flat_map(|cpus| cpus.iter().collect::<Vec<_>>()).collect()
    }

    /// Bytes of the machine's own memory that models on devices may use. Operators cannot have these bytes. A
    /// GPU has its own memory, and a fake device uses none.
    #[must_use]
    pub fn host_memory(&self) -> u64 {
        let is_cpu = |device: &&Device| matches!(device.kind, DeviceKind::Cpu { .. });
        self.list.iter().filter(is_cpu).map(|device| device.memory).fold(0, u64::saturating_add)
    }

    /// The reasons why no device serves `num_gpus`, one per line.
    #[must_use]
    pub fn why_none_serves(&self) -> Vec<String> {
        let no_driver = self.nvml.trouble();
        let mut lines: Vec<String> = no_driver.clone().into_iter().collect();
        lines.extend(self.list.iter().filter_map(|device| {
            let (kind, id) = (device.kind_name(), &device.id);
            match &device.trouble {
                Some(why) if Some(why) == no_driver.as_ref() => {
                    Some(format!("device \"{id}\" ({kind}) cannot be found without it"))
                }
                Some(why) => Some(format!("device \"{id}\" ({kind}): {why}")),
                None if !device.counts_as_gpu => Some(format!("device \"{id}\" ({kind}) does not count as a GPU")),
                None => None,
            }
        }));
        lines
    }
}

impl Device {
    fn discovered(part: &GpuPart, is_mig: bool) -> Self {
        let mut device = Self {
            id: part.uuid.clone(),
            kind: DeviceKind::Cuda { uuid: part.uuid.clone() },
            model: None,
            memory: 0,
            is_mig,
            counts_as_gpu: true,
            placement: Placement::Process,
            trouble: None,
        };
        device.be(part, is_mig, None);
        device
    }

    /// Fills in the facts that NVML knows about a declared device.
    fn find(&mut self, uuid: &str, gpus: &[Gpu], nvml: &NvmlReport, declared: Option<u64>) {
        for gpu in gpus {
            if let Some(part) = gpu.instances.iter().flatten().find(|part| part.uuid == uuid) {
                return self.be(part, true, declared);
            }
            if gpu.own.uuid == uuid {
                self.be(&gpu.own, false, declared);
                if gpu.instances.is_some() {
                    self.trouble = Some("MIG is on: name its instances instead (`nvidia-smi -L`)".to_owned());
                }
                return;
            }
        }
        let unknown = || format!("NVML knows no device {uuid}");
        self.trouble = Some(nvml.trouble().unwrap_or_else(unknown));
    }

    fn be(&mut self, part: &GpuPart, is_mig: bool, declared: Option<u64>) {
        self.model.clone_from(&part.name);
        self.is_mig = is_mig;
        match (part.memory, declared) {
            (Some(has), declared) => self.memory = declared.map_or(has, |declared| declared.min(has)),
            (None, Some(declared)) => self.memory = declared,
            (None, None) => {
                self.trouble = Some("NVML does not tell its memory: declare it with memory in host.toml".to_owned());
            }
        }
    }
}

fn missing_cpus(device: &Device, usable: &CpuSet) -> Option<String> {
    let missing = device.cpus()?.without(usable);
    (!missing.is_empty()).then(|| format!("this process may not use CPU {missing} (it may use {usable})"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::DeviceTier;
    use super::*;
    use sage_plan::config::parse_host;

    fn part(uuid: &str, memory: Option<u64>) -> GpuPart {
        GpuPart { uuid: uuid.to_owned(), name: Some("NVIDIA T4".to_owned()), memory }
    }

    fn found(gpus: Vec<Gpu>) -> NvmlReport {
        NvmlReport::Answered { driver: Some("580.95".to_owned()), gpus }
    }

    fn put(text: &str, nvml: NvmlReport) -> Devices {
        let settings = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap();
        Devices::put_together(&settings, nvml, &(0..4).collect())
    }

    /// Id, memory and trouble of each device.
    fn shown(devices: &Devices) -> Vec<(&str, u64, Option<&str>)> {
        devices.all().iter().map(|device| (device.id.as_str(), device.memory, device.trouble.as_deref())).collect()
    }

    #[test]
    fn mig_instances_are_devices_of_their_own_and_their_gpu_is_nobodys() {
        let split = Gpu {
            own: part("GPU-1", Some(80)),
            instances: Some(vec![part("MIG-1", Some(20)), part("MIG-2", Some(40))]),
        };
        let nvml = found(vec![split, Gpu { own: part("GPU-2", Some(16)), instances: None }]);
        let devices = put("[[device]]\nname = 'small'\nkind = 'cuda'\nuuid = 'MIG-1'\n", nvml.clone());
        let trouble =
            (!cfg!(feature = "onnxruntime")).then_some("this build has no ONNX Runtime (feature \"onnxruntime\")");
        assert_eq!(shown(&devices), [("small", 20, trouble), ("MIG-2", 40, trouble), ("GPU-2", 16, trouble)]);
        let tiers = |share| devices.all().iter().map(|device| device.tier_of(share)).collect::<Vec<_>>();
        assert_eq!(tiers(10_000), [DeviceTier::Mig, DeviceTier::Mig, DeviceTier::Exclusive]);
        assert_eq!(tiers(5_000), [DeviceTier::Shared; 3]);
        assert!(devices.all().iter().all(|device| device.placement == Placement::Process && device.counts_as_gpu));

        let parent = put("discover_devices = false\n[[device]]\nname = 'a'\nkind = 'cuda'\nuuid = 'GPU-1'\n", nvml);
        assert_eq!(shown(&parent), [("a", 80, Some("MIG is on: name its instances instead (`nvidia-smi -L`)"))]);
    }

    #[test]
    fn a_cuda_device_that_is_not_there_says_why() {
        let text = "[[device]]\nname = 'a'\nkind = 'cuda'\nuuid = 'GPU-1'\nmemory = '1GiB'\n";
        let missing = NvmlReport::Unusable { library: "libnvidia-ml.so.1".to_owned(), why: "no such file".to_owned() };
        for (nvml, why) in [
            (missing, "NVML: libnvidia-ml.so.1: no such file"),
            (found(Vec::new()), "NVML knows no GPU on this machine"),
            (found(vec![Gpu { own: part("GPU-2", Some(1)), instances: None }]), "NVML knows no device GPU-1"),
        ] {
            let devices = put(text, nvml);
            assert_eq!(devices.get("a").unwrap().trouble.as_deref(), Some(why));
            assert!(!devices.get("a").unwrap().serves_gpus());
        }
    }

    #[test]
    fn memory_is_what_is_there_or_less_where_that_is_declared() {
        let text = |memory: &str| format!("[[device]]\nname = 'a'\nkind = 'cuda'\nuuid = 'GPU-1'\n{memory}");
        for (has, memory, expected) in [
            (Some(8 << 30), "", Some(8 << 30)),
            (Some(8 << 30), "memory = '4GiB'", Some(4 << 30)),
            (Some(8 << 30), "memory = '40GiB'", Some(8 << 30)),
            (None, "memory = '4GiB'", Some(4 << 30)),
            (None, "", None),
        ] {
            let devices = put(&text(memory), found(vec![Gpu { own: part("GPU-1", has), instances: None }]));
            let device = devices.get("a").unwrap();
            match expected {
                Some(bytes) => assert_eq!(device.memory, bytes, "{memory}"),
                None => assert!(device.trouble.as_ref().unwrap().contains("declare it with memory")),
            }
        }
    }

    #[test]
    fn a_cpu_device_serves_gpus_only_where_the_file_says_so() {
        let text = "discover_devices = false\n[[device]]\nname = 'a'\nkind = 'cpu'\n\
            [[device]]\nname = 'b'\nkind = 'cpu'\ncounts_as_gpu = true\ncpus = '3'\n\
            [[device]]\nname = 'c'\nkind = 'cpu'\ncounts_as_gpu = true\ncpus = '7'\n";
        let devices = put(text, NvmlReport::NotAsked);
        assert_eq!(devices.serving().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(devices.cpus(), [3, 7].into_iter().collect::<CpuSet>());
        assert_eq!(
            devices.why_none_serves(),
            [
                "NVML was not asked: host.toml says discover_devices = false",
                "device \"a\" (cpu) does not count as a GPU",
                "device \"c\" (cpu): this process may not use CPU 7 (it may use 0-3)",
            ]
        );
    }
}
