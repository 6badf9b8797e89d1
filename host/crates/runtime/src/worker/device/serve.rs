use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use super::super::serve::{EndOnPanic, WorkerError, read_order};
use super::DeviceSpec;
use super::device_setup::{DeviceSetup, LeaseLock};
use super::lease_expiry::end_when_over;
use super::served_slot::{Served, serve};
use sage_models::{Backend, InferenceError};
use sage_process::LinkSetup;
use sage_process::lockdown::{Lockdown, ProcessLimits, Purpose};

/// Descriptors in addition to its own. A CPU backend opens none; a driver opens some for each device and
/// library.
const OPEN_FILES: u64 = 1024;
/// Maximum bytes that the process writes to a file. Only its standard error is a file.
const LARGEST_FILE: u64 = 64 << 10;
/// Stack bytes of a slot's thread: as large as that of a main thread, because an untrusted graph may nest
/// deeply.
const STACK: usize = 8 << 20;

/// Runs `sage-host device`: reads the setup message, gives up every right except reading files, opens the
/// backends, and gives up the other rights. Only then does it accept models, and it runs them until the host
/// closes it.
///
/// `backends` is called between the two steps. It may open libraries and start threads; see
/// [`super::backends`].
///
/// # Errors
/// Any reason why the process cannot serve. The host sees that the process ended.
pub fn serve_device<F>(backends: F) -> Result<(), WorkerError>
where
    F: FnOnce(&DeviceSpec) -> Result<Vec<Box<dyn Backend>>, InferenceError>,
{
    let order: DeviceSetup = read_order()?;
    let fenced = lockdown(&order).before_threads()?;
    // This watch starts before a driver is used.
    end_when_over(order.kept)?;
    let backends = backends(&order.spec)?;
    let served = Arc::new(Served {
        backends,
        threads: order.spec.threads.max(1),
        alone: order.links.len() == 1,
        models: RwLock::new(HashMap::new()),
        locks: Mutex::new(order.locks.iter().map(open_lock).collect()),
    });
    let ready = Arc::new(Barrier::new(order.links.len() + 1));
    let (ended, ends) = channel();
    for link in &order.links {
        let link = open(link)?;
        let (served, ready, ended) = (Arc::clone(&served), Arc::clone(&ready), ended.clone());
        let body = move || {
            // No model is read before the system call filter is active.
            ready.wait();
            let _whole = EndOnPanic;
            // The main thread waits for the first slot that ends.
            let _ = ended.send(serve(&served, link));
        };
        let named = thread::Builder::new().name("sage-slot".to_owned()).stack_size(STACK);
        named.spawn(body).map_err(|cause| WorkerError::System { what: "cannot start a slot", cause })?;
    }
    let report = fenced.after_setup()?;
    for missing in report.missing {
        let _ = writeln!(std::io::stderr(), "the lockdown is incomplete: {missing}");
    }
    ready.wait();
    if let Ok(Err(error)) = ends.recv() {
        return Err(error.into());
    }
    // Frees the models in order. A run of another slot keeps the models that it uses.
    served.models.write().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(())
}

fn open(link: &LinkSetup) -> Result<sage_process::Link, WorkerError> {
    // SAFETY: the host opened these descriptors for this slot of this process, and names each of them once.
    unsafe { link.open(Duration::ZERO) }.map_err(|cause| WorkerError::System { what: "cannot map a ring", cause })
}

fn open_lock(lock: &LeaseLock) -> (u64, OwnedFd) {
    // SAFETY: the host opened this descriptor for this lease and this process, and names it once.
    (lock.lease, unsafe { OwnedFd::from_raw_fd(lock.descriptor) })
}

fn lockdown(order: &DeviceSetup) -> Lockdown {
    let cpu = !order.spec.kind.has_driver();
    let keep: Vec<_> = (0..3).chain(order.descriptors()).collect();
    let open_files = keep.iter().max().map_or(0, |&most| u64::try_from(most).unwrap_or(0)) + OPEN_FILES;
    Lockdown {
        purpose: if cpu { Purpose::Infer } else { Purpose::Drive },
        folders: Vec::new(),
        connect: Vec::new(),
        limits: ProcessLimits {
            open_files,
            file_bytes: cpu.then_some(LARGEST_FILE),
            data_bytes: order.data_bytes,
            cpu_seconds: None,
        },
        keep,
    }
}
