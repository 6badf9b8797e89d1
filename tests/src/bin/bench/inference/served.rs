use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use sage_admission::{Grant, Isolation};
use sage_batch::{Batch, Origin, Record};
use sage_machine::{Inventory, LeasedThreads, SharedCpus, Supply};
use sage_models::{Devices, ModelAccess, ModelService};
use sage_observe::GuestMetrics;
use sage_plan::config::{DeviceKind, HostSettings, TenantName};
use sage_plan::{Plan, StageId};
use sage_runtime::engine::{
    HeldLeases, InFlight, InstanceLauncher, InstanceSetup, Job, JobOptions, LaneGuest, Launcher as _, RunContext,
};
use sage_runtime::worker::ProcessIsolation;
use sage_sandbox::{Carried, Guest, GuestSpec, KeyedState, Loaded, Sandbox, SandboxOptions};

use crate::boundary::spec;
use crate::figure::Problem;
use crate::place::Place;

/// Setup of a served model: the device, the model and the instances that call it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    /// Name that differs from all others that are open at the same time.
    pub(super) name: &'a str,
    pub(super) on: On,
    pub(super) backend: &'a str,
    pub(super) model: &'a Path,
    /// Further settings of the model.
    pub(super) settings: &'a str,
    /// Number of instances, each with its share of the device.
    pub(super) instances: u32,
    /// Whether the instances run in worker processes.
    pub(super) in_workers: bool,
}

/// Device and process in which the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A single CPU thread, in this process.
    CpuHere,
    /// A single CPU thread, in a device process.
    CpuElsewhere,
    /// A fake device in this process.
    FakeHere,
    /// A fake device in a device process.
    FakeElsewhere,
    /// The first CUDA device found, which always has a process of its own.
    Cuda,
}

/// A pipeline that was read and checked, and the folder of its leases: the state just before admission.
pub(super) struct Prepared {
    plan: Plan,
    stage: StageId,
    loaded: Arc<Loaded>,
    settings: HostSettings,
    devices: Devices,
    options: JobOptions,
    program: ProcessIsolation,
    in_workers: bool,
    _sandbox: Sandbox,
}

/// An admitted run with open devices and loaded models, but without a pipeline around its instances.
pub(super) struct Served {
    // Dropped before the leases, so that runs end before their leases are released.
    service: ModelService,
    instances: Option<Arc<dyn InstanceLauncher>>,
    grant: Grant,
    shared: SharedCpus,
    _leases: HeldLeases,
    prepared: Prepared,
}

/// A guest that calls the model.
pub(super) enum Caller {
    Here(Guest),
    InAWorker(Box<dyn LaneGuest>),
}

impl Prepared {
    pub(super) fn new(place: &Place, order: Order<'_>) -> Result<Self, Problem> {
        let host = place.scratch(&format!("{}-host.toml", order.name));
        let pipeline = place.scratch(&format!("{}.toml", order.name));
        std::fs::write(&host, host_file(order))?;
        let guest = place.guest("map_infers_again")?;
        std::fs::write(&pipeline, pipeline_file(order, &guest)?)?;
        let options = JobOptions { host_file: Some(host), ..place.job_options() };
        let settings = options.host_settings()?;
        let plan = Job::from_file(&pipeline, options.clone())?.plan().clone();
        let infers = plan.stages().find(|(_, stage)| stage.name == "infers");
        let stage = infers.ok_or("the pipeline has no operator")?.0;
        let sandbox = Sandbox::new(SandboxOptions {
            cache_folder: options.cache_folder(&settings),
            ..SandboxOptions::default()
        })?;
        let loaded = sandbox.load(&guest)?;
        let devices = Devices::detect(&settings);
        let program = ProcessIsolation::new(place.program()?);
        let in_workers = order.in_workers;
        Ok(Self { plan, stage, loaded, settings, devices, options, program, in_workers, _sandbox: sandbox })
    }

    /// Claims resources and opens devices and models, as a run does.
    pub(super) fn admit(self) -> Result<Served, Problem> {
        let folder = self.options.lease_folder(&self.settings)?;
        let isolation = if self.in_workers { self.program.bounds(&self.settings) } else { Isolation::Thread };
        // Some machines cannot enforce a worker's memory limit, which does not matter for these figures.
        let options =
            sage_admission::Options { isolation, allow_unenforced: true, ..sage_admission::Options::default() };
        let weights = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let model_bytes: BTreeMap<_, _> =
            self.plan.models.iter().map(|model| (model.name.clone(), weights(&model.path))).collect();
        let supply = Supply { model_bytes, ..Supply::default() };
        let inventory = Inventory::detect(None)?;
        let (grant, leases) =
            sage_runtime::engine::admit(&self.plan, &inventory, &supply, &options, &self.devices, &folder)?;
        let shared = SharedCpus::new(folder, grant.allowed.clone());
        let run = RunContext {
            pipeline: &self.plan.name,
            job: None,
            tenant: &TenantName::default(),
            settings: &self.settings,
            plan: &self.plan,
            grant: &grant,
        };
        let instances = self.in_workers.then(|| self.program.begin(run)).transpose()?;
        let service = ModelService::open(
            &self.plan,
            (&self.devices, &self.settings),
            (leases.held_devices(), &shared),
            Some(&self.program),
            &|| false,
        )?;
        Ok(Served { service, instances, grant, shared, _leases: leases, prepared: self })
    }
}

impl Served {
    pub(super) fn open(place: &Place, order: Order<'_>) -> Result<Self, Problem> {
        Prepared::new(place, order)?.admit()
    }

    /// Access of an instance to the model `m`.
    pub(super) fn access(&self, instance: u32) -> Result<Arc<dyn ModelAccess>, Problem> {
        self.service.access(self.prepared.stage, instance).ok_or_else(|| "an instance holds no lease".into())
    }

    /// Number of rows that the model has run, and the number of its runs.
    pub(super) fn rows_and_runs(&self) -> (u64, u64) {
        let read = self.service.devices().map(|(_, device)| device.read());
        let models = read.flat_map(|numbers| numbers.models);
        models.fold((0, 0), |(rows, runs), (_, model)| (rows + model.rows.get(), runs + model.runs.get()))
    }

    /// Starts the guest of an instance.
    pub(super) fn caller(&self, instance: u32) -> Result<Caller, Problem> {
        let (models, metrics) = (self.access(instance)?, Arc::new(GuestMetrics::default()));
        let spec = GuestSpec { instance, models: Arc::clone(&models), metrics, ..spec() };
        let Some(instances) = &self.instances else {
            let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
            let guest = Guest::start(&self.prepared.loaded, &spec, carried).map_err(|(failure, _)| failure)?;
            return Ok(Caller::Here(guest));
        };
        let mut home = instances.instance(InstanceSetup {
            loaded: &self.prepared.loaded,
            spec,
            models: Some(models),
            lanes: vec![None],
            grant: self.grant.stage(self.prepared.stage),
            shared: &self.shared,
            leased: &LeasedThreads::default(),
        })?;
        let mut guest = home.guests.pop().ok_or("an instance has no guest")?;
        guest.start()?;
        Ok(Caller::InAWorker(guest))
    }
}

impl Caller {
    /// Calls the guest with one record, which is one run of the model. The result is the sum of all output
    /// bytes.
    pub(super) fn call(&mut self, batch: &Batch) -> Result<u64, Problem> {
        let answer = match self {
            Self::Here(guest) => guest.call(batch)?,
            Self::InAWorker(lane) => {
                let refused = lane.hand_over(InFlight::new(batch.clone(), 0)).is_err();
                let answered = lane.answer().filter(|_| !refused);
                answered.ok_or("the guest did not take a batch")?.1?
            }
        };
        let text = String::from_utf8_lossy(answer.column().get(0).unwrap_or_default()).into_owned();
        text.parse().map_err(|_| text.into())
    }
}

/// A batch of one record.
pub(super) fn told(words: &str) -> Batch {
    let mut batch = Batch::new();
    // Cannot fail: an empty batch accepts any record.
    let _ = batch.push(Record::of(words.as_bytes(), Origin::new(0, 0)));
    batch
}

/// The reason why no CUDA device can be measured, or `None`.
pub(super) fn no_cuda() -> Option<String> {
    let devices = Devices::detect(&HostSettings::default());
    let mut found = devices.all().iter().filter(|device| matches!(device.kind, DeviceKind::Cuda { .. }));
    match (found.clone().find(|device| device.serves_gpus()), found.next()) {
        (Some(_), _) => None,
        (None, Some(device)) => Some(device.trouble.clone().unwrap_or_else(|| "it serves no leases".to_owned())),
        (None, None) => Some("no device".to_owned()),
    }
}

fn host_file(order: Order<'_>) -> String {
    let (kind, placement) = match order.on {
        On::CpuHere => ("cpu", "thread"),
        On::CpuElsewhere => ("cpu", "process"),
        On::FakeHere => ("fake", "thread"),
        On::FakeElsewhere => ("fake", "process"),
        On::Cuda => return String::new(),
    };
    let name = order.name;
    format!(
        "discover_devices = false\n[[device]]\nname = \"{name}\"\nkind = \"{kind}\"\nplacement = \"{placement}\"\n\
         counts_as_gpu = true\nmemory = \"6GiB\"\n"
    )
}

fn pipeline_file(order: Order<'_>, guest: &Path) -> Result<String, Problem> {
    let Order { name, backend, settings, instances, .. } = order;
    let mut text = String::new();
    write!(
        text,
        "[pipeline]\nname = \"{name}\"\n[model.m]\npath = {:?}\nbackend = \"{backend}\"\n{settings}\n\
         [[source]]\nname = \"in\"\ngenerate = {{ count = 1 }}\n\
         [[operator]]\nname = \"infers\"\ncomponent = {guest:?}\ninput = \"in\"\nparallelism = {instances}\n\
         resources = {{ num_gpus = {}, memory = \"64MiB\" }}\nmodels = [\"m\"]\n\
         [[sink]]\nname = \"out\"\ninput = \"infers\"\ndiscard = {{}}\n",
        order.model,
        1.0 / f64::from(instances),
    )?;
    Ok(text)
}
