use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::{Capabilities, ClockPrecision, FolderGrant};
use crate::config::{self, Diagnostic, Diagnostics, Spanned, choose, resolve};

/// The capabilities of a guest, in the form in which the host grants them.
pub(super) fn capabilities(
    place: &str,
    written: &config::Capabilities,
    base: &Path,
    errors: &mut Diagnostics,
) -> Capabilities {
    let clock = written.clock.as_ref();
    Capabilities {
        folders: folders(place, &written.folders, base, errors),
        environment: environment(place, &written.environment, errors),
        connect: written.connect.iter().filter_map(|address| connect(place, address, errors)).collect(),
        clock: clock.and_then(|word| choose("clock", place, word, &ClockPrecision::NAMES, errors)).unwrap_or_default(),
    }
}

fn folders(place: &str, written: &[config::Folder], base: &Path, errors: &mut Diagnostics) -> Vec<FolderGrant> {
    let mut granted: Vec<FolderGrant> = Vec::new();
    for folder in written {
        let guest = &folder.guest;
        if folder.host.value.is_empty() {
            errors.push(Diagnostic::new(format!("a folder of {place} has an empty host path")).on(&folder.host));
        }
        if guest.value.is_empty() {
            errors.push(
                Diagnostic::new(format!("a folder of {place} has no name for the guest"))
                    .on(guest)
                    .hint("for example: guest = \"/data\""),
            );
        } else if granted.iter().any(|other| other.guest == guest.value) {
            let message = format!("two folders of {place} are both \"{}\" to the guest", guest.value);
            errors.push(Diagnostic::new(message).on(guest));
        }
        let host = resolve(base, &folder.host.value);
        granted.push(FolderGrant { host, guest: guest.value.clone(), write: folder.write });
    }
    granted
}

fn environment(
    place: &str,
    written: &[(Spanned<String>, Spanned<String>)],
    errors: &mut Diagnostics,
) -> BTreeMap<String, String> {
    let mut granted = BTreeMap::new();
    for (name, value) in written {
        if name.value.is_empty() || name.value.contains(['=', '\0']) || value.value.contains('\0') {
            let message = format!("environment of {place}: \"{}\" cannot be set", name.value.escape_debug());
            errors.push(
                Diagnostic::new(message).on(name).hint("a name is not empty and has no = in it; nothing has a NUL"),
            );
        }
        granted.insert(name.value.clone(), value.value.clone());
    }
    granted
}

fn connect(place: &str, written: &Spanned<String>, errors: &mut Diagnostics) -> Option<SocketAddr> {
    match written.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("connect of {place}: \"{}\" is not an address with a port", written.value);
            let hint = "write IP:port, for example \"127.0.0.1:5432\"; \
                        names are not looked up, since what they mean can change";
            errors.push(Diagnostic::new(message).on(written).hint(hint));
            None
        }
    }
}
