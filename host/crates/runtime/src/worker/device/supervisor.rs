use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::super::death::{Death, read_last_words};
use super::super::kernel_view::KernelView;
use super::DeviceSpec;
use super::device_setup::{DeviceSetup, LeaseLock};
use super::lease_expiry::LeaseExpiry;
use super::shared::{Phase, Running, Shared, State, lost};
use sage_machine::CpuSet;
use sage_machine::cgroup::{Level, OomCulprit, OomWatch, WhoseLimit};
use sage_models::{InferenceError, LeaseLocks};
use sage_process::Link;
use sage_process::LinkSetup;
use sage_process::{Enter, Launch, Spawner, Started};
use sage_text::short_size;

/// The thread that starts a device's process again and again, and records each end.
#[derive(Debug)]
pub(super) struct DeviceSupervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) spec: DeviceSpec,
    pub(super) program: PathBuf,
    pub(super) kernel: Arc<KernelView>,
    /// Whether the kernel enforces the memory limit of the process's cgroup.
    pub(super) held: bool,
    pub(super) locks: Option<Arc<dyn LeaseLocks>>,
    pub(super) kept: Arc<LeaseExpiry>,
    pub(super) cpus: Option<CpuSet>,
    /// The process dies with the spawner's thread.
    pub(super) spawner: Spawner,
}

/// The life of one process.
struct Life {
    started: Started,
    process: Arc<OwnedFd>,
    oom: Option<OomWatch>,
    links: Vec<Link>,
}

/// `FIRST_PAUSE` is the pause before the first restart; it doubles up to `LONGEST_PAUSE`. The pause is as long
/// as several starts, so that a process that dies at once costs little. The pause is also short enough for a
/// caller that waits with a call's timeout.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Maximum ends in a row without an answer in between. After that, further restarts do not help: the pauses sum
/// up to 3.1 s, more than a driver's reset takes.
const MOST_ENDS: u32 = 6;
/// Time limit for loading all models again. The limit is much longer than the timeout of a single load.
const RELOAD: Duration = Duration::from_secs(300);

impl DeviceSupervisor {
    /// Returns when the device was asked to close and the process is gone.
    pub(super) fn run(self) {
        while !self.shared.lock().closing {
            let (number, how) = self.live();
            let pause = self.shared.change(|state| note(state, number, how));
            // A close ends the pause.
            let _: Option<()> = self.shared.wait(Instant::now() + pause, |state| state.closing.then_some(()));
            if matches!(self.shared.lock().phase, Phase::Down(_)) {
                while self.shared.wait(Instant::now() + RELOAD, |state| state.closing.then_some(())).is_none() {}
            }
        }
        self.kernel.close();
        self.shared.change(|state| state.phase = Phase::Closed);
    }

    /// Runs one process from its start to its end.
    fn live(&self) -> (u64, InferenceError) {
        let begun = self.shared.change(|state| {
            state.phase = Phase::Starting;
            state.number += 1;
            state.number
        });
        let mut life = match self.launch() {
            Ok(life) => life,
            Err(error) => return (begun, lost(format!("its process cannot be started: {error}"))),
        };
        let (id, descriptor) = (life.started.child.id(), Arc::clone(&life.process));
        let links = std::mem::take(&mut life.links);
        let closing = self.shared.change(|state| {
            state.process = Some(Running { id, descriptor });
            state.closing
        });
        if closing {
            self.shared.kill(begun, "the device was closed".to_owned());
        }
        match self.reload(links) {
            Ok(links) => self.shared.change(|state| {
                // If the process ended meanwhile, the waiting callers get that reason.
                if state.reason.is_none() {
                    state.links = links.into_iter().map(Some).collect();
                    state.phase = Phase::Up;
                }
            }),
            Err(error) => self.shared.kill(begun, error.to_string()),
        }
        wait(&life.process);
        (begun, self.bury(&mut life, begun))
    }

    fn launch(&self) -> io::Result<Life> {
        // A host that was stopped must not touch the device for expired leases, because others may hold the
        // shares now. The process itself checks this again.
        if self.kept.is_over() {
            return Err(io::Error::other("the leases on the device have expired"));
        }
        // After the start, only the process holds the locks.
        let locks = self.locks.as_ref().map_or(Ok(Vec::new()), |locks| locks.take()).map_err(io::Error::other)?;
        if self.shared.lock().closing {
            return Err(io::Error::other("the device was closed"));
        }
        let pairs = (0..self.spec.slots.max(1)).map(|_| Link::pair()).collect::<io::Result<Vec<_>>>()?;
        let (mut links, ends): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let order = DeviceSetup {
            spec: self.spec.clone(),
            links: ends.iter().map(LinkSetup::of).collect(),
            locks: locks
                .iter()
                .map(|(lease, lock)| LeaseLock { lease: *lease, descriptor: lock.as_raw_fd() })
                .collect(),
            kept: self.kept.descriptor(),
            data_bytes: self.spec.process_memory().filter(|_| !self.held),
        };
        let oom = self.kernel.watch_oom();
        let started = self.spawner.launch(Launch {
            program: self.program.clone(),
            subcommand: "device",
            order: serde_json::to_vec(&order)?,
            environment: self.spec.environment(),
            inherited: order.descriptors(),
            cpus: self.cpus.clone(),
            enter: self.kernel.entry()?.map(|entry| Enter(Box::new(move || entry.enter()))),
        })?;
        let process = match started.process.try_clone() {
            Ok(process) => Arc::new(process),
            Err(error) => {
                sage_process::end(started.child);
                return Err(error);
            }
        };
        links.iter_mut().for_each(|link| link.watch(Arc::clone(&process)));
        Ok(Life { started, process, oom, links })
    }

    /// Loads the models that the previous process had.
    fn reload(&self, mut links: Vec<Link>) -> Result<Vec<Link>, InferenceError> {
        let until = Instant::now() + RELOAD;
        let names: Vec<String> = self.shared.lock().models.keys().cloned().collect();
        let Some(link) = links.first_mut() else { return Ok(links) };
        for name in names {
            let taken = self.shared.lock().models.get_mut(&name).and_then(|model| model.file.take());
            let Some(mut file) = taken else { continue };
            link.begin();
            link.set_deadline(Some(until));
            let loaded = file.load(link);
            let same = self.shared.change(|state| {
                let model = state.models.get_mut(&name)?;
                model.file = Some(file);
                Some(Arc::clone(&model.facts))
            });
            let again =
                |why: &dyn std::fmt::Display| lost(format!("model \"{name}\" could not be loaded again: {why}"));
            match loaded {
                Ok(Ok(facts)) if same.as_deref() == Some(&facts) => {}
                Ok(Ok(_)) => return Err(again(&"its inputs or outputs differ from before")),
                Ok(Err(error)) => return Err(again(&error)),
                Err(error) => return Err(again(&error)),
            }
        }
        Ok(links)
    }

    /// Reaps a process that has ended, and returns the reason.
    fn bury(&self, life: &mut Life, number: u64) -> InferenceError {
        let (status, words) = match life.started.child.wait() {
            Ok(status) => (status, read_last_words(&life.started.last_words)),
            Err(error) => return lost(format!("its process cannot be waited for: {error}")),
        };
        if let Some(culprit) = life.oom.as_ref().and_then(OomWatch::culprit) {
            return InferenceError::OutOfMemory(tell(&culprit));
        }
        // Rust's allocator prints this message before it aborts.
        if status.signal().is_some() && words.contains("memory allocation of ") {
            let limit = self.spec.process_memory().map_or_else(|| "the machine's".to_owned(), short_size);
            return InferenceError::OutOfMemory(format!("limit {limit} for the device's process: {words}"));
        }
        let reason = self.shared.lock().reason.take().filter(|(of, _)| *of == number);
        let death = match (reason, Death::of(status, &life.started.last_words)) {
            (Some((_, reason)), Death::Signal(9)) => Death::Ended(reason),
            (_, death) => death,
        };
        match &death {
            Death::Signal(_) if !words.is_empty() => lost(format!("{}: {words}", death.tell("its process"))),
            _ => lost(death.tell("its process")),
        }
    }
}

/// Records an end and chooses the next phase. Returns the pause before the next start.
fn note(state: &mut State, number: u64, how: InferenceError) -> Duration {
    state.process = None;
    state.links.clear();
    state.reason = None;
    state.gone += 1;
    state.ended = Some((number, how.clone()));
    state.phase = Phase::Ending;
    if state.excused.take() != Some(number) {
        state.ends += 1;
    }
    if state.ends >= MOST_ENDS {
        let why = format!(
            "its process ended {} times without an answer in between, and is not started again: {how}",
            state.ends
        );
        state.phase = Phase::Down(lost(why));
        return Duration::ZERO;
    }
    let doubled = 1_u32.checked_shl(state.ends.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// Waits until a process has ended.
fn wait(process: &OwnedFd) {
    // An interrupting signal does not mean an end.
    while let Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(process, PollFlags::IN)], None) {}
}

fn tell(culprit: &OomCulprit) -> String {
    let amount = |amount: Option<u64>| amount.map_or_else(|| "an unknown amount".to_owned(), short_size);
    match culprit.whose {
        WhoseLimit::Level(Level::Instance) => {
            let (cap, peak) = (amount(culprit.cap), amount(culprit.peak));
            format!(
                "the kernel killed its process at the device's limit: {cap} for everything it needs, {peak} at its peak"
            )
        }
        WhoseLimit::Level(_) | WhoseLimit::Beyond => {
            "the kernel killed its process because the machine or a cgroup above the device's own ran out of \
             memory"
                .to_owned()
        }
    }
}
