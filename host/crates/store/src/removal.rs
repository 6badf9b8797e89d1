use std::fs;
use std::path::Path;

use crate::current::CURRENT;
use crate::error::{StoreError, failed};
use crate::folder_disk::FolderDisk;
use crate::locked_folder::{LOCK, is_checkpoints};
use crate::proof::SYNCED;
use crate::store::Store;

/// Checkpoints that were removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The epochs that could have been restored.
    pub epochs: usize,
    /// Whether the folder is gone too. It stays if it has files of someone else.
    pub folder_is_gone: bool,
}

impl Store {
    /// Removes all checkpoints of a folder, and the folder if nothing else is in it. Nothing is removed of a folder
    /// without checkpoints.
    ///
    /// # Errors
    /// [`StoreError::NotEnded`] if a run could go on from the last epoch, and [`StoreError::Damaged`] if that is
    /// unknown, unless `force` is set. [`StoreError::Absent`] and [`StoreError::NotCheckpoints`] if there are no
    /// checkpoints; the errors of [`Store::open`].
    pub fn remove(folder: &Path, force: bool) -> Result<Removal, StoreError> {
        let has_checkpoints = match FolderDisk::open(folder) {
            Ok(disk) => is_checkpoints(&disk)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("open", folder)(error)),
        };
        if !has_checkpoints {
            return Err(StoreError::Absent { folder: folder.to_owned() });
        }
        let mut store = if force { Self::open_despite_damage(folder)? } else { Self::open(folder)? };
        if let Some(last) = store.epochs().last()
            && !last.ended
            && !force
        {
            return Err(StoreError::NotEnded { folder: folder.to_owned(), number: last.number });
        }
        let epochs = store.epochs().len();
        store.go_on_from(None)?;
        // What is left is an empty folder of checkpoints, whatever happens from here on.
        for name in [SYNCED, CURRENT, LOCK] {
            match store.disk.remove(name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("remove", folder.join(name))(error));
                }
                _ => {}
            }
        }
        // The folder stays if it has other files, or if it is a mount point or the link to a folder.
        Ok(Removal { epochs, folder_is_gone: fs::remove_dir(folder).is_ok() })
    }
}
