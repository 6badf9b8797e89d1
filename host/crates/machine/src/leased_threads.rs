use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;
use rustix::thread::gettid;

use super::CpuSet;
use super::pin::runs_on;

/// The threads and worker processes of a run that were bound to leased CPUs, kept for a later check that they
/// still run there. A surrounding cpuset that shrinks, `taskset`, or a CPU that goes offline moves threads
/// without a notice.
#[derive(Debug, Clone, Default)]
pub struct LeasedThreads(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    operator: String,
    instance: u32,
    who: Who,
    cpus: CpuSet,
}

#[derive(Debug, Clone, Copy)]
enum Who {
    /// One thread of this process, alone on its CPUs.
    Thread(i32),
    /// All threads of another process; each runs on some of the CPUs.
    Process(i32),
}

/// The entry of a thread or process on leased CPUs. Drop it before the thread ends or the process is reaped:
/// the number may belong to another one afterwards.
#[derive(Debug)]
#[must_use = "the thread or process is no longer checked as soon as this is dropped"]
pub struct LeasedSeat {
    threads: LeasedThreads,
    number: u64,
}

/// A thread or process that does not run on its leased CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Astray {
    /// Name of the operator.
    pub operator: String,
    /// Number of the operator's instance.
    pub instance: u32,
    /// The CPUs that were leased for it.
    pub wanted: CpuSet,
    /// The CPUs on which it may run now.
    pub found: CpuSet,
}

impl LeasedThreads {
    /// Records that the calling thread was bound to these CPUs.
    pub fn thread(&self, operator: &str, instance: u32, cpus: &CpuSet) -> LeasedSeat {
        self.seat(operator, instance, Who::Thread(gettid().as_raw_nonzero().get()), cpus)
    }

    /// Records that a child process was bound to these CPUs with all its threads.
    pub fn process(&self, process: u32, operator: &str, instance: u32, cpus: &CpuSet) -> LeasedSeat {
        self.seat(operator, instance, Who::Process(i32::try_from(process).unwrap_or(0)), cpus)
    }

    /// The threads and processes that do not run on their leased CPUs. Takes one system call for each thread.
    /// None of them ends during the call, since giving up a seat waits for it.
    #[must_use]
    pub fn astray(&self) -> Vec<Astray> {
        let state = self.lock();
        state.seats.values().filter_map(Seat::astray).collect()
    }

    fn seat(&self, operator: &str, instance: u32, who: Who, cpus: &CpuSet) -> LeasedSeat {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.seats.insert(number, Seat { operator: operator.to_owned(), instance, who, cpus: cpus.clone() });
        drop(state);
        LeasedSeat { threads: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn astray(&self) -> Option<Astray> {
        let found = match self.who {
            Who::Thread(thread) => cpus_of(thread).filter(|found| *found != self.cpus)?,
            Who::Process(process) => {
                let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
                let threads = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
                threads.filter_map(cpus_of).find(|found| !found.without(&self.cpus).is_empty())?
            }
        };
        let (operator, wanted) = (self.operator.clone(), self.cpus.clone());
        Some(Astray { operator, instance: self.instance, wanted, found })
    }
}

/// The CPUs of a thread; `None` if the thread has ended.
fn cpus_of(thread: i32) -> Option<CpuSet> {
    runs_on(Some(Pid::from_raw(thread)?)).ok()
}

impl Drop for LeasedSeat {
    fn drop(&mut self) {
        self.threads.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread;

    use sage_test_support::{Need, skip};

    use super::super::pin::pin;
    use super::*;

    #[test]
    fn a_thread_or_a_process_that_is_moved_off_its_cpus_is_seen_and_one_that_stays_is_not() {
        let allowed = CpuSet::allowed().unwrap();
        if allowed.count() < 2 {
            return skip(Need::Cpus, "this process may use one CPU only");
        }
        let cpus: Vec<CpuSet> = allowed.iter().take(2).map(|cpu| [cpu].into_iter().collect()).collect();
        let threads = LeasedThreads::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                pin(None, &cpus[0]).unwrap();
                let seat = threads.thread("a", 3, &cpus[0]);
                assert_eq!(threads.astray(), []);
                pin(None, &cpus[1]).unwrap();
                let (wanted, found) = (cpus[0].clone(), cpus[1].clone());
                assert_eq!(threads.astray(), [Astray { operator: "a".to_owned(), instance: 3, wanted, found }]);
                drop(seat);
                assert_eq!(threads.astray(), [], "it has given up its seat");
            });
        });
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let number = i32::try_from(child.id()).unwrap();
        pin(Pid::from_raw(number), &cpus[1]).unwrap();
        let seat = threads.process(child.id(), "b", 0, &cpus[1]);
        assert_eq!(threads.astray(), []);
        pin(Pid::from_raw(number), &allowed).unwrap();
        assert_eq!(threads.astray().iter().map(|astray| &astray.found).collect::<Vec<_>>(), [&allowed]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(threads.astray(), [], "an ended process is not listed");
        drop(seat);
    }
}
