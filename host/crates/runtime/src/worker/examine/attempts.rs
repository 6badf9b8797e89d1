//! The actions that the canary tries. Each is harmless if it succeeds.

use std::net::TcpListener;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, ftruncate, open};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::{Pid, test_kill_process};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use super::attempt::Attempt;
use sage_process::FarEnd;
use sage_process::Mapping;

/// Device files of every machine, and those of machines with virtual machines or accelerators.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/tty", "/dev/kvm", "/dev/nvidia0"];
/// Bytes of private memory that the canary tries to get.
pub(super) const HOARD: usize = 256 << 20;

/// On memory that the host writes: a write and a change of size. On its own memory: a change of size.
pub(super) fn on_shared_memory(end: &FarEnd) -> Vec<Attempt> {
    let mapped = Mapping::of(&end.peer, 4096, 4096, true).map(drop).map_err(|cause| errno(&cause));
    vec![
        Attempt::of("map what the host writes", mapped),
        Attempt::of("write to it", rustix::io::pwrite(&end.peer, b"x", 0)),
        Attempt::of("shrink it", ftruncate(end.peer.as_fd(), 0)),
        Attempt::of("shrink its own", ftruncate(end.own.as_fd(), 0)),
        Attempt::of("grow its own", ftruncate(end.own.as_fd(), 1 << 30)),
    ]
}

/// Opens files while system calls are not filtered yet.
pub(super) fn at_the_fence() -> Vec<Attempt> {
    ["/", "/proc/self/exe", "/proc/self/mem", "/dev/zero"].map(|path| Attempt::of(path, opened(path))).into()
}

pub(super) fn on_devices() -> Vec<Attempt> {
    DEVICES.map(|path| Attempt::of(path, opened(path))).into()
}

fn opened(path: &str) -> Result<(), Errno> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).map(drop)
}

/// System calls of several kinds.
pub(super) fn at_the_filter(host: i32) -> Vec<Attempt> {
    let host = Pid::from_raw(host).ok_or(Errno::INVAL);
    vec![
        Attempt::of("open", opened("/")),
        Attempt::of("socket", TcpListener::bind("127.0.0.1:0").map_err(|cause| errno(&cause))),
        Attempt::of("execve", execute()),
        Attempt::of("ptrace", trace()),
        Attempt::of("kill", host.and_then(test_kill_process)),
        Attempt::of("executable memory", executable_memory()),
    ]
}

pub(super) fn to_move() -> Attempt {
    Attempt::of("another CPU", sched_getaffinity(None).and_then(|set| sched_setaffinity(None, &set)))
}

pub(super) fn to_fork() -> Attempt {
    Attempt::of("another process", fork())
}

pub(super) fn to_hoard() -> Attempt {
    let mut hoard: Vec<u8> = Vec::new();
    let taken = hoard.try_reserve_exact(HOARD).map_err(|_| Errno::NOMEM);
    // Keeps the compiler from removing the allocation.
    std::hint::black_box(&hoard);
    Attempt::of("more memory", taken)
}

fn errno(cause: &std::io::Error) -> Errno {
    Errno::from_io_error(cause).unwrap_or(Errno::IO)
}

fn last_errno() -> Errno {
    errno(&std::io::Error::last_os_error())
}

fn fork() -> Result<(), Errno> {
    // SAFETY: the new process does nothing except end. rustix offers no fork, and the library's Command may use
    // calls that are refused for other reasons.
    match unsafe { libc::fork() } {
        // SAFETY: ends the new process at once, without any code that runs at exit.
        0 => unsafe { libc::_exit(0) },
        -1 => Err(last_errno()),
        child => {
            // SAFETY: waits for a child of this process, and requests no status.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            Ok(())
        }
    }
}

fn execute() -> Result<(), Errno> {
    let nothing = [std::ptr::null()];
    // SAFETY: a path and two empty lists, each correctly terminated. No program has this path, so this process
    // continues even if the call is allowed.
    unsafe { libc::execve(c"/nonexistent".as_ptr(), nothing.as_ptr(), nothing.as_ptr()) };
    Err(last_errno())
}

fn trace() -> Result<(), Errno> {
    let nobody = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call names a process that cannot exist. It names no memory and changes nothing, even if it is
    // allowed.
    match unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, libc::pid_t::MAX, nobody, nobody) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

fn executable_memory() -> Result<(), Errno> {
    const SIZE: usize = 4096;
    let protection = ProtFlags::READ | ProtFlags::EXEC;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let made = unsafe { mmap_anonymous(std::ptr::null_mut(), SIZE, protection, MapFlags::PRIVATE) }?;
    // SAFETY: the mapping that was just made, which has no other user.
    unsafe { munmap(made, SIZE) }
}
