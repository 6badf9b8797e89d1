use std::fmt;
use std::sync::PoisonError;

use super::lease_locks::{file_name, read_holder, write_holder};
use super::{CpuLease, HeldClaim, HeldCpu, ResourceError};

/// A problem with a run's entries in the ledger, and the result of its repair.
///
/// A lease folder, or files in it, may be deleted or replaced during a run (by a cleaner of temporary files,
/// or by an administrator). The run's locks still exist, but no other process sees them, so the same
/// resources would be given out again. Therefore a run checks several times a second that the names still
/// lead to its files, and writes its entries again if they do not. A CPU that another run has taken in the
/// meantime is lost.
///
/// Busy locks and turns of devices are not repaired, because other processes hold them too. They are made
/// anew with the device's next process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mending {
    /// The damage.
    pub what: Damage,
    /// CPUs that other runs have taken in the meantime.
    pub lost: Vec<HeldCpu>,
}

/// The damage to a run's entries in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The folder was deleted, or another folder has its name.
    Folder,
    /// Files of the run in the folder were deleted or replaced.
    Files,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "the lease folder was deleted or replaced",
            Self::Files => "files of this run in the lease folder were deleted or replaced",
        })
    }
}

impl Mending {
    /// Checks that a run's entries are still in the ledger, and writes them again if they are not; `None` if
    /// they are. Takes a few system calls, and waits for the ledger only if there is damage.
    ///
    /// # Errors
    /// The folder's errors. The entries could not be written; the next call tries again.
    pub fn of(claim: &HeldClaim, leases: &[&CpuLease]) -> Result<Option<Self>, ResourceError> {
        let folder = claim.folder();
        let stands = |lease: &CpuLease| {
            let lock = lease.lock.lock().unwrap_or_else(PoisonError::into_inner);
            folder.is_named(&file_name(lease.cpu), lock.file())
        };
        let what = if !folder.is_there() {
            folder.reopen()?;
            Damage::Folder
        } else if claim.stands() && leases.iter().all(|lease| stands(lease)) {
            return Ok(None);
        } else {
            Damage::Files
        };
        let ledger_lock = folder.choose()?;
        let mut lost = Vec::new();
        for lease in leases.iter().filter(|lease| !stands(lease)) {
            match folder.lock_of(lease.cpu)? {
                Ok(lock) => {
                    let mut held = lease.lock.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(holder) = read_holder(held.file()) {
                        let name = file_name(lease.cpu);
                        write_holder(lock.file(), &holder).map_err(|cause| folder.failed(&name, cause))?;
                    }
                    *held = lock;
                }
                Err(taken) => lost.push(taken),
            }
        }
        if !claim.stands() {
            claim.write_anew(&ledger_lock)?;
        }
        Ok(Some(Self { what, lost }))
    }

    /// True if all entries are in the ledger again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }
}

/// The message about the repair, one line.
impl fmt::Display for Mending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            return write!(f, "{} while this run holds leases there: they are written again", self.what);
        }
        write!(f, "{} while this run holds leases there, and other runs took some in the meantime: ", self.what)?;
        for (number, taken) in self.lost.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{taken}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Amounts, Claim, CpuSet, Holder, LeaseFolder};

    /// The holdings of one run, of the CPUs 0 and 1.
    fn held(folder: &LeaseFolder) -> (HeldClaim, Vec<CpuLease>) {
        let leases = folder.lease(1, &(0..2).collect(), 0, Holder::here("p", "o", 0)).unwrap();
        let amounts = Amounts { memory: 7, ..Amounts::default() };
        let claim = Claim::here("p", "t", amounts, leases.iter().map(CpuLease::cpu).collect());
        let claim = folder.choose().unwrap().claim(claim).unwrap();
        (claim, leases)
    }

    /// The holdings that another program sees when it opens the folder now.
    fn seen(folder: &LeaseFolder) -> (Vec<u32>, u64) {
        let taken = LeaseFolder::at(folder.path()).unwrap().taken().unwrap();
        (taken.cpus.iter().map(|held| held.cpu).collect(), taken.sum(|claim| claim.amounts.memory))
    }

    fn mend((claim, leases): &(HeldClaim, Vec<CpuLease>)) -> Option<Mending> {
        Mending::of(claim, &leases.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_deleted_or_replaced_under_a_run_is_written_down_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("leases");
        for (what, damage) in [("deleted", Damage::Folder), ("replaced", Damage::Folder), ("emptied", Damage::Files)] {
            let folder = LeaseFolder::at(&path).unwrap();
            let run = held(&folder);
            assert_eq!(mend(&run), None);
            let before = seen(&folder);
            assert_eq!(before, (vec![1], 7));
            match what {
                "deleted" => fs::remove_dir_all(&path).unwrap(),
                "replaced" => {
                    fs::rename(&path, place.path().join(what)).unwrap();
                    fs::create_dir(&path).unwrap();
                }
                _ => fs::read_dir(&path).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap()),
            }
            if damage == Damage::Folder {
                let error = folder.choose().map(drop).unwrap_err();
                assert!(matches!(error, ResourceError::FolderReplaced { .. }), "{what}: {error}");
            }
            let mended = mend(&run).unwrap();
            assert_eq!(mended, Mending { what: damage, lost: Vec::new() }, "{what}");
            assert_eq!((seen(&folder), mend(&run)), (before, None), "{what}");
            // All clones use the folder that has the name now, and a released entry disappears from it.
            assert_eq!(folder.held_by_anyone().unwrap().len(), 1, "{what}");
            run.0.beat(std::time::Duration::from_secs(5)).unwrap();
            drop(run);
            assert_eq!(seen(&folder), (Vec::new(), 0), "{what}");
            fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn what_somebody_was_given_meanwhile_is_lost_and_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("leases");
        let folder = LeaseFolder::at(&path).unwrap();
        let run = held(&folder);
        fs::remove_dir_all(&path).unwrap();
        let other = LeaseFolder::at(&path).unwrap();
        let allowed: CpuSet = (0..2).collect();
        let theirs = other.lease(2, &allowed, 0, Holder::here("theirs", "o", 0)).unwrap();
        let mended = mend(&run).unwrap();
        assert_eq!(mended.lost.iter().map(|lost| lost.cpu).collect::<Vec<_>>(), [1]);
        assert!(mended.to_string().contains("other runs took some in the meantime: CPU 1 is leased by"), "{mended}");
        // The loss is reported at each check until the CPU is free.
        assert!(!mend(&run).unwrap().is_whole());
        drop(theirs);
        assert!(mend(&run).unwrap().is_whole());
        assert_eq!(mend(&run), None);
    }
}
