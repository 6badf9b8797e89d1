use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::kernel_view::KernelView;
use super::super::tensor_wire::{measure, measure_name};
use super::DeviceSpec;
use super::lease_expiry::LeaseExpiry;
use super::message::{ForgetRequest, ask};
use super::model_file::ModelFile;
use super::shared::{Phase, Shared, UNTIL_GONE, lost};
use super::slot::{Job, Run, serve};
use super::supervisor::DeviceSupervisor;
use sage_batch::wire::put_u64;
use sage_machine::CpuSet;
use sage_machine::cgroup::{Cgroups, Group};
use sage_models::{InferenceError, LeaseLocks, ModelFacts, RunAnswer, Runner, Tensor};
use sage_observe::KernelReading;
use sage_plan::ModelSpec;
use sage_process::Spawner;

/// A device whose models run in a separate process, which is restarted when it ends.
///
/// **Deadlines.** A call returns by its deadline. If its run is not over a second later, the process is ended,
/// and the runs of other slots return [`InferenceError::DeviceLost`]. The next call waits for the restart,
/// until its own deadline at most.
///
/// **Ends.** If the kernel kills the process at its memory limit, the runs in flight return
/// [`InferenceError::OutOfMemory`]. After any other end they return [`InferenceError::DeviceLost`] with the
/// signal, the exit code or the error output. The process is started again after a pause that grows from 0.1 s,
/// and its models are loaded again from the same files with the same bytes. After six ends without an answer in
/// between, the device stays down, and every call returns the reason. An end while a new model is being loaded
/// does not count; that model is not loaded again.
///
/// **Leases.** Every process starts with the locks of the leases that are held at that time, and only the
/// process holds them. They are released when it is gone. The process ends itself at the last time that it was
/// told ([`Runner::keep_until`]), even if its host does nothing. No process is started after that time.
///
/// **Limits.** Linux cgroups limit the process if there are any (memory, and the number of processes for a CPU
/// device); otherwise `RLIMIT_DATA` does. The process has no network and cannot start processes. For a CPU
/// device it opens no files and makes no executable memory. A CUDA driver needs files and system calls that
/// cannot be listed: see [`Purpose::Drive`](sage_process::lockdown::Purpose::Drive).
///
/// A drop closes the device.
pub struct DeviceProcess {
    shared: Arc<Shared>,
    spec: DeviceSpec,
    kernel: Arc<KernelView>,
    kept: Arc<LeaseExpiry>,
    jobs: Mutex<Vec<SyncSender<Job>>>,
    slots: Mutex<Vec<JoinHandle<()>>>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

/// The resources of a device's process.
#[derive(Debug)]
pub struct DeviceHome {
    /// The cgroup of the process: see [`DeviceSpec::group`].
    pub group: Option<Group>,
    /// The CPUs of all of its threads.
    pub cpus: Option<CpuSet>,
    /// The locks that show other hosts that leases on the device are in use. They are taken for each process
    /// before it is started, and only that process holds them open.
    pub locks: Option<Arc<dyn LeaseLocks>>,
    /// The time since the machine's start at which the process ends itself, unless it is told a later one
    /// ([`Runner::keep_until`]).
    pub kept_until: Duration,
}

/// Any CPU, and no end.
impl Default for DeviceHome {
    fn default() -> Self {
        Self { group: None, cpus: None, locks: None, kept_until: Duration::MAX }
    }
}

/// Time limit for an idle process to end after a request. Freeing a device's memory takes tens of milliseconds.
const GOODBYE: Duration = Duration::from_secs(1);

impl DeviceProcess {
    /// Starts the device as `program device`, which must call [`super::serve_device`]. For `sage-host` itself,
    /// `program` is `/proc/self/exe`. The call does not wait for the process.
    ///
    /// # Errors
    /// No further threads can be made. If the process cannot be started, the later calls that wait for it
    /// return that error.
    pub fn new(program: impl Into<PathBuf>, spec: DeviceSpec, home: DeviceHome) -> io::Result<Self> {
        let DeviceHome { group, cpus, locks, kept_until } = home;
        let group = match group {
            Some(group) => group,
            None => spec.group(&Cgroups::none("none was given")).map_err(io::Error::other)?,
        };
        let held = group.reading().memory_max.is_some();
        let kernel = Arc::new(KernelView::new(group));
        let slots = spec.slots.max(1);
        let shared = Arc::new(Shared::new(slots));
        let kept = Arc::new(LeaseExpiry::new(kept_until)?);
        let device = Self {
            shared: Arc::clone(&shared),
            spec: spec.clone(),
            kernel: Arc::clone(&kernel),
            kept: Arc::clone(&kept),
            jobs: Mutex::new(Vec::new()),
            slots: Mutex::new(Vec::new()),
            supervisor: Mutex::new(None),
        };
        for slot in 0..slots {
            let (sender, jobs) = sync_channel(1);
            let (shared, threads) = (Arc::clone(&shared), spec.threads.max(1));
            let named = thread::Builder::new().name("sage-slot".to_owned());
            let thread = named.spawn(move || serve(&shared, slot, threads, &jobs))?;
            lock(&device.jobs).push(sender);
            lock(&device.slots).push(thread);
        }
        let spawner = Spawner::start()?;
        let supervisor =
            DeviceSupervisor { shared, spec, program: program.into(), kernel, held, locks, kept, cpus, spawner };
        let named = thread::Builder::new().name("sage-device".to_owned());
        *lock(&device.supervisor) = Some(named.spawn(move || supervisor.run())?);
        Ok(device)
    }

    /// The current process; for tests and tools that look from outside.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.shared.lock().process.as_ref().map(|process| process.id)
    }

    /// Gives a job to a free slot and waits for its reply.
    fn ask<T>(
        &self,
        until: Instant,
        job: impl FnOnce(SyncSender<Result<T, InferenceError>>) -> Job,
    ) -> Result<T, InferenceError> {
        let slot = self.shared.take_slot(until)?;
        let (reply, replied) = mpsc::sync_channel(1);
        let jobs = lock(&self.jobs).get(slot).cloned();
        // The slot's thread takes one job at a time and has none now, so there is room.
        let sent = jobs.and_then(|jobs| jobs.send(job(reply)).ok());
        sent.ok_or_else(|| lost("the device was closed"))?;
        match replied.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(reply) => reply,
            Err(RecvTimeoutError::Timeout) => {
                self.shared.leave(slot);
                Err(InferenceError::Deadline)
            }
            Err(RecvTimeoutError::Disconnected) => Err(lost("the device was closed")),
        }
    }

    /// Asks an idle process to end, and waits a short time for its end.
    fn say_goodbye(&self) {
        let idle = {
            let mut state = self.shared.lock();
            let all = state.phase == Phase::Up && state.links.iter().all(Option::is_some);
            let link = if all { state.links.first_mut().and_then(Option::take) } else { None };
            link.zip(state.process.clone())
        };
        let Some((mut link, process)) = idle else { return };
        link.set_deadline(Some(Instant::now() + GOODBYE));
        if put_u64(&mut link, ask::CLOSE).is_ok() {
            link.send();
            let mut ended = [PollFd::new(&process.descriptor, PollFlags::IN)];
            // The process is killed next, whether it ended, a signal came, or neither.
            let _ = poll(&mut ended, Timespec::try_from(GOODBYE).ok().as_ref());
        }
    }
}

impl Runner for DeviceProcess {
    fn slots(&self) -> usize {
        self.spec.slots.max(1)
    }

    fn load(&self, model: &ModelSpec, until: Instant) -> Result<ModelFacts, InferenceError> {
        if let Some(known) = self.shared.lock().models.get(&model.name) {
            return Ok(ModelFacts::clone(&known.facts));
        }
        measure_name(&model.name, "bytes of a model's name are")?;
        let (file, name) = (ModelFile::open(model)?, model.name.clone());
        let facts = self.ask(until, |reply| Job::Load { file, name, until, reply })?;
        Ok(ModelFacts::clone(&facts))
    }

    fn run(&self, model: &str, inputs: Vec<Tensor>, until: Instant) -> Result<RunAnswer, InferenceError> {
        measure(inputs.iter(), "input")?;
        let known = self.shared.lock().models.get(model).map(|model| Arc::clone(&model.facts));
        let facts = known.ok_or_else(|| InferenceError::UnknownModel(model.to_owned()))?;
        let run = Run { model: model.to_owned(), facts, inputs };
        self.ask(until, |reply| Job::Run { run, until, reply })
    }

    fn recover(&self, until: Instant) {
        self.shared.recover(until);
    }

    fn losses(&self) -> Option<u64> {
        Some(self.shared.lock().gone)
    }

    /// The kernel's memory counter for the process of a CPU device. A CUDA device's process does not show the
    /// memory of the device.
    fn memory_used(&self) -> Option<u64> {
        if self.spec.kind.has_driver() {
            return None;
        }
        self.kernel.read().memory.or_else(|| resident(self.process()?))
    }

    /// Blocks until the process has ended: for a second at most if the process is idle and does not end by
    /// itself. If the kernel cannot end the process, this call gives up after ten seconds.
    fn close(&self) {
        let has_supervisor = lock(&self.supervisor).is_some();
        let is_stuck = self.shared.change(|state| {
            state.closing = true;
            if !has_supervisor {
                state.phase = Phase::Closed;
            }
            state.is_stuck
        });
        if is_stuck {
            return;
        }
        self.say_goodbye();
        let number = self.shared.lock().number;
        self.shared.kill(number, "the device was closed".to_owned());
        let closed = |state: &mut super::shared::State| (state.phase == Phase::Closed).then_some(());
        if self.shared.wait(Instant::now() + UNTIL_GONE, closed).is_none() {
            self.shared.lock().is_stuck = true;
            tracing::warn!(device = self.spec.name, "the device's process was killed and does not end");
            return;
        }
        lock(&self.jobs).clear();
        let threads = lock(&self.slots).drain(..).chain(lock(&self.supervisor).take()).collect::<Vec<_>>();
        for thread in threads {
            // Each thread is about to end, because the process is gone and no job comes.
            let _ = thread.join();
        }
    }

    fn keep_until(&self, since_boot: Duration) {
        self.kept.set(since_boot);
    }

    fn abandon(&self, why: &str) {
        let number = self.shared.change(|state| {
            state.excused = Some(state.number);
            state.number
        });
        self.shared.kill(number, why.to_owned());
    }

    fn forget(&self, lease: u64, models: &[String], until: Instant) -> Result<(), InferenceError> {
        // This step comes first, so that a process that starts from now on has neither these models nor the
        // lock.
        self.shared.change(|state| state.models.retain(|name, _| !models.contains(name)));
        let what = ForgetRequest { lease, models: models.to_vec() };
        self.ask(until, |reply| Job::Forget { what, until, reply })
    }

    fn failed(&self) -> Option<InferenceError> {
        match &self.shared.lock().phase {
            Phase::Down(why) => Some(why.clone()),
            _ => None,
        }
    }
}

impl Drop for DeviceProcess {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for DeviceProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceProcess")
            .field("spec", &self.spec)
            .field("process", &self.process())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of resident memory of a process.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1024)
}
