use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use sage_jobs::{GiveFor, JobFolder, JobOrder, OrderUser};
use sage_machine::cgroup::{Delegation, GroupLimits};
use sage_plan::SecretText;
use sage_plan::config::HostSettings;
use sage_process::lockdown::UnprivilegedUser;

use super::fence::fence;
use super::order_options::options;
use super::secret_values::secret_values;
use crate::ExitCode;
use crate::failure::Failure;
use crate::refusal::of_job;

/// What holds the process of a tenant's job apart from everything else. The owner's jobs are not confined.
#[derive(Debug, Default)]
pub(super) struct Confined {
    /// The part of the control groups that belongs to the user of the job.
    delegation: Option<Delegation>,
    /// The secrets that the pipeline may use.
    secrets: BTreeMap<String, SecretText>,
}

impl Confined {
    /// Confines this process, and all that it starts, to what its tenant was granted: a user of its own, if the order
    /// names one, and a fence of landlock. The process must have no other thread yet.
    ///
    /// Everything that only root can do is done before. From here on the process is not root's any more, and the
    /// pipeline, the data and the components are read by the user.
    pub(super) fn become_one(order: &JobOrder, folder: &JobFolder, what: GiveFor) -> Result<Self, Failure> {
        let mut confined = Self { secrets: secret_values(order), delegation: None };
        if order.tenant.is_none() {
            return Ok(confined);
        }
        let user = order.user.map(|user| confined.hand_over(order, folder, what, user)).transpose()?;
        fence(order, folder, confined.slice())?.raise().map_err(|error| {
            Failure::of(ExitCode::Refused, &error).hint(
                "jobs of tenants need landlock with TCP (Linux 6.7); `sage-host doctor` says what this kernel has",
            )
        })?;
        if let Some(user) = user {
            user.assume().map_err(|error| {
                Failure::of(ExitCode::Refused, &error)
                    .hint("the server must be root with all its capabilities, or have users = \"server\" in [serve]")
            })?;
            reach(order, folder, user.user)?;
        }
        Ok(confined)
    }

    /// The slice of the job, if it is not that of the host file.
    pub(super) fn slice(&self) -> Option<&str> {
        self.delegation.as_ref().map(Delegation::slice)
    }

    /// The secrets that the pipeline may use.
    pub(super) fn secrets(&self) -> &BTreeMap<String, SecretText> {
        &self.secrets
    }

    /// Gives the user of the job what it needs and nothing else.
    fn hand_over(
        &mut self,
        order: &JobOrder,
        folder: &JobFolder,
        what: GiveFor,
        user: OrderUser,
    ) -> Result<UnprivilegedUser, Failure> {
        let refused = |error: &dyn std::error::Error| Failure::of(ExitCode::Refused, error);
        let options = options(order, None)?;
        let settings = options.host_settings().map_err(|error| of_job(&error))?;
        folder.give_to(user, order.revision, what).map_err(|error| refused(&error))?;
        give_data(&order.data, user).map_err(|error| cannot("give away", &order.data, &error))?;
        if let Some(cache) = &order.cache {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(cache).and_then(|()| give(cache, user));
            made.map_err(|error| cannot("give away", cache, &error))?;
        }
        let tenant = options.tenant.as_str();
        let delegated = Delegation::make(&settings.slice, tenant, (user.user, user.group), &ceiling(&settings, order));
        let held = delegated
            .map_err(|error| refused(&error).hint("`sage-host doctor` says which limits this machine can enforce"));
        self.delegation = Some(held?);
        let leases = options.lease_folder(&settings).map_err(|error| refused(&error))?;
        let shared = leases.open_to_jobs().map_err(|error| refused(&error))?;
        let groups = if shared { vec![settings.serve.uids.group_of_jobs()] } else { Vec::new() };
        Ok(UnprivilegedUser { user: user.user, group: user.group, groups })
    }
}

/// The limits of all jobs of the tenant together. The user of the job cannot change them.
fn ceiling(settings: &HostSettings, order: &JobOrder) -> GroupLimits {
    let tenant = order.tenant.as_ref().and_then(|tenant| tenant.parse().ok());
    let ceiling = tenant.and_then(|tenant| settings.tenants.get(&tenant));
    GroupLimits {
        memory_max: ceiling.and_then(|ceiling| ceiling.memory),
        cpu_quota: ceiling.and_then(|ceiling| ceiling.cpus),
        ..GroupLimits::default()
    }
}

/// Gives the tenant's folder to its user, with what jobs wrote there as root before.
fn give_data(folder: &Path, user: OrderUser) -> io::Result<()> {
    if fs::symlink_metadata(folder)?.uid() != 0 {
        return Ok(());
    }
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    for path in found {
        let metadata = fs::symlink_metadata(&path)?;
        // A file with a second name may be somebody else's.
        if metadata.uid() == 0 && (!metadata.is_file() || metadata.nlink() == 1) {
            lchown(&path, Some(user.user), Some(user.group))?;
        }
    }
    // The folder itself is last, so that this is done again if it was not done whole.
    give(folder, user)
}

fn give(folder: &Path, user: OrderUser) -> io::Result<()> {
    lchown(folder, Some(user.user), Some(user.group))
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(ExitCode::Refused, format!("cannot {action} {}: {error}", path.display()))
}

/// Checks that the user reaches what it was granted, so that the error says who lacks what.
fn reach(order: &JobOrder, folder: &JobFolder, user: u32) -> Result<(), Failure> {
    let tenant = order.tenant.as_deref().unwrap_or_default();
    let may = |path: &Path, access: Access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    if !may(folder.path(), Access::READ_OK | Access::EXEC_OK) {
        let (shown, mode) = closed(folder.path());
        let message =
            format!("user {user} of tenant {tenant} does not reach the state folder: {shown} has mode {mode:o}");
        return Err(Failure::new(ExitCode::Refused, message).hint(
            "name a folder in /var/lib with --state, or let all users pass with chmod o+x, \
             or set users = \"server\" in [serve]",
        ));
    }
    if let Some(host_file) = order.host_file.as_deref().filter(|path| !may(path, Access::READ_OK)) {
        let message = format!("user {user} of tenant {tenant} may not read {}", host_file.display());
        return Err(Failure::new(ExitCode::Refused, message).hint("jobs read the host file: chmod o+r"));
    }
    for granted in &order.folders {
        let path = &granted.path;
        let access = if granted.write { Access::READ_OK | Access::WRITE_OK } else { Access::READ_OK };
        if path.exists() && !may(path, access | Access::EXEC_OK) {
            let verb = if granted.write { "write" } else { "read" };
            let message = format!("user {user} of tenant {tenant} may not {verb} in {}", path.display());
            let rights = if granted.write { "rwx" } else { "rx" };
            let hint = format!("setfacl -m u:{user}:{rights} {0}, or chown {user} {0}", path.display());
            return Err(Failure::new(ExitCode::Refused, message).hint(hint));
        }
    }
    Ok(())
}

/// The highest folder above a path that not everybody may pass, and its mode.
fn closed(path: &Path) -> (String, u32) {
    let mut above: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
    above.reverse();
    let mode = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o7777);
    let first = above.iter().find(|path| mode(path) & 0o001 == 0).cloned().unwrap_or_else(|| path.to_owned());
    (first.display().to_string(), mode(&first))
}
