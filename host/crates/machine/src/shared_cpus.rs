use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::gettid;

use super::pin::{pin, runs_on};
use super::{CpuSet, HeldCpu, LeaseFolder, Pace, ResourceError};

/// The CPUs for all threads without a lease: lanes in the shared pool, sources, sinks, and the host's
/// threads. They are the allowed CPUs minus those that any sage-host has leased.
///
/// A thread that [joins](SharedCpus::join) (once) is bound to these CPUs, and bound again when leases change: at once
/// for a lease that this process reports ([`SharedCpus::refresh`]), within about [`Pace::BUSY`] for another process's.
/// Members that were idle are bound within about [`Pace::IDLE`] after they began to work. If no CPU is left, the thread
/// runs on all allowed CPUs, including leased ones: work without a lease gets slow then, but not stuck.
///
/// This bounds the CPUs of threads that joined. Other threads are not bound, and for the length of a rescan a
/// thread may still run on a CPU that another process has just leased.
///
/// **Waiting.** One keeper thread rescans while there are members and ends with the last of them. The keeper
/// sleeps on a condition variable, which a process that joins, and the last member that leaves, signal. A thread that
/// joins takes the result of a scan that is a few milliseconds old: a scan for each of a thousand lanes was a tenth of
/// their start. Joining, leaving and refreshing wait for a scan in progress: microseconds, and at worst the seconds of
/// the lease folder's timeout. A scan never waits for a member.
#[derive(Debug, Clone)]
pub struct SharedCpus {
    shared: Arc<Shared>,
}

/// The membership of a thread in the shared CPUs. Drop it on the thread that joined; the drop binds the
/// thread to its former CPUs.
#[derive(Debug)]
pub struct SharedSeat {
    shared: Arc<Shared>,
    thread: Pid,
    before: CpuSet,
    // Not `Send`: a thread's number is reused after its end, and the keeper would bind an unrelated thread.
    _stays_on_its_thread: PhantomData<*const ()>,
}

/// The membership of another process, with all its threads, in the shared CPUs. The drop does not move the
/// process, which has ended or is about to end.
#[derive(Debug)]
pub struct ProcessSeat {
    shared: Arc<Shared>,
    process: i32,
}

#[derive(Debug)]
struct Shared {
    folder: LeaseFolder,
    allowed: CpuSet,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Joined threads, and the CPUs that each was last bound to.
    members: BTreeMap<i32, CpuSet>,
    /// Child processes that belong to the shared CPUs with all their threads, and the CPUs that each was last
    /// bound to.
    processes: BTreeMap<i32, CpuSet>,
    /// The shared CPUs; empty until the first scan.
    cpus: CpuSet,
    /// Time of the last scan.
    scanned: Option<Instant>,
    nothing_left: bool,
    supervisor_runs: bool,
}

/// Age up to which a scan is good for one more thread. The lanes of a run join within a few milliseconds, and a scan
/// takes 16 system calls. The keeper's next scan finds a lease that this one does not know.
const SAME_START: Duration = Duration::from_millis(5);

impl SharedCpus {
    /// The shared part of the allowed CPUs. The folder is read only when a thread joins or a caller asks.
    #[must_use]
    pub fn new(folder: LeaseFolder, allowed: CpuSet) -> Self {
        let shared = Shared { folder, allowed, state: Mutex::default(), wake: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Binds the calling thread to the shared CPUs until the seat is dropped.
    ///
    /// # Errors
    /// If the folder cannot be read, the thread cannot be bound, or no keeper can be started. The thread has
    /// not joined then.
    pub fn join(&self) -> Result<SharedSeat, ResourceError> {
        let before = runs_on(None).map_err(ResourceError::ReadAffinity)?;
        let thread = gettid();
        let mut state = self.shared.lock();
        if state.scanned.is_none_or(|at| at.elapsed() > SAME_START) {
            self.shared.look(&mut state)?;
        }
        if !state.supervisor_runs {
            // The keeper finds its first member: the lock is held until the member is entered.
            Shared::start_keeper(&self.shared)?;
            state.supervisor_runs = true;
        }
        pin(None, &state.cpus)?;
        let cpus = state.cpus.clone();
        state.members.insert(thread.as_raw_nonzero().get(), cpus);
        drop(state);
        Ok(SharedSeat { shared: Arc::clone(&self.shared), thread, before, _stays_on_its_thread: PhantomData })
    }

    /// Keeps all threads of a child process on the shared CPUs until the seat is dropped. The child must have
    /// started there; this call binds it again when leases change.
    ///
    /// # Errors
    /// If no keeper can be started, or the number is not that of a process.
    pub fn adopt(&self, process: u32) -> Result<ProcessSeat, ResourceError> {
        let process = i32::try_from(process).map_err(|_| ResourceError::NoCpu)?;
        let mut state = self.shared.lock();
        if !state.supervisor_runs {
            Shared::start_keeper(&self.shared)?;
            state.supervisor_runs = true;
        }
        let cpus = state.cpus.clone();
        state.processes.insert(process, cpus);
        drop(state);
        self.shared.wake.notify_all();
        Ok(ProcessSeat { shared: Arc::clone(&self.shared), process })
    }

    /// Scans the leases now and binds the members again. Call this after leasing and after giving leases
    /// back.
    ///
    /// # Errors
    /// If the folder cannot be read. The members stay where they are.
    pub fn refresh(&self) -> Result<CpuSet, ResourceError> {
        let mut state = self.shared.lock();
        self.shared.look(&mut state)?;
        Shared::rebind(&mut state);
        Ok(state.cpus.clone())
    }

    /// True if every allowed CPU was leased at the last scan, so that members run on leased CPUs.
    #[must_use]
    pub fn nothing_left(&self) -> bool {
        self.shared.lock().nothing_left
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes the shared CPUs from the present leases.
    fn look(&self, state: &mut State) -> Result<(), ResourceError> {
        let held = match self.folder.held_by_anyone() {
            // Replaced: the run notices it too, and opens the folder that has the name now. Busy: a stopped
            // process holds the lock, or one that holds it on purpose. Until then the last scan is good
            // enough.
            Err(ResourceError::FolderReplaced { .. } | ResourceError::FolderBusy { .. }) if !state.cpus.is_empty() => {
                return Ok(());
            }
            // There was no scan yet. The threads run on all allowed CPUs until the run has repaired its
            // entries in the ledger, which takes moments.
            Err(ResourceError::FolderReplaced { .. }) => Vec::new(),
            held => held?,
        };
        let leased: CpuSet = held.into_iter().filter(HeldCpu::is_leased).map(|held| held.cpu).collect();
        let left = self.allowed.without(&leased);
        state.nothing_left = left.is_empty();
        state.cpus = if left.is_empty() { self.allowed.clone() } else { left };
        state.scanned = Some(Instant::now());
        Ok(())
    }

    /// Binds the members that are on other CPUs. A member cannot end during this, because its seat's drop
    /// needs the same lock.
    fn rebind(state: &mut State) {
        let State { members, processes, cpus, .. } = state;
        for (process, bound) in processes.iter_mut().filter(|(_, bound)| **bound != *cpus) {
            // A thread that ended in the meantime is not an error. A new thread begins on the CPUs of its
            // parent thread.
            for thread in threads_of(*process) {
                let _ = pin(Pid::from_raw(thread), cpus);
            }
            bound.clone_from(cpus);
        }
        for (thread, bound) in members.iter_mut().filter(|(_, bound)| **bound != *cpus) {
            match pin(Pid::from_raw(*thread), cpus) {
                // Recorded as bound, so that a thread that the kernel keeps elsewhere is not reported five
                // times a second.
                Ok(_) => bound.clone_from(cpus),
                Err(error) => {
                    tracing::warn!(thread, %error, "a thread without a lease may run on a leased CPU");
                    bound.clone_from(cpus);
                }
            }
        }
    }

    fn start_keeper(shared: &Arc<Self>) -> Result<(), ResourceError> {
        let shared = Arc::clone(shared);
        let keeper = thread::Builder::new().name("shared-cpus".to_owned()).spawn(move || shared.keep());
        keeper.map(drop).map_err(|cause| ResourceError::Keeper { cause })
    }

    /// Rescans until there are no seats. The next thread that joins starts another keeper.
    ///
    /// While neither this process nor one of its members works, there is no scan: nobody runs on a wrong CPU.
    fn keep(&self) {
        let mut own_cpus = CpuSet::default();
        let mut warned = false;
        let mut pace = Pace::default();
        let mut state = self.lock();
        while !state.members.is_empty() || !state.processes.is_empty() {
            let worked = pace.worked(state.processes.keys().copied());
            if worked {
                match self.look(&mut state) {
                    Ok(()) => warned = false,
                    Err(error) if warned => drop(error),
                    Err(error) => {
                        tracing::warn!(%error, "cannot see the CPU leases of other processes");
                        warned = true;
                    }
                }
                Self::rebind(&mut state);
            }
            // The keeper has no lease either. If it cannot be bound, it runs for microseconds, five times a
            // second.
            if own_cpus != state.cpus && pin(None, &state.cpus).is_ok() {
                own_cpus.clone_from(&state.cpus);
            }
            state = self.wake.wait_timeout(state, Pace::next(worked)).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.supervisor_runs = false;
    }
}

fn threads_of(process: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

impl Drop for ProcessSeat {
    fn drop(&mut self) {
        self.shared.lock().processes.remove(&self.process);
        self.shared.wake.notify_all();
    }
}

impl SharedSeat {
    /// The CPUs that the thread is bound to now.
    #[must_use]
    pub fn cpus(&self) -> CpuSet {
        self.shared.lock().cpus.clone()
    }
}

impl Drop for SharedSeat {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.members.remove(&self.thread.as_raw_nonzero().get());
        let last = state.members.is_empty();
        drop(state);
        if last {
            self.shared.wake.notify_all();
        }
        match pin(None, &self.before) {
            // The former CPUs may no longer be allowed (a cpuset that shrank). Then the thread stays, and
            // this is not an error.
            Ok(_) | Err(ResourceError::PinMismatch { .. } | ResourceError::Pin { cause: Errno::INVAL, .. }) => {}
            Err(error) => tracing::warn!(%error, "cannot put a thread back where it ran before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use sage_test_support::{Need, skip, wait_until};

    use super::*;
    use crate::Holder;

    /// A folder, and the CPUs that this process may use. A test that needs two CPUs is skipped with a message
    /// if there is one.
    fn two_cpus() -> Option<(tempfile::TempDir, LeaseFolder, CpuSet)> {
        let place = tempfile::tempdir().unwrap();
        let folder = LeaseFolder::at(place.path()).unwrap();
        let allowed = CpuSet::allowed().unwrap();
        if allowed.count() < 2 {
            skip(Need::Cpus, "this process may use one CPU only");
            return None;
        }
        Some((place, folder, allowed))
    }

    fn here(thread: i32) -> CpuSet {
        runs_on(Pid::from_raw(thread)).unwrap()
    }

    /// A thread that has joined, its number, and a sender that ends it.
    fn member(shared: &SharedCpus) -> (thread::JoinHandle<CpuSet>, i32, mpsc::Sender<()>) {
        let (joined, has_joined) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let shared = shared.clone();
        let thread = thread::spawn(move || {
            let seat = shared.join().unwrap();
            joined.send(gettid().as_raw_nonzero().get()).unwrap();
            let _ = ended.recv();
            drop(seat);
            runs_on(None).unwrap()
        });
        (thread, has_joined.recv().unwrap(), end)
    }

    #[test]
    fn a_member_keeps_off_a_cpu_as_soon_as_it_is_leased_and_may_use_it_again_afterwards() {
        let Some((_place, folder, allowed)) = two_cpus() else { return };
        let shared = SharedCpus::new(folder.clone(), allowed.clone());
        let (thread, number, end) = member(&shared);
        assert_eq!(here(number), allowed);

        let leases = folder.lease(1, &allowed, 1, Holder::here("p", "o", 0)).unwrap();
        shared.refresh().unwrap();
        assert_eq!(here(number), allowed.without(&leases[0].cpus()));

        drop(leases);
        shared.refresh().unwrap();
        assert_eq!(here(number), allowed);
        end.send(()).unwrap();
        assert_eq!(thread.join().unwrap(), allowed, "a thread that leaves runs where it ran before");
    }

    #[test]
    fn the_keeper_notices_leases_that_nobody_reports() {
        let Some((_place, folder, allowed)) = two_cpus() else { return };
        let shared = SharedCpus::new(folder.clone(), allowed.clone());
        let (thread, number, end) = member(&shared);
        let leases = folder.lease(1, &allowed, 1, Holder::here("p", "o", 0)).unwrap();
        let expected = allowed.without(&leases[0].cpus());
        wait_until("the keeper moves the member", || (here(number) == expected).then_some(()));
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn with_every_cpu_leased_members_run_on_all_and_it_is_known() {
        let Some((_place, folder, allowed)) = two_cpus() else { return };
        let shared = SharedCpus::new(folder.clone(), allowed.clone());
        let leases = folder.lease(allowed.count(), &allowed, 0, Holder::here("p", "o", 0)).unwrap();
        let (thread, number, end) = member(&shared);
        assert!(shared.nothing_left());
        assert_eq!(here(number), allowed);
        drop(leases);
        shared.refresh().unwrap();
        assert!(!shared.nothing_left());
        end.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn without_members_there_is_no_keeper() {
        let Some((_place, folder, allowed)) = two_cpus() else { return };
        let shared = SharedCpus::new(folder, allowed);
        assert!(!shared.shared.lock().supervisor_runs);
        for _ in 0..3 {
            let (thread, _, end) = member(&shared);
            assert!(shared.shared.lock().supervisor_runs);
            end.send(()).unwrap();
            thread.join().unwrap();
            wait_until("the keeper ends", || (!shared.shared.lock().supervisor_runs).then_some(()));
        }
    }
}
