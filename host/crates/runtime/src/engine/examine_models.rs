use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::job_error::JobError;
use sage_machine::since_boot;
use sage_models::{
    Compared, Device, DeviceRequest, Devices, ExamineElsewhere, ExamineLimits, InferenceError, ModelError, ModelFacts,
    ModelFile, OpenDevice, RowIndependence, Runner, Trial, compare,
};
use sage_plan::config::{BackendChoice, DeviceKind, HostSettings};
use sage_plan::{ModelSpec, Plan};

/// The services that examine models outside this process. An untrusted model file can crash the process that
/// parses it.
pub(super) struct Examination<'a> {
    /// Reads model files, and tries out the models that tract will run.
    pub(super) examiner: &'a dyn ExamineElsewhere,
    /// Tries out the models that ONNX Runtime will run on a CPU device. With `None`, the device only finds
    /// errors when it loads a model.
    pub(super) opener: Option<&'a dyn OpenDevice>,
    pub(super) devices: &'a Devices,
    pub(super) settings: &'a HostSettings,
}

impl Examination<'_> {
    /// Examines every model of the plan. Each file must be the declared one, and its backend must support it.
    /// From here on the examined file is the declared one, and every later load must load exactly that file.
    /// Fake models are left to their device. Models for a CUDA device are left to it too, because a load there
    /// needs a lease.
    ///
    /// # Errors
    /// The first model that cannot be used.
    pub(super) fn of(&self, plan: &mut Plan) -> Result<(), JobError> {
        let mut compared = BTreeSet::new();
        for model in &mut plan.models {
            let looked = match model.backend {
                BackendChoice::Fake => {
                    know_fake(model);
                    Ok(())
                }
                _ => self.look(model, &mut compared),
            };
            looked.map_err(|error| JobError::Model {
                model: model.name.clone(),
                path: model.path.clone(),
                error: Box::new(error),
            })?;
        }
        Ok(())
    }

    fn look(&self, model: &mut ModelSpec, compared: &mut BTreeSet<[u8; 32]>) -> Result<(), ModelError> {
        let file = ModelFile::read(&model.path, ModelFile::MOST_BYTES)?;
        file.check(model.sha256)?;
        let size = file.bytes().len() as u64;
        let limits = ExamineLimits::of_file(size);
        let trial = self.trial(model);
        let facts = self.examiner.examine(file.bytes(), trial, limits)?.accepted()?;
        RowIndependence::check(model.rows, &facts).map_err(|error| ModelError::Refused(error.to_string()))?;
        model.sha256 = Some(file.sha256());
        if trial == Trial::Wanted && compared.insert(file.sha256()) {
            self.compare(model, &facts, (size, limits))?;
        }
        model.graph_rows = Some(facts.rows);
        match (self.on_onnxruntime(model), self.opener) {
            (Some(device), Some(opener)) => self.try_out(opener, &device, model, (size, limits)),
            _ => Ok(()),
        }
    }

    /// Whether tract tries out the model: only if tract may have to run it.
    fn trial(&self, model: &ModelSpec) -> Trial {
        let runs_it = |device: &Device| device.backend() == BackendChoice::Tract;
        match model.backend {
            BackendChoice::Tract => Trial::Wanted,
            BackendChoice::Auto if self.devices.serving().any(runs_it) => Trial::Wanted,
            BackendChoice::Auto | BackendChoice::Onnxruntime | BackendChoice::Fake => Trial::NotWanted,
        }
    }

    /// The CPU device on which ONNX Runtime will run the model, if there is one.
    fn on_onnxruntime(&self, model: &ModelSpec) -> Option<Device> {
        self.devices.serving().find_map(|device| {
            let mut device = device.clone();
            let runs_it = match model.backend {
                BackendChoice::Auto => device.backend() == BackendChoice::Onnxruntime,
                choice => choice == BackendChoice::Onnxruntime,
            };
            let DeviceKind::Cpu { backend, .. } = &mut device.kind else { return None };
            *backend = BackendChoice::Onnxruntime;
            runs_it.then_some(device)
        })
    }

    /// Compares tract with ONNX Runtime, if ONNX Runtime is available, in a one-shot process: their answers
    /// must be alike. A missing ONNX Runtime, or one that does not accept the model, is no reason to refuse the
    /// model.
    fn compare(
        &self,
        model: &ModelSpec,
        facts: &ModelFacts,
        (size, limits): (u64, ExamineLimits),
    ) -> Result<(), ModelError> {
        let named = self.devices.onnxruntime_library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some();
        let is_cpu = |device: &&Device| matches!(device.kind, DeviceKind::Cpu { .. });
        let device = self.devices.serving().find(is_cpu);
        let (true, Some(opener), Some(device)) = (named && cfg!(feature = "onnxruntime"), self.opener, device) else {
            return Ok(());
        };
        let mut device = device.clone();
        if let DeviceKind::Cpu { backend, .. } = &mut device.kind {
            *backend = BackendChoice::Tract;
        }
        let until = Instant::now() + COMPARING.min(limits.timeout);
        let runner = match opener.open(self.order(&device, model, (size.saturating_mul(2), limits))) {
            Ok(runner) => runner,
            Err(error) => {
                tracing::info!(model = model.name, %error, "tract's answers are not compared");
                return Ok(());
            }
        };
        let outcome = compare_on(&*runner, model, facts, until);
        runner.close();
        match outcome {
            Compared::Alike(runs) => {
                tracing::info!(model = model.name, runs, "tract and ONNX Runtime answer alike");
                Ok(())
            }
            Compared::Not(why) => {
                tracing::info!(model = model.name, why, "tract's answers are not compared with ONNX Runtime's");
                Ok(())
            }
            Compared::Apart(what) => Err(ModelError::Refused(format!(
                "tract and ONNX Runtime answer differently to made-up inputs: {what}; \
                 backend = \"onnxruntime\" takes ONNX Runtime's answers"
            ))),
        }
    }

    /// Loads the model in a one-shot process.
    fn try_out(
        &self,
        opener: &dyn OpenDevice,
        device: &Device,
        model: &ModelSpec,
        (size, limits): (u64, ExamineLimits),
    ) -> Result<(), ModelError> {
        let refused = |error: InferenceError| ModelError::Refused(error.to_string());
        let runner = opener.open(self.order(device, model, (size, limits))).map_err(refused)?;
        let loaded = runner.load(model, Instant::now() + limits.timeout);
        runner.close();
        loaded.map(drop).map_err(refused)
    }

    /// The request for a one-shot device process.
    fn order<'d>(
        &'d self,
        device: &'d Device,
        model: &ModelSpec,
        (size, limits): (u64, ExamineLimits),
    ) -> DeviceRequest<'d> {
        DeviceRequest {
            device,
            library: self.devices.onnxruntime_library.as_deref(),
            settings: self.settings,
            cpus: device.cpus(),
            memory: size.saturating_add(model.workspace).min(device.memory),
            largest_model: size,
            // This process runs no models for instances.
            locks: None,
            kept_until: since_boot().saturating_add(limits.timeout * 2),
        }
    }
}

/// Time limit for the comparison of one model. Two loads and a dozen runs of MiniLM take two seconds.
const COMPARING: Duration = Duration::from_secs(20);

/// Loads the model under two names, one for each library, and compares the answers.
fn compare_on(runner: &dyn Runner, model: &ModelSpec, facts: &ModelFacts, until: Instant) -> Compared {
    for (name, backend) in [("tract", BackendChoice::Tract), ("ONNX Runtime", BackendChoice::Onnxruntime)] {
        let spec = ModelSpec { name: name.to_owned(), backend, ..model.clone() };
        if let Err(error) = runner.load(&spec, until) {
            return Compared::Not(format!("{name} does not load it: {error}"));
        }
    }
    compare(runner, ("tract", "ONNX Runtime"), facts, until)
}

/// Two names of one fake model also count as one model. An unreadable file is left to its device.
fn know_fake(model: &mut ModelSpec) {
    if let (None, Ok(file)) = (model.sha256, ModelFile::read(&model.path, ModelFile::MOST_BYTES)) {
        model.sha256 = Some(file.sha256());
    }
}
