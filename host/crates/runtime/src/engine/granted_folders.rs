use std::fs;
use std::path::Path;

use sage_plan::config::{Diagnostic, Diagnostics, Pipeline, resolve};
use sage_text::plain_path;

/// Reports every folder that the pipeline grants to a component and that does not exist or is not a folder.
pub(super) fn check_granted_folders(pipeline: &Pipeline, base: &Path, errors: &mut Diagnostics) {
    let granted = pipeline.components().flat_map(|component| &component.capabilities.folders);
    for host in granted.map(|folder| &folder.host).filter(|host| !host.value.is_empty()) {
        let path = resolve(base, &host.value);
        let (why, hint) = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => continue,
            Ok(_) => ("it is not a folder".to_owned(), "grant the folder that the file lies in"),
            Err(error) => (error.to_string(), "make it, or grant another"),
        };
        let message = format!("folder \"{}\" cannot be granted: {why}", plain_path(&path));
        errors.push(Diagnostic::new(message).on(host).hint(hint));
    }
}
