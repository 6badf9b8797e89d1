use std::ffi::c_long;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use libc as c;

/// System calls that must fail in a locked-down process, and their arguments.
pub(crate) struct Attempts {
    parent: c_long,
    /// A descriptor that the parent forgot to close on exec.
    leaked: c_long,
    page: c_long,
}

impl Attempts {
    pub(crate) fn prepare() -> Self {
        let leaked = std::fs::File::open("/").unwrap().as_raw_fd();
        // SAFETY: duplicates a descriptor, and maps a new page.
        let (leaked, page) = unsafe {
            let flags = c::MAP_PRIVATE | c::MAP_ANONYMOUS;
            (c::dup2(leaked, 40), c::mmap(null_mut(), 4096, c::PROT_READ | c::PROT_WRITE, flags, -1, 0))
        };
        Self { parent: std::os::unix::process::parent_id().into(), leaked: leaked.into(), page: page as c_long }
    }

    pub(crate) fn tell(&self) {
        let Self { parent, leaked, page } = *self;
        let path = c"/etc/passwd".as_ptr() as c_long;
        let (private, executable) =
            (c_long::from(c::MAP_PRIVATE | c::MAP_ANONYMOUS), c_long::from(c::PROT_EXEC | c::PROT_READ));
        let myself = c_long::from(std::process::id());
        let attempts: &[(&str, c_long, [c_long; 6])] = &[
            ("leaked-descriptor", c::SYS_fcntl, [leaked, c::F_GETFD.into(), 0, 0, 0, 0]),
            ("openat", c::SYS_openat, [c::AT_FDCWD.into(), path, 0, 0, 0, 0]),
            ("openat2", c::SYS_openat2, [c::AT_FDCWD.into(), path, page, 24, 0, 0]),
            ("stat", c::SYS_newfstatat, [c::AT_FDCWD.into(), path, page, 0, 0, 0]),
            ("unlink", c::SYS_unlinkat, [c::AT_FDCWD.into(), path, 0, 0, 0, 0]),
            ("socket-inet", c::SYS_socket, [c::AF_INET.into(), c::SOCK_STREAM.into(), 0, 0, 0, 0]),
            ("socket-unix", c::SYS_socket, [c::AF_UNIX.into(), c::SOCK_STREAM.into(), 0, 0, 0, 0]),
            ("socket-netlink", c::SYS_socket, [c::AF_NETLINK.into(), c::SOCK_RAW.into(), 0, 0, 0, 0]),
            ("socketpair", c::SYS_socketpair, [c::AF_UNIX.into(), c::SOCK_STREAM.into(), 0, page, 0, 0]),
            ("sendmsg", c::SYS_sendmsg, [0, page, 0, 0, 0, 0]),
            ("execve", c::SYS_execve, [c"/bin/true".as_ptr() as c_long, 0, 0, 0, 0, 0]),
            ("execveat", c::SYS_execveat, [c::AT_FDCWD.into(), c"/bin/true".as_ptr() as c_long, 0, 0, 0, 0]),
            ("ptrace", c::SYS_ptrace, [c::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0]),
            ("clone-process", c::SYS_clone, [c::SIGCHLD.into(), 0, 0, 0, 0, 0]),
            ("clone-namespace", c::SYS_clone, [0x3d_0f00 | c_long::from(c::CLONE_NEWUSER), page, 0, 0, 0, 0]),
            ("clone3", c::SYS_clone3, [page, 88, 0, 0, 0, 0]),
            ("mmap-executable", c::SYS_mmap, [0, 4096, executable, private, -1, 0]),
            ("mprotect-executable", c::SYS_mprotect, [page, 4096, executable, 0, 0, 0]),
            ("pkey-mprotect", c::SYS_pkey_mprotect, [page, 4096, executable, -1, 0, 0]),
            ("personality", c::SYS_personality, [0x0040_0000, 0, 0, 0, 0, 0]),
            ("kill-parent", c::SYS_kill, [parent, 0, 0, 0, 0, 0]),
            ("kill-self", c::SYS_kill, [myself, 0, 0, 0, 0, 0]),
            ("tgkill-parent", c::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
            ("tkill-parent", c::SYS_tkill, [parent, 0, 0, 0, 0, 0]),
            ("sigqueue-parent", c::SYS_rt_sigqueueinfo, [parent, c::SIGTERM.into(), page, 0, 0, 0]),
            ("pidfd-open", c::SYS_pidfd_open, [parent, 0, 0, 0, 0, 0]),
            ("descriptor-owner", c::SYS_fcntl, [1, c::F_SETOWN.into(), parent, 0, 0, 0]),
            ("read-parent", c::SYS_process_vm_readv, [parent, page, 1, page, 1, 0]),
            ("limit-parent", c::SYS_prlimit64, [parent, 7, 0, page, 0, 0]),
            ("raise-limit", c::SYS_prlimit64, [0, 7, page, 0, 0, 0]),
            ("affinity", c::SYS_sched_setaffinity, [0, 8, page, 0, 0, 0]),
            ("bpf", c::SYS_bpf, [0, page, 48, 0, 0, 0]),
            ("mount", c::SYS_mount, [path, path, path, 0, 0, 0]),
            ("unshare", c::SYS_unshare, [c::CLONE_NEWUSER.into(), 0, 0, 0, 0, 0]),
            ("setns", c::SYS_setns, [0, 0, 0, 0, 0, 0]),
            ("chroot", c::SYS_chroot, [c"/".as_ptr() as c_long, 0, 0, 0, 0, 0]),
            ("perf", c::SYS_perf_event_open, [page, 0, -1, -1, 0, 0]),
            ("io-uring", c::SYS_io_uring_setup, [8, page, 0, 0, 0, 0]),
            ("userfaultfd", c::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
            ("kexec", c::SYS_kexec_load, [0, 0, 0, 0, 0, 0]),
            ("keyctl", c::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
            ("shmget", c::SYS_shmget, [0, 4096, 0o1600, 0, 0, 0]),
            ("setuid", c::SYS_setuid, [1000, 0, 0, 0, 0, 0]),
            ("dumpable", c::SYS_prctl, [c::PR_SET_DUMPABLE.into(), 1, 0, 0, 0, 0]),
            ("seccomp", c::SYS_seccomp, [1, 0, page, 0, 0, 0]),
            ("landlock-ruleset", c::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0]),
            ("ioctl", c::SYS_ioctl, [1, c::TIOCSTI as c_long, page, 0, 0, 0]),
        ];
        for (name, number, [a, b, x, d, e, f]) in attempts {
            // SAFETY: if the filter is wrong, the worst of these calls end this process or fill the page that
            // it mapped.
            let result = unsafe { c::syscall(*number, *a, *b, *x, *d, *e, *f) };
            println!("{name} {}", if result == -1 { name_of(&io::Error::last_os_error()) } else { "ok".to_owned() });
        }
    }
}

/// Tries to open a file, to make a socket and to make memory executable.
pub(crate) fn in_a_thread() -> String {
    // SAFETY: maps a new page.
    let page = unsafe { c::mmap(null_mut(), 4096, c::PROT_EXEC, c::MAP_PRIVATE | c::MAP_ANONYMOUS, -1, 0) };
    let executable = if page == c::MAP_FAILED { name_of(&io::Error::last_os_error()) } else { "ok".to_owned() };
    let socket = outcome(std::os::unix::net::UnixDatagram::unbound());
    format!("open {} socket {socket} executable {executable}", outcome(std::fs::File::open("/etc/passwd")))
}

/// Writes `bytes` bytes into a file in memory.
pub(crate) fn write_memory_file(bytes: usize) {
    // SAFETY: makes a file, and writes from a buffer that is longer than the written part.
    unsafe {
        let file = c::memfd_create(c"large".as_ptr(), 0);
        let content = vec![0_u8; bytes];
        let mut written = 0;
        while written < bytes {
            let result = c::write(file, content[written..].as_ptr().cast(), bytes - written);
            if result <= 0 {
                break;
            }
            written += result.unsigned_abs();
        }
        println!("wrote {written} of {bytes}");
    }
}

pub(crate) fn outcome<T>(result: io::Result<T>) -> String {
    result.map_or_else(|error| name_of(&error), |_| "ok".to_owned())
}

fn name_of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(c::EPERM) => "EPERM".to_owned(),
        Some(c::EACCES) => "EACCES".to_owned(),
        Some(c::ENOSYS) => "ENOSYS".to_owned(),
        Some(c::EBADF) => "EBADF".to_owned(),
        _ => error.to_string(),
    }
}
