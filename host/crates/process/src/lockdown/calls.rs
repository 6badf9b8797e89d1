//! The system calls of a running guest. A comment at each group says why guests need it.

use libc::{self as c, c_long};

use super::call_pattern::{Test, Way};

/// The process, and the rights that are granted to its guests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    pub process: u32,
    pub files: bool,
    pub writes: bool,
    pub tcp: bool,
    pub compiles: bool,
    pub drives: bool,
}

/// Allowed with any arguments: these calls reach nothing that the process does not already hold.
const ALWAYS: &[c_long] = &[
    // Descriptors that it already has: rings, eventfds, standard streams, memory images.
    c::SYS_read,
    c::SYS_readv,
    c::SYS_write,
    c::SYS_writev,
    c::SYS_close,
    c::SYS_lseek,
    c::SYS_fstat,
    c::SYS_ftruncate,
    // Waiting and waking: locks, condition variables, eventfds, and the async runtime below WASI's polls.
    c::SYS_futex,
    c::SYS_ppoll,
    c::SYS_epoll_create1,
    c::SYS_epoll_ctl,
    c::SYS_epoll_pwait,
    c::SYS_eventfd2,
    c::SYS_nanosleep,
    c::SYS_clock_nanosleep,
    c::SYS_restart_syscall,
    c::SYS_sched_yield,
    // Clocks, for machines whose vDSO has none; the CPU time of lanes.
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_gettimeofday,
    c::SYS_getrusage,
    // Memory: the allocator, linear memories and their copy-on-write images. The rules for mapping are further
    // below.
    c::SYS_brk,
    c::SYS_munmap,
    c::SYS_mremap,
    c::SYS_madvise,
    c::SYS_memfd_create,
    c::SYS_membarrier,
    // Threads: exit and identity. The rule for creating threads is further below.
    c::SYS_set_robust_list,
    c::SYS_rseq,
    c::SYS_gettid,
    c::SYS_getpid,
    c::SYS_getcpu,
    c::SYS_sched_getaffinity,
    c::SYS_exit,
    c::SYS_exit_group,
    // Signals to itself: traps of guests are signals.
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_sigaltstack,
    c::SYS_getrandom,
    // Reading back the dropped capabilities.
    c::SYS_capget,
];

#[cfg(target_arch = "x86_64")]
const ALWAYS_HERE: &[c_long] = &[c::SYS_poll, c::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_HERE: &[c_long] = &[];

/// Calls that WASI needs for files in folders granted for reading. Landlock limits opening to the granted
/// folders, but it does not hide the existence and the size of other files.
const FILES: &[c_long] = &[
    c::SYS_openat,
    c::SYS_openat2,
    c::SYS_newfstatat,
    c::SYS_statx,
    c::SYS_readlinkat,
    c::SYS_getdents64,
    c::SYS_pread64,
    c::SYS_preadv,
    c::SYS_preadv2,
    c::SYS_fadvise64,
];

/// Further calls for folders granted for writing.
const WRITES: &[c_long] = &[
    c::SYS_pwrite64,
    c::SYS_pwritev,
    // Appending to a file.
    c::SYS_pwritev2,
    c::SYS_fsync,
    c::SYS_fdatasync,
    c::SYS_fallocate,
    c::SYS_mkdirat,
    c::SYS_unlinkat,
    c::SYS_renameat2,
    c::SYS_linkat,
    c::SYS_symlinkat,
    c::SYS_utimensat,
];

#[cfg(target_arch = "x86_64")]
const WRITES_HERE: &[c_long] = &[c::SYS_renameat];
#[cfg(not(target_arch = "x86_64"))]
const WRITES_HERE: &[c_long] = &[];

/// Calls that WASI's TCP clients need on an existing socket. The rule for creating a socket is further below.
const TCP: &[c_long] = &[
    c::SYS_connect,
    c::SYS_bind,
    c::SYS_getsockname,
    c::SYS_getpeername,
    c::SYS_getsockopt,
    c::SYS_setsockopt,
    c::SYS_sendto,
    c::SYS_recvfrom,
    c::SYS_shutdown,
];

/// Calls that no driver needs and that are refused to a process that drives a device: calls that start
/// programs, inspect other processes or change the system as a whole.
const NOT_TO_DRIVE: &[c_long] = &[
    c::SYS_execve,
    c::SYS_execveat,
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_pidfd_open,
    c::SYS_pidfd_getfd,
    c::SYS_pidfd_send_signal,
    c::SYS_kill,
    c::SYS_tkill,
    c::SYS_rt_sigqueueinfo,
    c::SYS_rt_tgsigqueueinfo,
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_move_mount,
    c::SYS_open_tree,
    c::SYS_fsopen,
    c::SYS_fsmount,
    c::SYS_pivot_root,
    c::SYS_chroot,
    c::SYS_unshare,
    c::SYS_setns,
    c::SYS_bpf,
    c::SYS_perf_event_open,
    c::SYS_userfaultfd,
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    c::SYS_keyctl,
    c::SYS_add_key,
    c::SYS_request_key,
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_kexec_load,
    c::SYS_kexec_file_load,
    c::SYS_reboot,
    c::SYS_swapon,
    c::SYS_swapoff,
    c::SYS_sethostname,
    c::SYS_setdomainname,
    c::SYS_settimeofday,
    c::SYS_clock_settime,
    c::SYS_acct,
    c::SYS_quotactl,
];

#[cfg(target_arch = "x86_64")]
const NOT_TO_DRIVE_HERE: &[c_long] = &[c::SYS_fork, c::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const NOT_TO_DRIVE_HERE: &[c_long] = &[];

/// Every call that is refused to a process that drives a device, with the argument patterns that are refused.
pub(super) fn refused_to_drive(process: u32) -> Vec<(c_long, Vec<Way>)> {
    let mut refused: Vec<(c_long, Vec<Way>)> =
        NOT_TO_DRIVE.iter().chain(NOT_TO_DRIVE_HERE).map(|&number| (number, vec![])).collect();
    let thread = bits(c::CLONE_THREAD);
    let vm = bits(c::CLONE_VM | c::CLONE_VFORK);
    refused.push((
        c::SYS_clone,
        vec![vec![(0, Test::Bits { of: thread, are: 0 })], vec![(0, Test::Bits { of: vm, are: vm })]],
    ));
    // Only local sockets are allowed.
    let families = [c::AF_INET, c::AF_INET6, c::AF_NETLINK, c::AF_PACKET, c::AF_VSOCK, c::AF_ALG];
    refused.push((c::SYS_socket, families.map(|family| vec![(0, Test::Is(bits(family)))]).into()));
    refused.push((c::SYS_tgkill, vec![vec![(0, Test::IsNot(u64::from(process)))]]));
    refused
}

/// The only allowed `clone` flags: those with which glibc (2.3 and later) and musl create a thread of this
/// process.
const THREADS: [u64; 2] = [0x3d_0f00, 0x7d_0f00];

/// Every call that is allowed, with the argument patterns that are allowed.
pub(super) fn allowed(calls: &Calls) -> Vec<(c_long, Vec<Way>)> {
    let groups = [
        (true, ALWAYS),
        (true, ALWAYS_HERE),
        (calls.files, FILES),
        (calls.writes, WRITES),
        (calls.writes, WRITES_HERE),
        (calls.tcp, TCP),
    ];
    let plain = groups.into_iter().filter(|(granted, _)| *granted).flat_map(|(_, group)| group);
    let mut allowed: Vec<(c_long, Vec<Way>)> = plain.map(|&number| (number, vec![])).collect();
    allowed.extend(mapping(calls.compiles));
    allowed.extend(bounded(calls.process));
    if calls.tcp {
        allowed.extend(sockets());
    }
    allowed
}

/// Memory may be mapped and its protection changed, but it must not become executable. A process that compiles
/// may make executable memory, but only private memory.
fn mapping(compiles: bool) -> [(c_long, Vec<Way>); 3] {
    let not_executable = || vec![vec![(2, Test::Bits { of: bits(c::PROT_EXEC), are: 0 })]];
    if !compiles {
        return [(c::SYS_mmap, not_executable()), (c::SYS_mprotect, not_executable()), (c::SYS_mremap, vec![])];
    }
    let private = vec![vec![(3, Test::Bits { of: bits(c::MAP_TYPE), are: bits(c::MAP_PRIVATE) })]];
    // For the filter that `forbid_new_code` adds.
    [(c::SYS_mmap, private), (c::SYS_mprotect, vec![]), (c::SYS_seccomp, vec![])]
}

/// Calls with many functions, of which only a few are allowed.
fn bounded(process: u32) -> Vec<(c_long, Vec<Way>)> {
    let first = |numbers: &[u64]| numbers.iter().map(|&number| vec![(0, Test::Is(number))]).collect();
    let second = |numbers: &[c::c_int]| numbers.iter().map(|&number| vec![(1, Test::Is(bits(number)))]).collect();
    let prctl = [
        c::PR_SET_NAME,
        c::PR_GET_NAME,
        c::PR_SET_VMA,
        c::PR_GET_NO_NEW_PRIVS,
        c::PR_SET_NO_NEW_PRIVS,
        c::PR_GET_SECCOMP,
        c::PR_CAPBSET_READ,
        c::PR_GET_DUMPABLE,
    ];
    vec![
        (c::SYS_clone, THREADS.map(|flags| vec![(0, Test::IsWhole(flags))]).into()),
        // The `abort` of a thread.
        (c::SYS_tgkill, first(&[u64::from(process)])),
        (c::SYS_prctl, first(&prctl.map(bits))),
        // `F_SETOWN` and `F_SETSIG` are not allowed: with them a descriptor could send signals to any process.
        (
            c::SYS_fcntl,
            second(&[
                c::F_GETFD,
                c::F_SETFD,
                c::F_GETFL,
                c::F_SETFL,
                c::F_DUPFD_CLOEXEC,
                c::F_ADD_SEALS,
                c::F_GET_SEALS,
            ]),
        ),
        // Reading its own limits: libc asks for its stack size.
        (c::SYS_prlimit64, vec![vec![(0, Test::Is(0)), (2, Test::IsWhole(0))]]),
    ]
}

/// TCP over IP, and non-blocking sockets.
fn sockets() -> [(c_long, Vec<Way>); 2] {
    let kinds = bits(c::SOCK_NONBLOCK | c::SOCK_CLOEXEC);
    let stream = |family| {
        vec![(0, Test::Is(bits(family))), (1, Test::Bits { of: !kinds & 0xffff_ffff, are: bits(c::SOCK_STREAM) })]
    };
    [
        (c::SYS_socket, vec![stream(c::AF_INET), stream(c::AF_INET6)]),
        (c::SYS_ioctl, vec![vec![(1, Test::Is(c::FIONBIO & 0xffff_ffff))]]),
    ]
}

fn bits(number: c::c_int) -> u64 {
    u64::from(number.cast_unsigned())
}
