use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::models_link::ModelsLink;
use super::served_lane::ServedLane;
use super::worker_setup::{LaneSetup, WorkerSetup};
use sage_batch::wire::WireError;
use sage_machine::{MemoryBudget, ResourceError, pin_current_thread};
use sage_models::{InferenceError, NoModels};
use sage_observe::GuestMetrics;
use sage_plan::{ComponentFacts, Description};
use sage_process::lockdown::{Lockdown, LockdownError, ProcessLimits, Purpose};
use sage_process::{FarEnd, Link};
use sage_sandbox::{GuestSpec, KeptLines, LoadError, Loaded, LogTo, Sandbox, SandboxOptions, Stop};

/// The reason why a worker process ends without a request to do so.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The setup message is invalid.
    #[error("a worker is started by sage-host itself, with its setup on standard input: {0}")]
    WorkerSetup(String),
    /// A privilege could not be given up. No guest code has run.
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    /// The compiled component cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The shared memory cannot be mapped, or a thread cannot be made.
    #[error("{what}: {cause}")]
    System {
        /// The action that failed.
        what: &'static str,
        /// The reason.
        cause: std::io::Error,
    },
    /// A lane cannot be pinned to its CPU.
    #[error(transparent)]
    Placed(#[from] ResourceError),
    /// The host is gone, or sent an invalid message.
    #[error("the link to the host: {0}")]
    Wire(#[from] WireError),
    /// There is no backend for a device.
    #[error(transparent)]
    Backend(#[from] InferenceError),
}

/// Duration of busy polling for the next request, for a lane with a CPU of its own: about the time that a
/// wake-up takes.
const SPIN: Duration = Duration::from_micros(30);
/// Descriptors that guests may open if folders or addresses are granted to them.
const OPEN_FILES: u64 = 256;
/// Maximum bytes of a memory file for a component's initial data. The limit is larger than any compiled
/// component.
const LARGEST_IMAGE: u64 = 1 << 30;
/// A guest's stack (at most 512 KiB) and the host's own frames around it.
const STACK: usize = 2 << 20;

/// Runs `sage-host worker`: reads the setup message, loads the component that the host compiled, gives up every
/// right that is not needed, and serves the lanes of the instance until the host closes them.
///
/// # Errors
/// Any reason why the worker cannot serve. The host sees that the process ended.
pub fn serve() -> Result<(), WorkerError> {
    let order: WorkerSetup = read_order()?;
    let fenced = lockdown(&order).before_threads()?;
    let sandbox = Sandbox::new(SandboxOptions { backtraces: order.backtraces, ..SandboxOptions::default() })?;
    let loaded = load(&sandbox, &order)?;
    let budget = Arc::new(MemoryBudget::new(order.memory_cap));
    let metrics = Arc::<GuestMetrics>::default();
    let kept = Arc::<KeptLines>::default();
    let lanes: Vec<ServedLane> = (0u32..)
        .zip(&order.lanes)
        .map(|(lane, of)| {
            let spec = GuestSpec {
                operator: order.operator.as_str().into(),
                instance: order.instance,
                parallelism: order.parallelism,
                lane,
                lanes: u32::try_from(order.lanes.len()).unwrap_or(u32::MAX),
                config: order.config.as_str().into(),
                limits: order.limits.clone(),
                capabilities: order.capabilities.clone(),
                budget: Arc::clone(&budget),
                models: models(of)?,
                metrics: Arc::clone(&metrics),
                log: LogTo::Kept(Arc::clone(&kept)),
                // A stop of the run ends the workers, so no flag is needed here.
                stop: Stop::default(),
                edges: order.edges.as_slice().into(),
                windows: order.windows,
            };
            let link = link(of)?;
            Ok(ServedLane::new(link, Arc::clone(&loaded), spec, Arc::clone(&kept), order.share))
        })
        .collect::<Result<_, WorkerError>>()?;
    // No guest runs before every privilege is given up: the lanes wait for each other and for this thread.
    let ready = Arc::new(Barrier::new(lanes.len() + 1));
    let mut threads = Vec::new();
    for (lane, of) in lanes.into_iter().zip(&order.lanes) {
        let (ready, cpu) = (Arc::clone(&ready), of.cpu);
        let body = move || {
            let placed = cpu.map_or(Ok(()), |cpu| pin_current_thread(&[cpu].into_iter().collect()).map(drop));
            // At the first barrier the lane is placed. After the second barrier the system call filter is
            // active.
            ready.wait();
            ready.wait();
            let _whole = EndOnPanic;
            if let Err(error) = placed.map_err(WorkerError::from).and_then(|()| Ok(lane.run()?)) {
                // The host's ends of the other lanes see that the process has ended. A lane without its host
                // has no other way to report the error.
                let _ = writeln!(std::io::stderr(), "{error}");
                std::process::exit(1);
            }
        };
        let named = thread::Builder::new().name("sage-lane".to_owned()).stack_size(STACK);
        threads.push(named.spawn(body).map_err(|cause| WorkerError::System { what: "cannot start a lane", cause })?);
    }
    ready.wait();
    for missing in fenced.after_setup()?.missing {
        // Reported with the first answer. If there is no room, guests have already logged more than this.
        let _ = kept.keep((tracing::Level::WARN, format!("the lockdown of the worker is incomplete: {missing}")));
    }
    ready.wait();
    for thread in threads {
        // A lane that panicked has ended the process.
        let _ = thread.join();
    }
    Ok(())
}

/// Ends the process when a lane panics, so that the host does not wait for that lane. The panic hook has
/// already printed the panic.
pub(super) struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::exit(1);
        }
    }
}

/// The resources that the process keeps: the descriptors of its setup, and the capabilities that the pipeline
/// grants to its guests.
fn lockdown(order: &WorkerSetup) -> Lockdown {
    let writes = order.capabilities.folders.iter().any(|folder| folder.write);
    let keep: Vec<_> = (0..3).chain(order.descriptors()).collect();
    let open_files = keep.iter().max().map_or(0, |&most| u64::try_from(most).unwrap_or(0)) + OPEN_FILES;
    Lockdown {
        purpose: Purpose::Run,
        folders: order.capabilities.folders.clone(),
        connect: order.capabilities.connect.clone(),
        limits: ProcessLimits {
            open_files,
            file_bytes: (!writes).then_some(LARGEST_IMAGE),
            data_bytes: order.data_bytes,
            cpu_seconds: None,
        },
        keep,
    }
}

pub(super) fn read_order<T: DeserializeOwned>() -> Result<T, WorkerError> {
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text).map_err(|error| WorkerError::WorkerSetup(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| WorkerError::WorkerSetup(error.to_string()))
}

fn load(sandbox: &Sandbox, order: &WorkerSetup) -> Result<Arc<Loaded>, WorkerError> {
    let path = format!("/proc/self/fd/{}", order.component);
    // At run time, only these fields of the description matter.
    let shape = order.shape.clone();
    let by_field = shape.is_some();
    let description = Description { keeps_state: order.keeps_state, shape, ..Description::default() };
    let (kind, ports) = (order.kind, order.ports.clone());
    let facts = ComponentFacts { kind, ports, description: Some(Arc::new(description)), initial_bytes: 0, by_field };
    // SAFETY: the descriptor refers to a memory file. The host wrote its own compiler's output to that file and
    // sealed it against every change before it started this process.
    Ok(unsafe { sandbox.load_compiled(path.as_ref(), (facts, order.instance_bytes)) }?)
}

/// The access of the lane's guest to models.
fn models(lane: &LaneSetup) -> Result<Arc<dyn sage_models::ModelAccess>, WorkerError> {
    let Some(link) = &lane.models else { return Ok(Arc::new(NoModels)) };
    // SAFETY: the same as for the lane's own link.
    let link = unsafe { link.open(Duration::ZERO) };
    let link = link.map_err(|cause| WorkerError::System { what: "cannot map a ring", cause })?;
    Ok(Arc::new(ModelsLink::new(link)))
}

fn link(lane: &LaneSetup) -> Result<Link, WorkerError> {
    // SAFETY: the host opened these descriptors for this lane of this process, and names each of them once.
    let owned = |descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) };
    if [lane.own, lane.peer, lane.doorbell, lane.peer_doorbell].iter().any(|&descriptor| descriptor < 3) {
        return Err(WorkerError::WorkerSetup("a lane without descriptors".to_owned()));
    }
    let end = FarEnd {
        own: owned(lane.own),
        peer: owned(lane.peer),
        doorbell: owned(lane.doorbell),
        peer_doorbell: owned(lane.peer_doorbell),
    };
    let spin = if lane.cpu.is_some() { SPIN } else { Duration::ZERO };
    Link::far(end, spin).map_err(|cause| WorkerError::System { what: "cannot map a ring", cause })
}
