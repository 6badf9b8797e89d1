use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::backtraces::backtraces_are_shown;
use super::config_values::resolve_here;
use super::control::{Control, StopHandle};
use super::error::RunError;
use super::examine_models::Examination;
use super::granted_folders::check_granted_folders;
use super::hold::HeldLeases;
use super::job_error::JobError;
use super::job_options::{JobOptions, StartFrom};
use super::launcher::{InstanceLauncher, RunContext};
use super::parts::{Parts, Provided};
use super::path_uses::{path_uses, standard_streams};
use super::read_written::read_written;
use super::run::Running;
use super::saved_run::{Manifest, SavedRun};
use super::session::Session;
use super::threads::Threads;
use crate::connector::{PathGuard, PathUse, Sink, StandardStreams, compare_paths};
use sage_admission::{Grant, Isolation, Options};
use sage_machine::{EnforcementReport, Inventory, LeaseFolder, LeasedThreads, SharedCpus, Supply, limit_named_in};
use sage_models::{Devices, ModelService};
use sage_plan::config::{self, Diagnostic, Diagnostics, HostSettings, Parsed, SinkKind, SourceText};
use sage_plan::{Catalog, PathRules, Plan, StageId, Unusable, Work, validate_parsed};
use sage_sandbox::{CompileLimits, LoadError, Loaded, Sandbox, SandboxOptions};

/// A pipeline that is read and validated, with its components compiled and checked. A job is ready to be
/// explained or run.
pub struct Job {
    plan: Plan,
    components: BTreeMap<StageId, Arc<Loaded>>,
    settings: HostSettings,
    devices: Devices,
    options: JobOptions,
    provided: Provided,
    control: Arc<Control>,
    paths: Paths,
    /// The time of the first request for admission.
    asked: OnceLock<Instant>,
    // The sandbox is kept because the engine's clock stops with it. All time limits depend on that clock.
    _sandbox: Arc<Sandbox>,
}

/// The paths of a pipeline. They are compared when the pipeline is read and again when it starts.
#[derive(Debug)]
struct Paths {
    uses: Vec<PathUse>,
    streams: StandardStreams,
    source: Option<SourceText>,
}

impl Paths {
    fn compare(&self) -> Result<PathGuard, Diagnostics> {
        let mut errors = Diagnostics::new(self.source.clone());
        let guard = compare_paths(&self.uses, &self.streams, &mut errors);
        errors.sort();
        if errors.is_empty() { Ok(guard) } else { Err(errors) }
    }
}

/// Bytes that the process of one job claims for itself. It uses 1.0 to 1.4 MiB, besides a stack for each lane and the
/// batches on their way, and 100 idle ones share one copy of the program.
const HOST_PROCESS: u64 = 8 << 20;

/// The resources taken for a job that has not started yet. A drop frees them.
#[derive(Debug)]
pub struct Admitted {
    grant: Grant,
    leases: HeldLeases,
    folder: LeaseFolder,
    /// Time since the job first asked for admission.
    waited: Duration,
}

impl Admitted {
    /// The resources that every instance gets, with their enforcement.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl Job {
    /// Reads a pipeline file, loads its components and checks everything that can be checked without running.
    ///
    /// # Errors
    /// All errors of the files at once; a component that cannot be used.
    pub fn from_file(path: &Path, options: JobOptions) -> Result<Self, JobError> {
        let settings = options.host_settings()?;
        let bytes = read_written(path)?;
        let mut parsed = config::parse(&path.display().to_string(), &bytes);
        let base = path.parent().unwrap_or(Path::new(""));
        resolve_here(&mut parsed, base);
        Self::from_parsed(parsed, (Some(path), base), settings, options, Provided::default())
    }

    /// Does the same for a pipeline that a server runs for someone: its paths follow `rules`, messages name the file
    /// `shown_as`, and `stdout` makes the sinks that take the place of standard output, by the name of the stage.
    ///
    /// # Errors
    /// As [`Job::from_file`]; a path that the rules forbid, and a source that reads standard input.
    pub fn from_file_within(
        (path, shown_as): (&Path, &Path),
        rules: &PathRules,
        stdout: impl Fn(&str) -> Box<dyn Sink>,
        options: JobOptions,
    ) -> Result<Self, JobError> {
        let settings = options.host_settings()?;
        let bytes = read_written(path)?;
        let mut parsed = config::parse(&shown_as.display().to_string(), &bytes);
        let errors = parsed.diagnostics.len();
        rules.apply(&mut parsed);
        refuse_formatted_output(&mut parsed);
        if parsed.diagnostics.len() > errors {
            // The further checks open files, and their messages would tell what lies under a forbidden path.
            return Err(parsed.diagnostics.into());
        }
        let mut provided = Provided::default();
        for sink in &mut parsed.pipeline.sinks {
            if let (Some(name), Some(kind @ SinkKind::Stdout(_))) = (&sink.name, &mut sink.kind) {
                *kind = SinkKind::Provided(name.value.clone());
                provided.sinks.insert(name.value.clone(), stdout(&name.value));
            }
        }
        let base = path.parent().unwrap_or(Path::new(""));
        Self::from_parsed(parsed, (Some(path), base), settings, options, provided)
    }

    pub(super) fn from_parsed(
        parsed: Parsed,
        (file, base): (Option<&Path>, &Path),
        settings: HostSettings,
        options: JobOptions,
        provided: Provided,
    ) -> Result<Self, JobError> {
        let sandbox = sandbox(SandboxOptions {
            cache_folder: options.cache_folder(&settings),
            max_cache_bytes: settings.max_cache_bytes,
            max_component_bytes: settings.max_component_bytes,
            compiler: options.compiler.clone(),
            compile_limits: CompileLimits { timeout: settings.compile_timeout, memory: settings.compile_memory },
            backtraces: backtraces_are_shown(),
        })?;
        let mut parsed = parsed;
        parsed.pipeline.host_models.clone_from(&settings.models);
        let paths = Paths {
            uses: path_uses(&parsed.pipeline, (file, base), &settings, &options),
            streams: standard_streams(&parsed.pipeline, &options),
            source: parsed.pipeline.source.clone(),
        };
        let mut meetings = paths.compare().err().unwrap_or_else(|| Diagnostics::new(paths.source.clone()));
        check_granted_folders(&parsed.pipeline, base, &mut meetings);
        let meetings = Some(meetings).filter(|meetings| !meetings.is_empty());
        let (catalog, planned) = catalog(&sandbox, &config::component_paths(&parsed.pipeline, base));
        let mut plan = match (validate_parsed(parsed, &catalog, base), meetings) {
            (plan, None) => plan?,
            (Ok(_), Some(meetings)) => return Err(meetings.into()),
            (Err(mut errors), Some(meetings)) => {
                errors.append(meetings);
                return Err(errors.into());
            }
        };
        let components = components(&sandbox, &plan, &planned)?;
        let control = Arc::new(Control::new());
        // The query of the driver is slow, so it is only made if a stage needs a device.
        let wants_device = plan.stages.iter().any(|stage| stage.resources.num_gpus.is_some());
        let devices = if wants_device { Devices::detect(&settings) } else { Devices::declared(&settings) };
        if let Some(examiner) = options.examiner.as_deref() {
            let opener = options.device_opener.as_deref();
            Examination { examiner, opener, devices: &devices, settings: &settings }.of(&mut plan)?;
        }
        let (asked, _sandbox) = (OnceLock::new(), Arc::new(sandbox));
        Ok(Self { plan, components, settings, devices, options, provided, control, paths, asked, _sandbox })
    }

    /// The validated pipeline.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A handle that stops the job's run from any thread, even before the run began.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.control))
    }

    /// The resources that every instance would get on this machine now, and the enforcement of each limit.
    /// Takes no resources.
    ///
    /// # Errors
    /// Every reason not to run the pipeline.
    pub fn explain(&self) -> Result<EnforcementReport, JobError> {
        let inventory = self.inventory()?;
        let taken = self.lease_folder()?.taken()?;
        let (supply, options) = (self.supply(), self.admission());
        Ok(sage_admission::decide(&self.plan, &inventory, &supply, &options, &self.devices, &taken)?.report)
    }

    /// Takes the resources of the pipeline and starts it. Data flows when this function returns.
    ///
    /// # Errors
    /// A refusal by admission, an item that cannot be opened, or operators that fail in start. No data has
    /// flowed after an error.
    pub fn start(self) -> Result<Session, JobError> {
        let admitted = self.admit()?;
        self.start_admitted(admitted)
    }

    /// Takes the resources of the pipeline without starting it.
    ///
    /// # Errors
    /// A refusal by admission. Nothing is taken after an error, and the call can be repeated.
    pub fn admit(&self) -> Result<Admitted, JobError> {
        let asked = *self.asked.get_or_init(Instant::now);
        let inventory = self.inventory()?;
        let folder = self.lease_folder()?;
        let (supply, options) = (self.supply(), self.admission());
        let (grant, leases) = super::hold::admit(&self.plan, &inventory, &supply, &options, &self.devices, &folder)?;
        Ok(Admitted { grant, leases, folder, waited: asked.elapsed() })
    }

    /// Returns `true` if the machine could run the job on its own, so that a wait after a refusal may help.
    ///
    /// # Errors
    /// The resources of the machine cannot be determined.
    pub fn fits_alone(&self) -> Result<bool, JobError> {
        let inventory = self.inventory()?;
        Ok(sage_admission::fits_alone(&self.plan, &inventory, &self.supply(), &self.admission(), &self.devices))
    }

    /// Starts the job with its admitted resources. Data flows when this function returns.
    ///
    /// # Errors
    /// An item that cannot be opened, operators that fail in start, or a stop before the models were loaded. No
    /// data has flowed after an error.
    pub fn start_admitted(self, admitted: Admitted) -> Result<Session, JobError> {
        let Admitted { grant, leases, folder, waited } = admitted;
        // The job may have waited long, so the paths are resolved again now.
        let guard = self.paths.compare()?;
        let shared = SharedCpus::new(folder, grant.allowed.clone());
        let instances: Arc<dyn InstanceLauncher> = match &self.options.launcher {
            Some(launcher) => launcher.begin(RunContext {
                pipeline: &self.plan.name,
                job: self.options.job.as_deref(),
                tenant: &self.options.tenant,
                settings: &self.settings,
                plan: &self.plan,
                grant: &grant,
            })?,
            None => Arc::new(Threads),
        };
        let models = ModelService::open(
            &self.plan,
            (&self.devices, &self.settings),
            (leases.held_devices(), &shared),
            self.options.device_opener.as_deref(),
            &|| self.control.is_draining() || self.control.is_stopped(),
        )
        .map_err(|error| RunError::Models(Box::new(error)))?;
        models.count_lease_wait(waited);
        let run = run_id();
        let manifest = Manifest::of(&self.plan, &grant, &run);
        let settings = self.plan.checkpoints.as_ref();
        let asks = self.options.from != StartFrom::Last || !self.options.drop_state.is_empty();
        if settings.is_none() && asks {
            return Err(RunError::no_checkpoints().into());
        }
        let saved = settings
            .map(|settings| SavedRun::open(settings, (&self.options.from, &self.options.drop_state), manifest))
            .transpose()?;
        let parts = Parts {
            plan: self.plan,
            tenant: self.options.tenant.clone(),
            components: self.components,
            grant,
            models,
            leases: Arc::new(leases),
            shared,
            leased: LeasedThreads::default(),
            slice: self.options.launcher.is_some().then(|| self.settings.slice.clone()),
            strict: self.options.strict,
            instances,
            provided: self.provided,
            saved,
            guard: Arc::new(guard),
        };
        let running = Running::start(parts, self.control, &run)?;
        Ok(Session::new(running, self._sandbox))
    }

    fn inventory(&self) -> Result<Inventory, JobError> {
        let slice = self.options.launcher.as_ref().map(|_| self.settings.slice.as_str());
        Ok(Inventory::detect(slice)?)
    }

    fn supply(&self) -> Supply {
        Supply {
            cpus_reserved: self.settings.reserve.cpus,
            memory_reserved: self.settings.reserve.memory,
            custom: self.settings.resources.clone(),
            cpus: self.settings.cpus.clone(),
            memory: self.settings.memory,
            tenants: self.settings.tenants.clone(),
            model_bytes: self.model_bytes(),
        }
    }

    /// The sizes of the model files. A missing file is reported later, when it is opened.
    fn model_bytes(&self) -> BTreeMap<String, u64> {
        let size = |path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.plan.models.iter().map(|model| (model.name.clone(), size(&model.path))).collect()
    }

    fn admission(&self) -> Options {
        Options {
            overcommit: self.options.overcommit,
            allow_unenforced: self.options.allow_unenforced,
            strict: self.options.strict,
            isolation: self
                .options
                .launcher
                .as_ref()
                .map_or(Isolation::Thread, |launcher| launcher.bounds(&self.settings)),
            tenant: self.options.tenant.clone(),
            host_process: if self.options.job.is_some() { HOST_PROCESS } else { 0 },
        }
    }

    fn lease_folder(&self) -> Result<LeaseFolder, JobError> {
        Ok(self.options.lease_folder(&self.settings)?)
    }
}

/// Makes the sandbox. If the cache folder cannot be used, the sandbox works without it, because a cache only
/// saves time.
fn sandbox(options: SandboxOptions) -> Result<Sandbox, LoadError> {
    match Sandbox::new(options.clone()) {
        Err(error @ LoadError::Cache { .. }) => {
            tracing::warn!(%error, "compiled components are not cached: they are compiled again for each run");
            Sandbox::new(SandboxOptions { cache_folder: None, ..options })
        }
        outcome => outcome,
    }
}

/// The components of a pipeline by their paths, without those that cannot be used.
type Planned = BTreeMap<PathBuf, Arc<Loaded>>;

fn catalog(sandbox: &Sandbox, paths: &[PathBuf]) -> (Catalog, Planned) {
    let (mut catalog, mut planned) = (Catalog::new(), Planned::new());
    for path in paths {
        let facts = sandbox.load(path).map(|loaded| {
            let facts = loaded.facts().clone();
            planned.insert(path.clone(), loaded);
            facts
        });
        catalog.insert(path.clone(), facts.map_err(|error| unusable(&error)));
    }
    (catalog, planned)
}

/// The reason why a component cannot be used. If a limit of this process is the cause, the component is not at
/// fault, and a hint about it would not help.
fn unusable(error: &LoadError) -> Unusable {
    let why = error.to_string();
    match limit_named_in(&why).filter(|_| error.is_the_hosts()) {
        Some(limit) => Unusable { why: format!("{why}: {}", limit.what), hint: Some(limit.hint.to_owned()) },
        None => Unusable { why, hint: error.hint().map(str::to_owned) },
    }
}

/// The component of each stage. A component that was planned with is not read again, so it is the one that runs.
fn components(sandbox: &Sandbox, plan: &Plan, planned: &Planned) -> Result<BTreeMap<StageId, Arc<Loaded>>, JobError> {
    let mut components = BTreeMap::new();
    for (id, stage) in plan.stages() {
        let Work::Component(component, _) = &stage.work else { continue };
        let loaded = match planned.get(&component.path) {
            Some(loaded) => Ok(Arc::clone(loaded)),
            None => sandbox.load(&component.path),
        };
        components.insert(id, loaded.map_err(|error| JobError::Component { stage: stage.name.clone(), error })?);
    }
    Ok(components)
}

/// An identifier of the run: its start time in microseconds and the process number.
fn run_id() -> String {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", began.as_micros(), std::process::id())
}

/// The log of a job, which takes the place of standard output, has records as they are.
fn refuse_formatted_output(parsed: &mut Parsed) {
    for sink in &parsed.pipeline.sinks {
        let Some(SinkKind::Stdout(text)) = &sink.kind else { continue };
        let format = text.format.as_ref().filter(|format| format.value != "lines").map(|format| format.span);
        let Some(span) = format.or_else(|| text.fields.as_ref().map(|fields| fields.span)) else { continue };
        let message = "standard output of a job is its log, which takes records as they are";
        let hint = "write fields to a file: file = { path = \"out.csv\", … }";
        parsed.diagnostics.push(Diagnostic::new(message).at(span).hint(hint));
    }
}
