use rustix::process::{Gid, Uid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{CapabilitySet, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::capabilities;
use super::error::LockdownError;

/// The user that a process of root's becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprivilegedUser {
    /// Number of the user, not 0.
    pub user: u32,
    /// Number of its group, not 0.
    pub group: u32,
    /// Further groups. The process leaves all others.
    pub groups: Vec<u32>,
}

impl UnprivilegedUser {
    /// Whether this process is root with the capabilities that [`UnprivilegedUser::assume`] and the steps before it
    /// need.
    #[must_use]
    pub fn may_be_assumed() -> bool {
        let needed = CapabilitySet::SETUID
            | CapabilitySet::SETGID
            | CapabilitySet::SETPCAP
            | CapabilitySet::CHOWN
            | CapabilitySet::FOWNER
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::KILL;
        geteuid().is_root() && rustix::thread::capabilities(None).is_ok_and(|held| held.effective.contains(needed))
    }

    /// Makes this process one of the user's, for good: without capabilities, without new privileges by running a
    /// program, and hidden from other processes of the same user. The process must be root's and have no other thread.
    ///
    /// # Errors
    /// There are other threads; the user or a group is root's; the kernel refuses a step or does not hold to it. The
    /// process must then end.
    pub fn assume(&self) -> Result<(), LockdownError> {
        let count = std::fs::read_dir("/proc/self/task").map_err(LockdownError::step("count its threads"))?.count();
        if count != 1 {
            return Err(LockdownError::ThreadsRunning { count });
        }
        if self.user == 0 || self.group == 0 || self.groups.contains(&0) {
            return Err(LockdownError::NotHolding { what: "is root, or in its group".to_owned() });
        }
        let groups: Vec<Gid> = self.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        // The calls are those of a thread, and this is the only one.
        set_thread_groups(&groups).map_err(LockdownError::step("leave its groups"))?;
        set_thread_res_gid(group, group, group).map_err(LockdownError::step("change its group"))?;
        capabilities::bound_to_none()?;
        set_thread_res_uid(user, user, user).map_err(LockdownError::step("change its user"))?;
        capabilities::drop_all()?;
        let mut own = getgroups().map_err(LockdownError::step("read its groups"))?;
        let mut wanted = groups;
        own.sort_by_key(|group| group.as_raw());
        wanted.sort_by_key(|group| group.as_raw());
        let holds = getuid() == user && getgid() == group && own == wanted && capabilities::all_dropped()?;
        if holds { Ok(()) } else { Err(LockdownError::NotHolding { what: "has rights of root".to_owned() }) }
    }
}
