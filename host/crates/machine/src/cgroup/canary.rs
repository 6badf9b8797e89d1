use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};

use super::super::cpu_lease::Hold;
use super::branch::Branch;
use super::claim::Claim;
use super::control::{Control, Controls};
use super::forked::{self, Ended};
use super::limits::Quota;
use super::mounts::Version;
use super::{CgroupError, Controller, bounds, empty};

/// Prefix of a canary's group. No folder made from a user's name begins with `~`.
pub(super) const CANARY: &str = "~canary-";

/// The canary's limits: enough for a copy of this process that writes two short answers.
const MEMORY: u64 = 64 << 20;
const PIDS: u64 = 16;
const SHARE: u64 = 5_000;

/// Tries every hierarchy. Returns the hierarchies in which a process could be started in a group, and the
/// controllers that can be limited.
pub(super) fn send(branches: Vec<Branch>) -> (Vec<Branch>, Controls) {
    let now = clock_gettime(ClockId::Boottime);
    let name = format!("{CANARY}{}-{}-{:09}", gettid().as_raw_nonzero(), now.tv_sec, now.tv_nsec);
    let mut cages: Vec<Cage> = branches.into_iter().map(|branch| Cage::build(branch, &name)).collect();
    fly(&mut cages, &name);
    for cage in &mut cages {
        cage.take_down();
    }
    let controls = Controls::each(|controller| verdict(&cages, controller));
    let usable = cages.into_iter().filter(|cage| cage.fault.is_none()).map(|cage| cage.branch).collect();
    (usable, controls)
}

/// The canary's group in one hierarchy.
struct Cage {
    branch: Branch,
    group: PathBuf,
    /// Keeps other processes from removing the group.
    claim: Option<Claim>,
    /// The reason why this hierarchy cannot be used at all.
    fault: Option<CgroupError>,
    /// Controllers of the hierarchy whose limits do not hold.
    silent: Vec<(Controller, CgroupError)>,
}

impl Cage {
    fn build(branch: Branch, name: &str) -> Self {
        let group = branch.slice.join(name);
        let mut cage = Self { branch, group, claim: None, fault: None, silent: Vec::new() };
        match cage.furnish() {
            Ok(silent) => cage.silent = silent,
            Err(error) => cage.fault = Some(error),
        }
        cage
    }

    fn furnish(&mut self) -> Result<Vec<(Controller, CgroupError)>, CgroupError> {
        let mut silent = self.branch.prepare()?;
        // No other process uses a group of this name, but a sweep may hold it for a moment before this claim.
        // The claim waits for that.
        self.claim = Claim::make(&self.group, Hold::Together)?;
        if self.claim.is_none() {
            return Err(CgroupError::InUse { path: self.group.clone() });
        }
        self.branch.furnish(&self.group)?;
        let refused: Vec<Controller> = silent.iter().map(|(controller, _)| *controller).collect();
        for controller in self.branch.controllers.iter().filter(|controller| !refused.contains(controller)) {
            if let Err(error) = limit(&self.branch, &self.group, *controller) {
                silent.push((*controller, error));
            }
        }
        Ok(silent)
    }

    fn take_down(&mut self) {
        if self.claim.is_some()
            && let Err(error) = empty::remove_trees(std::slice::from_ref(&self.group))
        {
            self.fault.get_or_insert(error);
        }
    }
}

/// Writes a limit and reads it back.
fn limit(branch: &Branch, group: &Path, controller: Controller) -> Result<(), CgroupError> {
    match controller {
        Controller::Memory => bounds::memory(branch.version, group, MEMORY, true),
        Controller::Cpu => bounds::cpu(branch.version, group, Quota::new(SHARE)?),
        Controller::Pids => bounds::pids(group, PIDS),
        Controller::Cpuset => match bounds::cpus_of(branch.version, &branch.slice) {
            Some(cpus) => bounds::cpuset(group, &cpus),
            None => Err(CgroupError::Strange {
                path: branch.slice.clone(),
                wanted: "a group with CPUs",
                found: "no CPUs".to_owned(),
            }),
        },
    }
}

/// The canary's result for one controller.
fn verdict(cages: &[Cage], controller: Controller) -> Control {
    let Some(cage) = cages.iter().find(|cage| cage.branch.controllers.contains(&controller)) else {
        // If there is a v2 hierarchy, the group above this process keeps the controller.
        let above = cages.iter().find(|cage| cage.branch.version == Version::V2);
        return match above {
            Some(cage) if !cage.branch.is_at_the_root() => Control::fails(
                cage.branch.mechanism(controller),
                format!("the cgroup {} was not given the controller {controller}", cage.branch.base.display()),
                Some(handed_down_by(cage, controller)),
            ),
            _ => Control::fails(
                format!("cgroup {controller}"),
                format!("no mounted cgroup hierarchy carries the controller {controller}"),
                Some("mount /sys/fs/cgroup, and boot a kernel that has it".to_owned()),
            ),
        };
    };
    let mechanism = cage.branch.mechanism(controller);
    let error = cage.silent.iter().find_map(|(silent, error)| (*silent == controller).then_some(error));
    match error.or(cage.fault.as_ref()) {
        None => Control::works(mechanism),
        Some(error) => Control::fails(mechanism, error.in_full(), hint(cages, error)),
    }
}

/// Advice if the group above keeps a controller on v2.
fn handed_down_by(cage: &Cage, controller: Controller) -> String {
    let above = cage.branch.base.parent().unwrap_or(&cage.branch.base).join("cgroup.subtree_control");
    format!(
        "let the group above hand it down: Delegate=yes in the unit \
         (for a user's own, `systemctl edit user@.service` with \
         `Delegate=cpu cpuset memory pids` under [Service]), or, as root, echo +{controller} > {}",
        above.display()
    )
}

/// Advice for an error. v1 has no scopes to delegate, only folders; all folders without access are named at
/// once.
fn hint(cages: &[Cage], error: &CgroupError) -> Option<String> {
    let refused: Vec<String> = cages
        .iter()
        .filter(|cage| cage.branch.version == Version::V1 && cage.fault.as_ref().is_some_and(is_denied))
        .map(|cage| cage.branch.slice.display().to_string())
        .collect();
    if refused.is_empty() || !is_denied(error) {
        return error.hint().map(str::to_owned);
    }
    let (slices, user) = (refused.join(" "), geteuid().as_raw());
    Some(format!("run as root, or once, as root: mkdir -p {slices} && chown -R {user} {slices}"))
}

fn is_denied(error: &CgroupError) -> bool {
    match error {
        CgroupError::Make { cause, .. } | CgroupError::Write { cause, .. } => {
            cause.kind() == io::ErrorKind::PermissionDenied
        }
        _ => false,
    }
}

/// Starts a process in all groups at once, and lets it report its groups.
fn fly(cages: &mut [Cage], name: &str) {
    let mut doors = Vec::new();
    for cage in cages.iter_mut().filter(|cage| cage.fault.is_none()) {
        match open_door(&cage.group) {
            Ok(door) => doors.push(door),
            Err(error) => cage.fault = Some(error),
        }
    }
    let answer = start(doors);
    let mut entered = match &answer {
        Ok(answer) => answer.entered.iter(),
        Err(_) => [].iter(),
    };
    for cage in cages.iter_mut().filter(|cage| cage.fault.is_none()) {
        let path = cage.group.join("cgroup.procs");
        cage.fault = match (&answer, entered.next()) {
            (Err(cause), _) => Some(CgroupError::Write {
                path,
                value: "0".to_owned(),
                cause: io::Error::new(cause.kind(), cause.to_string()),
            }),
            (Ok(_), Some(Some(errno))) => {
                Some(CgroupError::Write { path, value: "0".to_owned(), cause: io::Error::from(*errno) })
            }
            (Ok(answer), _) if !answer.is_in(&cage.branch.line, name) => Some(CgroupError::Strange {
                path,
                wanted: "where the canary says it is",
                found: answer.memberships.clone(),
            }),
            _ => None,
        };
    }
}

/// Opens `cgroup.procs` of a group, for a child to enter by.
pub(super) fn open_door(group: &Path) -> Result<OwnedFd, CgroupError> {
    let path = group.join("cgroup.procs");
    match OpenOptions::new().write(true).open(&path) {
        Ok(file) => Ok(OwnedFd::from(file)),
        Err(cause) => Err(CgroupError::Write { path, value: "0".to_owned(), cause }),
    }
}

/// The canary's report.
struct Answer {
    /// For each descriptor, the kernel's error on entering, if any.
    entered: Vec<Option<Errno>>,
    /// The canary's /proc/self/cgroup.
    memberships: String,
}

impl Answer {
    fn is_in(&self, line: &str, name: &str) -> bool {
        self.memberships
            .lines()
            .any(|own| own.strip_prefix(line).is_some_and(|path| path.ends_with(&format!("/{name}"))))
    }
}

/// Starts a copy of this process that enters by every descriptor and reports the results and its own groups.
fn start(doors: Vec<OwnedFd>) -> io::Result<Answer> {
    let count = doors.len();
    let (reader, writer) = io::pipe()?;
    let sing = move || tell(&doors, &writer).err().unwrap_or(Errno::CANCELED);
    // SAFETY: `tell` only makes the system calls write, openat and read, on descriptors and a stack buffer
    // that it owns. It takes no lock and allocates nothing.
    match unsafe { forked::run(sing) }? {
        // If the canary was killed, its report so far shows how far it came.
        Ended::Said(Errno::CANCELED) | Ended::Killed(_) => hear(reader, count),
        Ended::Said(errno) => Err(io::Error::from(errno)),
    }
}

/// The canary's work, in the child.
fn tell(doors: &[OwnedFd], writer: &PipeWriter) -> Result<(), Errno> {
    for door in doors {
        let errno = rustix::io::write(door, b"0").err().map_or(0, Errno::raw_os_error);
        rustix::io::write(writer, &errno.to_ne_bytes())?;
    }
    let own = openat(CWD, c"/proc/self/cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0_u8; 4096];
    loop {
        let length = rustix::io::read(&own, &mut text)?;
        match text.get(..length) {
            Some(part) if length > 0 => rustix::io::write(writer, part)?,
            _ => return Ok(()),
        };
    }
}

/// Reads the report. The child has ended, and its report is in the pipe, which is large enough for it.
fn hear(mut reader: PipeReader, count: usize) -> io::Result<Answer> {
    rustix::io::ioctl_fionbio(reader.as_fd(), true)?;
    let mut text = Vec::new();
    match reader.read_to_end(&mut text) {
        // A child of another thread may still hold the pipe's write end.
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
        Err(cause) => return Err(cause),
    }
    let (codes, memberships) = text.split_at_checked(count * size_of::<i32>()).unwrap_or_default();
    let (codes, _) = codes.as_chunks();
    let code =
        |bytes: &[u8; 4]| Some(i32::from_ne_bytes(*bytes)).filter(|code| *code != 0).map(Errno::from_raw_os_error);
    Ok(Answer {
        entered: codes.iter().map(code).collect(),
        memberships: String::from_utf8_lossy(memberships).into_owned(),
    })
}
