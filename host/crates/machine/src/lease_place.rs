use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, Stat, stat};
use serde::Serialize;

use super::Tier;

/// The place of a run's leases and claims, its visibility, and whether other users can take them away. Shown
/// by `--explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeasePlace {
    /// The lease folder.
    pub folder: PathBuf,
    /// The users that see the leases.
    pub scope: LeaseScope,
    /// Strength of the promise that no other run gets the same resources.
    pub tier: Tier,
    /// The reason why the tier is not hard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The users that see the leases of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseScope {
    /// All users of the machine.
    Machine,
    /// Only processes of this user.
    User,
    /// All processes that were told to use the same folder.
    Folder,
}

impl LeaseScope {
    /// The meaning of the scope, for output.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Machine => "seen by all users of the machine",
            Self::User => "seen by this user only",
            Self::Folder => "seen by all processes that use the same folder",
        }
    }
}

impl LeasePlace {
    /// Describes a folder by its metadata. The tier is hard only if the folder belongs to root and no other
    /// user can write to it, open it and hold its locks, or replace it. The group of a server's jobs may: its members
    /// are processes of this program. `fallback` is the reason why the folder is not the machine's.
    pub(super) fn of(folder: &Path, scope: LeaseScope, found: &Stat, me: Beholder, fallback: Option<&str>) -> Self {
        let why = why_not_hard(folder, scope, found, me, fallback);
        let tier = if why.is_none() { Tier::Hard } else { Tier::Cooperative };
        Self { folder: folder.to_owned(), scope, tier, why }
    }
}

/// Who looks at a lease folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beholder {
    /// The user of this process.
    pub(super) user: u32,
    /// The group of a server's jobs.
    pub(super) group_of_jobs: Option<u32>,
}

fn why_not_hard(
    folder: &Path,
    scope: LeaseScope,
    found: &Stat,
    me: Beholder,
    fallback: Option<&str>,
) -> Option<String> {
    let mode = found.st_mode;
    let of_jobs = found.st_uid == 0 && mode & Mode::RWXO.bits() == 0 && Some(found.st_gid) == me.group_of_jobs;
    if of_jobs && mode & Mode::SVTX.bits() != 0 && scope == LeaseScope::Folder {
        return why_replaceable(folder);
    }
    let me = me.user;
    if scope == LeaseScope::User {
        let because = fallback.map(|why| format!(" ({why})")).unwrap_or_default();
        return Some(format!("runs of other users do not see it and may be given the same{because}"));
    }
    if mode & (Mode::WGRP | Mode::WOTH).bits() != 0 {
        // Without the sticky bit, another user can also replace a file, and with it the lease.
        let replace = if mode & Mode::SVTX.bits() == 0 { ", replace its files" } else { "" };
        return Some(format!("other users can write to it{replace} and hold its locks"));
    }
    if found.st_uid != 0 || me != 0 {
        return Some("it is not root's alone: runs that use another folder may be given the same".to_owned());
    }
    if mode & (Mode::RWXG | Mode::RWXO).bits() != 0 {
        return Some(format!("other users can open it and hold its locks (mode {:o})", mode & 0o7777));
    }
    why_replaceable(folder)
}

fn why_replaceable(folder: &Path) -> Option<String> {
    replaceable(folder).map(|above| format!("a user who may write to {} can replace the lease folder", above.display()))
}

/// The nearest folder above it that other users may change, if there is one.
fn replaceable(folder: &Path) -> Option<PathBuf> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let others = (Mode::WGRP | Mode::WOTH).bits();
    let is_changeable = |above: &&Path| {
        stat(*above).is_ok_and(|found| {
            found.st_uid != 0 || (found.st_mode & others != 0 && found.st_mode & Mode::SVTX.bits() == 0)
        })
    };
    folder.ancestors().skip(1).find(is_changeable).map(Path::to_owned)
}

/// `leases and claims: /run/lock/sage-host, seen by all users of the machine (cooperative: …)`.
impl fmt::Display for LeasePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, scope, tier, why } = self;
        write!(f, "leases and claims: {}, {} ({}", folder.display(), scope.meaning(), tier.name())?;
        match why {
            Some(why) => write!(f, ": {why})"),
            None => f.write_str(": it belongs to root, and no other user can open it)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_folder_of_roots_that_nobody_else_can_open_is_hard() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("leases");
        fs::create_dir(&folder).unwrap();
        let at = |mode: u32, owner: u32, scope, me| {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let mut found = stat(&folder).unwrap();
            found.st_uid = owner;
            found.st_gid = 4000;
            let me = Beholder { user: me, group_of_jobs: Some(5000) };
            LeasePlace::of(&folder, scope, &found, me, Some("no /run/lock/sage-host"))
        };
        for (mode, owner, scope, me, why) in [
            (0o1777, 0, LeaseScope::Machine, 0, "other users can write to it and hold its locks"),
            (0o1770, 0, LeaseScope::Folder, 0, "other users can write to it and hold its locks"),
            (0o777, 0, LeaseScope::Folder, 0, "other users can write to it, replace its files and hold its locks"),
            (0o755, 0, LeaseScope::Folder, 0, "other users can open it and hold its locks (mode 755)"),
            (0o750, 0, LeaseScope::Folder, 0, "other users can open it and hold its locks (mode 750)"),
            (0o711, 0, LeaseScope::Folder, 0, "other users can open it and hold its locks (mode 711)"),
            (
                0o700,
                7,
                LeaseScope::Folder,
                0,
                "it is not root's alone: runs that use another folder may be given the same",
            ),
            (
                0o700,
                7,
                LeaseScope::Folder,
                7,
                "it is not root's alone: runs that use another folder may be given the same",
            ),
            (
                0o700,
                0,
                LeaseScope::User,
                0,
                "runs of other users do not see it and may be given the same (no /run/lock/sage-host)",
            ),
        ] {
            let found = at(mode, owner, scope, me);
            assert_eq!((found.tier, found.why.as_deref()), (Tier::Cooperative, Some(why)), "{mode:o} of {owner}");
        }
        if rustix::process::geteuid().is_root() {
            let hard = at(0o700, 0, LeaseScope::Folder, 0);
            assert_eq!((hard.tier, &hard.why), (Tier::Hard, &None));
            assert!(hard.to_string().ends_with("(hard: it belongs to root, and no other user can open it)"), "{hard}");
            let shared = |mode: u32, group: u32, me: u32| {
                fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
                let mut found = stat(&folder).unwrap();
                found.st_gid = group;
                let me = Beholder { user: me, group_of_jobs: Some(5000) };
                LeasePlace::of(&folder, LeaseScope::Folder, &found, me, None).tier
            };
            for (mode, group, tier) in [
                (0o3770, 5000, Tier::Hard),
                (0o3770, 5001, Tier::Cooperative),
                (0o2770, 5000, Tier::Cooperative),
                (0o3775, 5000, Tier::Cooperative),
            ] {
                assert_eq!([0, 5003].map(|me| shared(mode, group, me)), [tier, tier], "{mode:o} of group {group}");
            }
            fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
            let why = at(0o700, 0, LeaseScope::Folder, 0).why.unwrap();
            assert!(
                why.starts_with("a user who may write to ") && why.ends_with(" can replace the lease folder"),
                "{why}"
            );
        }
    }
}
