//! `new`: a crate with a small real operator, its native test and a pipeline that runs it.
//!
//! Flow: the name is checked, the folder must not exist, everything is written into a folder beside it and that is renamed into place, so
//! that a failure leaves nothing half made. The guest SDK is not in a registry: its sources are part of this program and
//! are written to `vendor/` of the crate, with what its manifests inherit from our workspace filled in.

mod crate_name;
mod scaffold;
mod sdk;
mod template;

pub(super) use scaffold::new;
