use std::path::Path;

use sage_store::Store;
use serde_json::json;

use super::counted::of;
use super::store_failure::of_store;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `state rm`.
pub(super) fn remove(folder: &Path, force: bool, printer: Printer) -> Result<(), Failure> {
    let removal = Store::remove(folder, force).map_err(|error| of_store(&error))?;
    let stays = if removal.folder_is_gone { "" } else { "; the folder stays" };
    printer.result(
        || format!("removed {} in {}{stays}\n", of(removal.epochs, "epoch"), folder.display()),
        &json!({ "folder": folder, "removed_epochs": removal.epochs, "folder_is_gone": removal.folder_is_gone }),
    )
}
