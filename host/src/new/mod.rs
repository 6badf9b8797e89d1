//! The command `new`: makes a crate with a small real operator, its native test and a pipeline that runs it.
//!
//! Flow: the name is checked, and the folder must not exist. All files are written to a temporary folder
//! beside it, which is then renamed, so that a failure leaves no incomplete crate. The guest SDK is not in a
//! registry: its sources are part of this program and are written to `vendor/` of the crate, with the values
//! that its manifests inherit from the workspace of sage-host filled in.

mod crate_name;
mod scaffold;
mod sdk;
mod template;

pub(super) use scaffold::new;
