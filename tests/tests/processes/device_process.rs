//! A device in a process of its own, with models that a test describes, and with lease files.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sage_models::{InferenceError, LeaseLocks, RunAnswer, Runner, Tensor, TensorData};
use sage_plan::config::{BackendChoice, DeviceKind};
use sage_plan::{ModelSpec, RowsChoice};
use sage_runtime::worker::device::{DeviceHome, DeviceProcess, DeviceSpec};

/// Far longer than any step here takes: a test that reaches this timeout has failed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Device {
    pub(super) runner: DeviceProcess,
    pub(super) folder: tempfile::TempDir,
}

pub(super) fn spec(name: &str) -> DeviceSpec {
    DeviceSpec {
        name: name.to_owned(),
        kind: DeviceKind::Cpu { slots: 2, threads: 1, cpus: None, backend: BackendChoice::Auto },
        backend: BackendChoice::Auto,
        slots: 2,
        threads: 1,
        memory: Some(32 << 20),
        largest_model: 0,
        host_memory: None,
        library: None,
    }
}

pub(super) fn program(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    path.ancestors().find(|folder| folder.ends_with("deps")).unwrap().parent().unwrap().join(name)
}

impl Device {
    pub(super) fn new(spec: DeviceSpec) -> Self {
        Self::at_home(spec, DeviceHome::default())
    }

    pub(super) fn at_home(spec: DeviceSpec, home: DeviceHome) -> Self {
        let runner = DeviceProcess::new(program("fake-device"), spec, home).unwrap();
        Self { runner, folder: tempfile::tempdir().unwrap() }
    }

    /// A model with the behaviour `does`, named after its first word.
    pub(super) fn model(&self, does: &str) -> ModelSpec {
        let name = does.split(' ').next().unwrap().to_owned();
        let path = self.folder.path().join(format!("{name}.onnx"));
        std::fs::write(&path, does).unwrap();
        ModelSpec {
            name,
            path,
            sha256: None,
            backend: BackendChoice::Auto,
            rows: RowsChoice::Shown,
            graph_rows: None,
            max_rows: 32,
            max_delay: Duration::ZERO,
            batching: None,
            deterministic: false,
            workspace: 0,
        }
    }

    pub(super) fn load(&self, does: &str) -> Result<(), InferenceError> {
        self.runner.load(&self.model(does), Instant::now() + TIMEOUT).map(drop)
    }

    pub(super) fn with(self, all: &[&str]) -> Self {
        all.iter().for_each(|does| self.load(does).unwrap());
        self
    }

    pub(super) fn run(&self, model: &str) -> Result<RunAnswer, InferenceError> {
        self.run_within(model, TIMEOUT)
    }

    pub(super) fn run_within(&self, model: &str, time: Duration) -> Result<RunAnswer, InferenceError> {
        self.runner.run(model, vec![numbers(3)], Instant::now() + time)
    }

    pub(super) fn expect_usable(&self) {
        assert_eq!(self.run("echo").unwrap().outputs, vec![numbers(3)]);
    }

    pub(super) fn process(&self) -> u32 {
        self.runner.process().unwrap()
    }
}

/// Files of two leases, locked for each process.
#[derive(Debug)]
pub(super) struct Locks(tempfile::TempDir);

impl Locks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(tempfile::tempdir().unwrap()))
    }

    pub(super) fn file(&self, lease: u64) -> File {
        File::options().create(true).append(true).open(self.0.path().join(lease.to_string())).unwrap()
    }

    /// Leases with locked files.
    pub(super) fn held(&self) -> Vec<u64> {
        [1, 2].into_iter().filter(|lease| self.file(*lease).try_lock().is_err()).collect()
    }
}

impl LeaseLocks for Locks {
    fn take(&self) -> Result<Vec<(u64, OwnedFd)>, InferenceError> {
        let locked = |lease: u64| {
            let file = self.file(lease);
            file.try_lock().map_err(|error| InferenceError::DeviceLost(error.to_string()))?;
            Ok((lease, OwnedFd::from(file)))
        };
        [1, 2].into_iter().map(locked).collect()
    }
}

pub(super) fn numbers(count: usize) -> Tensor {
    Tensor::new(vec![count], TensorData::F32((0..count).map(|number| number as f32).collect())).unwrap()
}

pub(super) fn is_there(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// Waits for an event that depends on another process or on time, and fails the test after the timeout. Locks
/// need this too, because a process that another test is just starting has all descriptors for a moment.
pub(super) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TIMEOUT, "{what}: it did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}
