use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Backend, InferenceError, LoadOptions, LoadedModel, ModelFacts, ModelFile, RunAnswer, Runner, Tensor};
use sage_machine::thread_cpu_time;
use sage_plan::ModelSpec;
use sage_plan::config::BackendChoice;

/// Runs models of CPU devices in this process, on the calling threads. The callers are the threads of a
/// [`super::DeviceQueue`], which are bound to the device's CPUs, and never a lane.
///
/// **Not bounded:** the time of a run, because a run in this process cannot be interrupted. The queue returns
/// `deadline` to the caller in time, but the slot stays in use until the run has really ended. The memory of
/// a run is not bounded either: weights count against the device's memory when a model is loaded, but the
/// memory of runs is declared (`workspace`) and counted only at admission. A device that needs either bound
/// must run in a process of its own.
///
/// **CPU time** is the time of the calling thread. If a backend has more than one thread for a run, it also
/// works on threads of its own. Their time cannot be assigned to a run, so it is missing.
#[derive(Debug)]
pub struct ThreadRunner {
    settings: ThreadSettings,
    backends: Vec<Box<dyn Backend>>,
    models: Mutex<BTreeMap<String, Arc<dyn LoadedModel>>>,
    /// Held while a model is loaded, so that each name is loaded only once.
    loading: Mutex<()>,
}

/// Settings of a CPU device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadSettings {
    /// Runs at a time. 0 counts as 1.
    pub slots: usize,
    /// Threads of one run.
    pub threads: usize,
    /// Bytes that the weights of all its models may have together. `None` means no limit.
    pub memory: Option<u64>,
}

impl ThreadRunner {
    /// A runner with these backends. The first is the preferred one, which `auto` selects.
    #[must_use]
    pub fn new(settings: ThreadSettings, backends: Vec<Box<dyn Backend>>) -> Self {
        Self { settings, backends, models: Mutex::default(), loading: Mutex::default() }
    }

    fn backend(&self, choice: BackendChoice) -> Result<&dyn Backend, InferenceError> {
        let called = |name: &str| self.backends.iter().find(|backend| backend.name() == name);
        let found = match choice {
            BackendChoice::Auto => self.backends.first(),
            named => called(named.name()),
        };
        found.map(AsRef::as_ref).ok_or_else(|| {
            let wanted = choice.name();
            let there: Vec<_> = self.backends.iter().map(|backend| backend.name()).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            InferenceError::Unsupported(format!("backend \"{wanted}\" on this device, which has {there}"))
        })
    }

    fn models(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn LoadedModel>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model(&self, name: &str) -> Option<Arc<dyn LoadedModel>> {
        self.models().get(name).map(Arc::clone)
    }

    fn weights(&self) -> u64 {
        self.models().values().map(|model| model.facts().weight_bytes).fold(0, u64::saturating_add)
    }
}

impl Runner for ThreadRunner {
    fn slots(&self) -> usize {
        self.settings.slots.max(1)
    }

    fn load(&self, spec: &ModelSpec, until: Instant) -> Result<ModelFacts, InferenceError> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.model(&spec.name) {
            return Ok(known.facts().clone());
        }
        if Instant::now() >= until {
            return Err(InferenceError::Deadline);
        }
        let backend = self.backend(spec.backend)?;
        let declared = |file: ModelFile| file.check(spec.sha256).map(|()| file);
        let file = ModelFile::read(&spec.path, ModelFile::MOST_BYTES)
            .and_then(declared)
            .map_err(|error| InferenceError::Backend(error.to_string()))?;
        let bytes = file.bytes();
        // A model's file consists of its weights and little else.
        let memory = (bytes.len() as u64).saturating_add(spec.workspace);
        let options = LoadOptions { threads: self.settings.threads.max(1), memory: Some(memory) };
        let model = backend.load(bytes, &options)?;
        let facts = model.facts().clone();
        let used = self.weights();
        if let Some(memory) = self.settings.memory.filter(|memory| used.saturating_add(facts.weight_bytes) > *memory) {
            return Err(InferenceError::OutOfMemory(format!(
                "model \"{}\" has {} bytes of weights, {} of {memory} are left",
                spec.name,
                facts.weight_bytes,
                memory.saturating_sub(used)
            )));
        }
        self.models().insert(spec.name.clone(), Arc::from(model));
        Ok(facts)
    }

    fn run(&self, model: &str, inputs: Vec<Tensor>, until: Instant) -> Result<RunAnswer, InferenceError> {
        let model = self.model(model).ok_or_else(|| InferenceError::UnknownModel(model.to_owned()))?;
        let (began, cpu_before) = (Instant::now(), thread_cpu_time());
        if began >= until {
            return Err(InferenceError::Deadline);
        }
        let outputs = model.run(inputs)?;
        Ok(RunAnswer { outputs, wall: began.elapsed(), cpu: thread_cpu_time().saturating_sub(cpu_before) })
    }

    /// Bytes of the models' weights. The memory of runs is unknown, because the process also does other work.
    fn memory_used(&self) -> Option<u64> {
        Some(self.weights())
    }

    /// Frees the models' memory. The memory of a running model is freed after its run.
    fn close(&self) {
        self.models().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::{DType, Dimension, TensorData, TensorSpec};
    use sage_plan::{GraphRows, RowsChoice};

    /// A backend of tiny models. A model has as many bytes of weights as its file, and returns a number that
    /// identifies the backend.
    #[derive(Debug)]
    struct Tiny(&'static str);

    #[derive(Debug)]
    struct TinyModel {
        facts: ModelFacts,
        number: i64,
    }

    impl Backend for Tiny {
        fn name(&self) -> &'static str {
            self.0
        }

        fn load(&self, model: &[u8], options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
            assert_eq!(options.memory, Some(model.len() as u64 + 50));
            let spec = |name: &str| TensorSpec {
                name: name.to_owned(),
                dtype: DType::I64,
                shape: vec![Dimension::Free("batch".to_owned())],
            };
            let facts = ModelFacts {
                inputs: vec![spec("x")],
                outputs: vec![spec("y")],
                weight_bytes: model.len() as u64,
                rows: GraphRows::MadeUp,
            };
            Ok(Box::new(TinyModel { facts, number: i64::try_from(self.0.len()).unwrap() }))
        }
    }

    impl LoadedModel for TinyModel {
        fn facts(&self) -> &ModelFacts {
            &self.facts
        }

        fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError> {
            assert_eq!(inputs.len(), 1);
            let before = thread_cpu_time();
            while thread_cpu_time() - before < Duration::from_millis(2) {}
            Ok(vec![Tensor::new(vec![1], TensorData::I64(vec![self.number])).unwrap()])
        }
    }

    fn spec(folder: &Path, name: &str, backend: BackendChoice) -> ModelSpec {
        let path = folder.join(format!("{name}.onnx"));
        std::fs::write(&path, [7; 100]).unwrap();
        ModelSpec {
            name: name.to_owned(),
            path,
            sha256: None,
            backend,
            rows: RowsChoice::Shown,
            graph_rows: None,
            max_rows: 32,
            max_delay: Duration::ZERO,
            batching: None,
            deterministic: false,
            workspace: 50,
        }
    }

    fn runner(memory: Option<u64>, backends: &[&'static str]) -> ThreadRunner {
        let backends = backends.iter().map(|name| Box::new(Tiny(name)) as Box<dyn Backend>).collect();
        ThreadRunner::new(ThreadSettings { slots: 2, threads: 1, memory }, backends)
    }

    fn input() -> Vec<Tensor> {
        vec![Tensor::new(vec![1], TensorData::I64(vec![0])).unwrap()]
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_model_runs_on_the_calling_thread_and_its_cpu_time_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let runner = runner(None, &["tract"]);
        runner.load(&spec(folder.path(), "m", BackendChoice::Auto), soon()).unwrap();
        let answer = runner.run("m", input(), soon()).unwrap();
        assert_eq!(answer.outputs, [Tensor::new(vec![1], TensorData::I64(vec![5])).unwrap()]);
        let least = Duration::from_millis(2);
        assert!(answer.cpu >= least && answer.wall >= least && answer.cpu <= answer.wall * 2, "{answer:?}");
        assert_eq!(runner.run("m", input(), Instant::now()), Err(InferenceError::Deadline));
        assert_eq!(runner.run("n", input(), soon()), Err(InferenceError::UnknownModel("n".to_owned())));
    }

    #[test]
    fn the_backend_is_the_one_that_the_model_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            (BackendChoice::Auto, &["onnxruntime", "tract"][..], Some(11)),
            (BackendChoice::Auto, &["fake"], Some(4)),
            (BackendChoice::Onnxruntime, &["tract", "onnxruntime"], Some(11)),
            (BackendChoice::Onnxruntime, &["tract"], None),
            (BackendChoice::Tract, &[], None),
        ];
        for (choice, backends, expected) in cases {
            let runner = runner(None, backends);
            match (runner.load(&spec(folder.path(), "m", choice), soon()), expected) {
                (Ok(_), Some(number)) => {
                    let answer = runner.run("m", input(), soon()).unwrap();
                    assert_eq!(answer.outputs[0].data(), &TensorData::I64(vec![number]));
                }
                (Err(InferenceError::Unsupported(message)), None) => {
                    let has = if backends.is_empty() { "which has none" } else { "which has tract" };
                    assert!(message.ends_with(has), "{message}");
                }
                (other, _) => panic!("{choice:?} among {backends:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn weights_are_counted_and_more_than_the_device_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let runner = runner(Some(250), &["tract"]);
        for (name, used) in [("a", 100), ("a", 100), ("b", 200)] {
            runner.load(&spec(folder.path(), name, BackendChoice::Auto), soon()).unwrap();
            assert_eq!(runner.memory_used(), Some(used));
        }
        let error = runner.load(&spec(folder.path(), "c", BackendChoice::Auto), soon()).unwrap_err();
        let message = "the device is out of memory: model \"c\" has 100 bytes of weights, 50 of 250 are left";
        assert_eq!(error.to_string(), message);
        assert_eq!(runner.memory_used(), Some(200));
        runner.close();
        assert_eq!(runner.memory_used(), Some(0));
    }

    #[test]
    fn one_name_is_loaded_once_however_many_ask() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path(), "m", BackendChoice::Auto);
        let runner = runner(Some(100), &["tract"]);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| runner.load(&spec, soon()).unwrap());
            }
        });
        assert_eq!(runner.memory_used(), Some(100));
    }
}
