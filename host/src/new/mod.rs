//! The command `new`: makes a crate with a small real operator, its native test and a pipeline that runs it.
//!
//! Flow: the name is checked, and the folder must not exist. All files are written to a temporary folder
//! beside it, which is then renamed, so that a failure leaves no incomplete crate.
//!
//! The guest SDK of the crate belongs to this program. A program that was built in the workspace contains the
//! SDK's sources (`cfg(sdk_embedded)`, set by `build.rs`) and writes them to `vendor/` of the crate, with the
//! values that its manifests inherit from the workspace filled in. A program that was built from a published
//! package does not contain them, and the crate depends on the published `sage-guest` of the same version.

mod crate_name;
mod python_template;
mod scaffold;
#[cfg(sdk_embedded)]
mod sdk;
mod template;

pub(super) use scaffold::new;
