use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::instance_models::ListedModel;
use super::{
    Backend, Device, DeviceCpus, DeviceQueue, DeviceRequest, Devices, Fake, HeldDevices, InferenceError,
    InstanceModels, Lease, ModelAccess, ModelFacts, OpenDevice, Runner, ThreadRunner, ThreadSettings, cpu_backends,
};
use sage_machine::SharedCpus;
use sage_observe::{DeviceReading, InferenceCounters};
use sage_plan::config::{DeviceKind, HostSettings, Placement};
use sage_plan::{ModelSpec, Plan, StageId};

/// Models for one run of a pipeline: a queue for each device on which the run holds leases, the loaded
/// models, and the access of each instance. The service ends with the run. The run's leases must be released
/// after it.
#[derive(Debug, Default)]
pub struct ModelService {
    queues: BTreeMap<String, Arc<DeviceQueue>>,
    instances: BTreeMap<(StageId, u32), Arc<InstanceModels>>,
}

/// The reason why models cannot be served.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// A device cannot be opened.
    #[error("device \"{device}\": {error}")]
    Device {
        /// The device.
        device: String,
        /// The cause.
        error: InferenceError,
    },
    /// A model cannot be loaded.
    #[error("model \"{model}\" ({path}) on device \"{device}\": {error}")]
    Model {
        /// The model.
        model: String,
        /// The path of its file.
        path: String,
        /// The device on which it was to run.
        device: String,
        /// The cause.
        error: Box<InferenceError>,
    },
    /// The run was stopped before it began.
    #[error("stopped while models were being loaded: nothing was run")]
    Stopped,
}

impl ServiceError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Device { error: InferenceError::Unsupported(_) | InferenceError::DeviceLost(_), .. } => Some(
                "where ONNX Runtime is wanted: \
                 onnxruntime_library in host.toml or ORT_DYLIB_PATH says where its library is",
            ),
            Self::Model { error, .. } => match **error {
                InferenceError::Unsupported(_) | InferenceError::Backend(_) => Some(OTHER_BACKEND),
                _ => None,
            },
            Self::Device { .. } | Self::Stopped => None,
        }
    }
}

/// Advice if a library does not accept a model.
#[cfg(not(feature = "tract"))]
pub const OTHER_BACKEND: &str =
    "this program was built without tract: `make host-inference`, or cargo with its default features, builds it in";

/// Advice if a library does not accept a model.
#[cfg(feature = "tract")]
pub const OTHER_BACKEND: &str = "another library may take it: \
    backend = \"onnxruntime\" or \"tract\" in its [model.NAME]; \
    a CPU device has both where onnxruntime_library in host.toml or ORT_DYLIB_PATH names ONNX Runtime's";

/// Timeout for loading a model. MiniLM takes a second or two. A model of a gigabyte takes about ten seconds
/// from a slow disk.
const LOADING: Duration = Duration::from_secs(120);
/// Time for which the end of a run waits for calls on a device. Longer calls end by themselves. The value is
/// half of the time that a program waits for the run when it is told to stop at once.
const ENDING: Duration = Duration::from_secs(1);

impl ModelService {
    /// Opens the devices of a run's leases, and loads on each device every model that may be opened there.
    /// Blocks until all are loaded. `is_stopped` is called before each load; a load that has begun is
    /// finished.
    ///
    /// # Errors
    /// The first device or model that cannot be used; [`ServiceError::Stopped`]. After an error nothing is
    /// left running.
    pub fn open(
        plan: &Plan,
        (devices, settings): (&Devices, &HostSettings),
        (held, shared): (&HeldDevices, &SharedCpus),
        opener: Option<&dyn OpenDevice>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self, ServiceError> {
        let mut service = Self::default();
        let declared: Arc<[String]> = plan.models.iter().map(|model| model.name.clone()).collect();
        let used: BTreeSet<&str> = held.all().map(|lease| lease.device()).collect();
        for id in used {
            let failed = |error| ServiceError::Device { device: id.to_owned(), error };
            let device = devices
                .get(id)
                .ok_or_else(|| failed(InferenceError::DeviceLost("it is not there any more".to_owned())))?;
            let place = Place { plan, devices, settings, held, shared, opener };
            let queue = place.open(device).map_err(failed)?;
            service.queues.insert(id.to_owned(), Arc::new(queue));
        }
        for (stage_id, stage) in plan.stages() {
            for instance in 0..stage.parallelism {
                let leases = held.of(stage_id, instance);
                if leases.is_empty() {
                    continue;
                }
                let access = service.access_of(plan, &stage.models, leases, &declared, is_stopped)?;
                service.instances.insert((stage_id, instance), Arc::new(access));
            }
        }
        Ok(service)
    }

    /// The model access of an instance. `None` if the instance holds no lease.
    #[must_use]
    pub fn access(&self, stage: StageId, instance: u32) -> Option<Arc<dyn ModelAccess>> {
        self.instances.get(&(stage, instance)).map(|access| Arc::clone(access) as _)
    }

    /// The counters of an instance's calls to devices. `None` if the instance holds no lease.
    #[must_use]
    pub fn counters(&self, stage: StageId, instance: u32) -> Option<Arc<InferenceCounters>> {
        self.instances.get(&(stage, instance)).map(|access| Arc::clone(access.counters()))
    }

    /// Adds the time that the instances waited for their leases to their counters.
    pub fn count_lease_wait(&self, waited: Duration) {
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.instances.values().for_each(|access| access.counters().lease_wait_nanoseconds.add(waited));
    }

    /// The queues of the devices, for cutting the run.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<DeviceQueue>> {
        self.queues.values()
    }

    /// The devices by name, for metrics.
    pub fn devices(&self) -> impl Iterator<Item = (&str, Arc<dyn DeviceReading>)> {
        self.queues.iter().map(|(name, queue)| (name.as_str(), Arc::clone(queue) as _))
    }

    fn access_of(
        &self,
        plan: &Plan,
        models: &[String],
        leases: &[Arc<Lease>],
        declared: &Arc<[String]>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<InstanceModels, ServiceError> {
        let mut on = Vec::new();
        let mut listed: BTreeMap<String, ListedModel> = BTreeMap::new();
        for lease in leases {
            let Some(queue) = self.queues.get(lease.device()) else { continue };
            queue.watch(lease);
            for spec in plan.models.iter().filter(|spec| models.contains(&spec.name)) {
                // A file with two declared names is one model, and is loaded once.
                let model = spec.first_alike(&plan.models, ModelSpec::is_same_model);
                let file = spec.first_alike(&plan.models, ModelSpec::is_same_file);
                let facts = load(queue, model, &file.name, is_stopped)?;
                listed.insert(spec.name.clone(), ListedModel { runs_as: model.name.clone(), facts });
            }
            on.push((Arc::clone(lease), Arc::clone(queue)));
        }
        let names = leases.iter().map(|lease| lease.device().to_owned()).collect();
        Ok(InstanceModels {
            leases: on,
            listed,
            declared: Arc::clone(declared),
            counters: Arc::new(InferenceCounters::new(names)),
            turn: AtomicUsize::new(0),
        })
    }
}

/// Loads a model onto a device, unless it is already loaded there.
fn load(
    queue: &DeviceQueue,
    spec: &ModelSpec,
    file: &str,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Arc<ModelFacts>, ServiceError> {
    if let Some(known) = queue.facts(&spec.name) {
        return Ok(known);
    }
    if is_stopped() {
        return Err(ServiceError::Stopped);
    }
    let facts = queue.load_file(spec, file, Instant::now() + LOADING).map_err(|error| match error {
        InferenceError::DeviceLost(_) => ServiceError::Device { device: queue.name().to_owned(), error },
        error => ServiceError::Model {
            model: spec.name.clone(),
            path: spec.path.display().to_string(),
            device: queue.name().to_owned(),
            error: Box::new(match error {
                InferenceError::Deadline => InferenceError::Backend(format!("it was not loaded within {LOADING:?}")),
                error => error,
            }),
        },
    })?;
    if let Some((rows, batching)) = queue.rows(&spec.name).zip(queue.batching(&spec.name)) {
        tracing::info!(model = spec.name, device = queue.name(), %batching, %rows, "the model is loaded");
        if spec.batching == Some(true) && !batching.is_on() {
            tracing::warn!(model = spec.name, device = queue.name(), %batching, %rows, "batching = true has no effect");
        }
    }
    Ok(facts)
}

/// Ends running calls as far as possible, before the leases are released.
impl Drop for ModelService {
    fn drop(&mut self) {
        let until = Instant::now() + ENDING;
        for (device, queue) in &self.queues {
            if !queue.close(until) {
                tracing::warn!(device, "a call still runs on the device and will end by itself");
            }
        }
    }
}

/// The context for opening devices.
struct Place<'a> {
    plan: &'a Plan,
    devices: &'a Devices,
    settings: &'a HostSettings,
    held: &'a HeldDevices,
    shared: &'a SharedCpus,
    opener: Option<&'a dyn OpenDevice>,
}

impl Place<'_> {
    fn open(&self, device: &Device) -> Result<DeviceQueue, InferenceError> {
        let runner: Arc<dyn Runner> = match device.placement {
            Placement::Thread => {
                let settings =
                    ThreadSettings { slots: device.slots(), threads: device.threads(), memory: Some(device.memory) };
                let backends: Vec<Box<dyn Backend>> = match device.kind {
                    DeviceKind::Cpu { backend, .. } => {
                        cpu_backends(backend, self.devices.onnxruntime_library.as_deref())?
                    }
                    DeviceKind::Fake { .. } => vec![Box::new(Fake::here())],
                    DeviceKind::Cuda { .. } => {
                        let what = "a CUDA device in a thread of the host";
                        return Err(InferenceError::Unsupported(what.to_owned()));
                    }
                };
                Arc::new(ThreadRunner::new(settings, backends))
            }
            Placement::Process => {
                let opener = self.opener.ok_or_else(|| {
                    let what = "a device in a process of its own, which this host was not set up to start";
                    InferenceError::Unsupported(what.to_owned())
                })?;
                let leases = self.held.all().filter(|lease| lease.device() == device.id);
                let runner = opener.open(DeviceRequest {
                    device,
                    library: self.devices.onnxruntime_library.as_deref(),
                    settings: self.settings,
                    cpus: device.cpus(),
                    memory: leases.map(|lease| lease.memory()).fold(0, u64::saturating_add),
                    largest_model: self.largest_model(),
                    locks: Some(self.held.locks(&device.id)),
                    kept_until: self.held.kept_until(),
                })?;
                self.held.drive(&device.id, &runner);
                runner
            }
        };
        let cpus = device.cpus().map_or_else(|| DeviceCpus::Shared(self.shared.clone()), DeviceCpus::Own);
        DeviceQueue::start(&device.id, runner, &cpus, self.held.turns(device))
    }

    fn largest_model(&self) -> u64 {
        let length = |path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.plan.models.iter().map(|model| length(&model.path)).max().unwrap_or(0)
    }
}
