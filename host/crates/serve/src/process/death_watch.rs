use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::epoll;

use crate::store::JobId;

/// Tells the deaths of processes, on one thread for all of them.
#[derive(Debug, Clone)]
pub struct DeathWatch(Arc<Shared>);

/// A process of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobProcess {
    /// Runs an attempt.
    Attempt,
    /// Checks a revision.
    Check,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    last: u64,
    processes: HashMap<u64, (JobId, JobProcess, OwnedFd)>,
}

impl DeathWatch {
    /// Starts the thread. It calls `died` once for each process, and ends when that returns `false`.
    ///
    /// # Errors
    /// The system has no descriptor or thread for it.
    pub fn start(died: impl Fn(JobId, JobProcess) -> bool + Send + 'static) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watch = Self(Arc::new(Shared { epoll, watched: Mutex::default() }));
        let shared = Arc::clone(&watch.0);
        std::thread::Builder::new().name("deaths".to_owned()).spawn(move || {
            let mut events = Vec::with_capacity(64);
            loop {
                events.clear();
                match epoll::wait(&shared.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return tracing::error!(%error, "deaths of jobs are noticed a second late"),
                    Ok(_) => {}
                }
                for event in &events {
                    // The drop of the descriptor ends the watch on it.
                    let process = shared.watched().processes.remove(&event.data.u64());
                    if process.is_some_and(|(job, which, _)| !died(job, which)) {
                        return;
                    }
                }
            }
        })?;
        Ok(watch)
    }

    /// Watches a process.
    ///
    /// # Errors
    /// The system cannot watch one more.
    pub fn add(&self, job: JobId, which: JobProcess, process: OwnedFd) -> io::Result<()> {
        let mut watched = self.0.watched();
        watched.last += 1;
        let number = watched.last;
        epoll::add(&self.0.epoll, &process, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        watched.processes.insert(number, (job, which, process));
        Ok(())
    }
}

impl Shared {
    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn each_death_is_told_once() {
        let (died, deaths) = mpsc::channel();
        let watch = DeathWatch::start(move |job, _| died.send(job).is_ok()).unwrap();
        let mut jobs: Vec<JobId> = Vec::new();
        let mut children = Vec::new();
        for _ in 0..20 {
            let mut child = Command::new("true").spawn().unwrap();
            let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
            let job = JobId::random().unwrap();
            watch.add(job, JobProcess::Attempt, process).unwrap();
            jobs.push(job);
            child.wait().unwrap();
            children.push(child);
        }
        let mut told: Vec<JobId> = jobs.iter().map(|_| deaths.recv_timeout(Duration::from_secs(30)).unwrap()).collect();
        told.sort();
        jobs.sort();
        assert_eq!(told, jobs);
    }
}
