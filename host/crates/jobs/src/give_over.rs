use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::Path;

use crate::error::{JobError, failed};
use crate::{JobFolder, OrderUser};

/// What a process of another user does in the folder of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveFor {
    /// It checks a revision, and writes the result beside it.
    Check,
    /// It runs an attempt, and writes its status, its end and its log.
    Attempt,
}

impl JobFolder {
    /// Opens the folder of a job to the user of its processes. Only root can do this, and it comes after
    /// [`begin`](crate::begin).
    ///
    /// The user makes files of its own, and cannot change, rename or remove those of the server: the folders belong to
    /// root and are sticky. Other users reach nothing.
    ///
    /// # Errors
    /// The owner or mode of something cannot be changed.
    pub fn give_to(&self, user: OrderUser, revision: u32, what: GiveFor) -> Result<(), JobError> {
        let group = user.group;
        let of_revision = self.revision(revision);
        // What an earlier attempt wrote as root.
        if what == GiveFor::Attempt {
            for path in [self.status(), self.end()] {
                give_file(&path, user)?;
            }
            give_folder(&self.logs(), user)?;
        }
        open_to(&of_revision.join("pipeline.toml"), group, 0o640)?;
        open_to(&of_revision, group, 0o1770)?;
        if let Some(revisions) = of_revision.parent() {
            open_to(revisions, group, 0o750)?;
        }
        let mode = fs::metadata(self.path()).map_err(failed("read", self.path()))?.permissions().mode() & 0o7777;
        match what {
            GiveFor::Attempt => open_to(self.path(), group, 0o1770),
            GiveFor::Check if mode == 0o1770 => Ok(()),
            GiveFor::Check => open_to(self.path(), group, 0o750),
        }
    }
}

/// Opens something of root's to a group.
fn open_to(path: &Path, group: u32, mode: u32) -> Result<(), JobError> {
    chown(path, None, Some(group)).map_err(failed("open", path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("open", path))
}

fn is_roots(found: &io::Result<Metadata>) -> bool {
    // Root never has a second name for a file here.
    found.as_ref().is_ok_and(|found| found.uid() == 0 && (found.is_dir() || (found.is_file() && found.nlink() == 1)))
}

fn give_file(path: &Path, user: OrderUser) -> Result<(), JobError> {
    if !is_roots(&fs::symlink_metadata(path)) {
        return Ok(());
    }
    lchown(path, Some(user.user), Some(user.group)).map_err(failed("give away", path))
}

fn give_folder(path: &Path, user: OrderUser) -> Result<(), JobError> {
    if !is_roots(&fs::symlink_metadata(path)) {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(failed("read", path))?;
    for entry in entries.filter_map(Result::ok) {
        give_file(&entry.path(), user)?;
    }
    give_file(path, user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_server_stay_its_own_and_those_of_the_job_become_its_users() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: only root gives files away");
        }
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::new(root.path().join("job"));
        fs::create_dir_all(folder.revision(1)).unwrap();
        fs::create_dir(folder.logs()).unwrap();
        let log = folder.logs().join("0001.jsonl");
        let pipeline = folder.revision(1).join("pipeline.toml");
        for path in [folder.order(), folder.status(), log.clone(), pipeline.clone()] {
            fs::write(&path, "{}").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        let user = OrderUser { user: 60_001, group: 60_002 };
        let of = |path: &Path| {
            let found = fs::symlink_metadata(path).unwrap();
            (found.uid(), found.gid(), found.mode() & 0o7777)
        };
        folder.give_to(user, 1, GiveFor::Check).unwrap();
        assert_eq!(of(folder.path()), (0, 60_002, 0o750));
        assert_eq!(of(&folder.revision(1)), (0, 60_002, 0o1770));
        assert_eq!(of(&pipeline), (0, 60_002, 0o640));
        assert_eq!(of(&folder.status()).0, 0);
        for _ in 0..2 {
            folder.give_to(user, 1, GiveFor::Attempt).unwrap();
            assert_eq!(of(folder.path()), (0, 60_002, 0o1770));
            for path in [folder.status(), log.clone(), folder.logs()] {
                assert_eq!(of(&path).0, 60_001, "{}", path.display());
            }
            assert_eq!((of(&folder.order()).0, of(&folder.order()).2), (0, 0o600));
        }
        // The next check does not take back what an attempt has.
        folder.give_to(user, 1, GiveFor::Check).unwrap();
        assert_eq!(of(folder.path()).2, 0o1770);
    }

    #[test]
    fn a_link_that_a_job_made_is_not_given_away() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: only root gives files away");
        }
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::new(root.path().join("job"));
        fs::create_dir_all(folder.revision(1)).unwrap();
        fs::write(folder.revision(1).join("pipeline.toml"), "").unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("0001.jsonl"), "").unwrap();
        std::os::unix::fs::symlink(&outside, folder.logs()).unwrap();
        std::os::unix::fs::symlink(outside.join("0001.jsonl"), folder.status()).unwrap();
        folder.give_to(OrderUser { user: 60_001, group: 60_001 }, 1, GiveFor::Attempt).unwrap();
        for path in [&outside, &outside.join("0001.jsonl")] {
            assert_eq!(fs::metadata(path).unwrap().uid(), 0);
        }
    }
}
