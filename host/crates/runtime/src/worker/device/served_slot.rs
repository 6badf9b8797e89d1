use std::any::Any;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::super::tensor_wire::{LONGEST_NAME, facts_text, get_json, get_tensors, measure, put_outcome};
use super::message::{
    ForgetRequest, LARGEST_MODEL, LONGEST_FORGET_ORDER, LONGEST_LOAD_ORDER, LoadRequest, PIECE, ask, put_answer,
};
use sage_batch::wire::{WireError, get_bytes, get_text, get_u64, put_bytes};
use sage_machine::thread_cpu_time;
use sage_models::{Backend, InferenceError, LoadOptions, LoadedModel, RunAnswer, Tensor};
use sage_plan::config::BackendChoice;
use sage_process::Link;

/// The state that all slots of a device's process share: its backends and the loaded models.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) backends: Vec<Box<dyn Backend>>,
    pub(super) threads: usize,
    /// Whether a run is the only activity of the process, so that the CPU time of the process is that of the
    /// run.
    pub(super) alone: bool,
    pub(super) models: RwLock<HashMap<String, Arc<dyn LoadedModel>>>,
    /// The locks, by lease. Each is held as long as its descriptor is open here.
    pub(super) locks: Mutex<Vec<(u64, OwnedFd)>>,
}

/// Carries out the host's requests to one slot, until the host ends it.
pub(super) fn serve(served: &Served, mut link: Link) -> Result<(), WireError> {
    loop {
        match get_u64(&mut link)? {
            ask::LOAD => load(served, &mut link)?,
            ask::RUN => run(served, &mut link)?,
            ask::FORGET => forget(served, &mut link)?,
            ask::CLOSE => return Ok(()),
            other => return Err(WireError::broken(format!("a request of kind {other}"))),
        }
        link.send();
    }
}

fn load(served: &Served, link: &mut Link) -> Result<(), WireError> {
    let order: LoadRequest = get_json(link, LONGEST_LOAD_ORDER)?;
    let (mut file, mut piece) = (Vec::new(), Vec::new());
    let length = usize::try_from(order.length.min(LARGEST_MODEL)).unwrap_or(0);
    file.try_reserve_exact(length)
        .map_err(|_| WireError::broken(format!("no memory for a model of {length} bytes")))?;
    loop {
        get_bytes(link, PIECE as u64, &mut piece)?;
        link.taken();
        if piece.is_empty() {
            break;
        }
        file.extend_from_slice(&piece);
    }
    let wanted = get_u64(link)? != 0;
    link.taken();
    if !wanted {
        return Ok(());
    }
    let loaded = guarded(|| make(served, &order, &file));
    let facts = loaded.and_then(|model| {
        let facts = facts_text(model.facts())?;
        served.models.write().unwrap_or_else(PoisonError::into_inner).insert(order.name, Arc::from(model));
        Ok(facts)
    });
    put_outcome(link, &facts)?;
    facts.map_or(Ok(()), |facts| put_bytes(link, &facts))
}

fn make(served: &Served, order: &LoadRequest, file: &[u8]) -> Result<Box<dyn LoadedModel>, InferenceError> {
    let found = served
        .backends
        .iter()
        .find(|backend| order.backend == BackendChoice::Auto || backend.name() == order.backend.name())
        .ok_or_else(|| InferenceError::Unsupported(format!("the device has no backend {}", order.backend.name())))?;
    found.load(file, &LoadOptions { threads: served.threads, memory: Some(order.memory) })
}

/// Frees the memory before the lock, because the share is free only when the device's memory is free.
fn forget(served: &Served, link: &mut Link) -> Result<(), WireError> {
    let order: ForgetRequest = get_json(link, LONGEST_FORGET_ORDER)?;
    link.taken();
    let forgotten = guarded(|| {
        let mut models = served.models.write().unwrap_or_else(PoisonError::into_inner);
        order.models.iter().for_each(|name| drop(models.remove(name)));
        Ok(())
    });
    served.locks.lock().unwrap_or_else(PoisonError::into_inner).retain(|(lease, _)| *lease != order.lease);
    put_outcome(link, &forgotten)
}

fn run(served: &Served, link: &mut Link) -> Result<(), WireError> {
    let model = get_text(link, LONGEST_NAME)?;
    let inputs = get_tensors(link)?;
    link.taken();
    let found = served.models.read().unwrap_or_else(PoisonError::into_inner).get(&model).map(Arc::clone);
    let answer = match found {
        None => Err(InferenceError::UnknownModel(model)),
        Some(model) => guarded(|| timed(served, model.as_ref(), inputs)),
    };
    put_answer(link, &answer)
}

fn timed(served: &Served, model: &dyn LoadedModel, inputs: Vec<Tensor>) -> Result<RunAnswer, InferenceError> {
    let cpu_time = || if served.alone { process_cpu_time() } else { thread_cpu_time() };
    let (began, cpu) = (Instant::now(), cpu_time());
    let outputs = model.run(inputs)?;
    let (wall, cpu) = (began.elapsed(), cpu_time().saturating_sub(cpu));
    measure(outputs.iter(), "output")?;
    Ok(RunAnswer { outputs, wall, cpu })
}

/// Turns a panic of a backend into an answer.
fn guarded<T>(backend: impl FnOnce() -> Result<T, InferenceError>) -> Result<T, InferenceError> {
    catch_unwind(AssertUnwindSafe(backend))
        .unwrap_or_else(|panic| Err(InferenceError::Backend(format!("it panicked: {}", text_of(panic.as_ref())))))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

fn process_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
