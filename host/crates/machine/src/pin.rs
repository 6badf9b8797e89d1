use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use super::{CpuSet, ResourceError};

/// Binds the calling thread to these CPUs, reads its affinity back and returns it.
///
/// This bounds the CPUs of the thread, not the other threads on these CPUs. For exclusive use, the CPUs are
/// leased ([`super::LeaseFolder`]) and threads without a lease are kept off them ([`super::SharedCpus`]).
/// Programs that do not know of leases run on any CPU.
///
/// # Errors
/// [`ResourceError::NoCpu`] for an empty set. [`ResourceError::Pin`] if the kernel refuses (none of these
/// CPUs is online or allowed); the thread then stays where it was. [`ResourceError::PinMismatch`] if the
/// thread runs on other CPUs than requested.
pub fn pin_current_thread(cpus: &CpuSet) -> Result<CpuSet, ResourceError> {
    pin(None, cpus)
}

/// Binds a thread of this process (`None` is the calling thread).
pub(super) fn pin(thread: Option<Pid>, cpus: &CpuSet) -> Result<CpuSet, ResourceError> {
    if cpus.is_empty() {
        return Err(ResourceError::NoCpu);
    }
    let failed = |cause: Errno| ResourceError::Pin { wanted: cpus.clone(), cause };
    sched_setaffinity(thread, &cpus.to_kernel()).map_err(failed)?;
    let found = runs_on(thread).map_err(failed)?;
    if found != *cpus {
        return Err(ResourceError::PinMismatch { wanted: cpus.clone(), found });
    }
    Ok(found)
}

/// The CPUs on which a thread of this process may run (`None` is the calling thread).
pub(super) fn runs_on(thread: Option<Pid>) -> Result<CpuSet, Errno> {
    sched_getaffinity(thread).map(|set| CpuSet::from_kernel(&set))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_pinned_thread_runs_on_the_cpu_it_was_given() {
        let allowed = CpuSet::allowed().unwrap();
        for cpu in allowed.iter() {
            let one: CpuSet = [cpu].into_iter().collect();
            let (found, running_on) = thread::spawn(move || {
                let found = pin_current_thread(&one).unwrap();
                (found, rustix::thread::sched_getcpu())
            })
            .join()
            .unwrap();
            assert_eq!(found, [cpu].into_iter().collect());
            assert_eq!(u32::try_from(running_on).unwrap(), cpu);
        }
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_with_the_numbers() {
        thread::spawn(|| {
            let beyond: CpuSet = [1023].into_iter().collect();
            let error = pin_current_thread(&beyond).unwrap_err();
            assert_eq!(error.to_string(), "cannot bind a thread to CPUs 1023");

            // The kernel uses the existing part of the set. Reading back shows that the result differs from
            // the request.
            let mut partly: CpuSet = CpuSet::allowed().unwrap();
            let there = partly.clone();
            partly.insert(1023);
            let error = pin_current_thread(&partly).unwrap_err();
            assert_eq!(error.to_string(), format!("bound a thread to CPUs {partly}, but it runs on {there}"));

            assert!(matches!(pin_current_thread(&CpuSet::default()), Err(ResourceError::NoCpu)));
        })
        .join()
        .unwrap();
    }
}
