//! The trust boundary: processes without rights, the rings of shared memory to them, and how they are started.
//!
//! Whoever audits what code of strangers can do once it has left its sandbox reads this crate. A worker gives up its rights
//! in [`lockdown`] before it runs anything that a stranger wrote. It is started with descriptors for all it may ever use, and
//! with nothing in its environment ([`Spawn`]). Its host believes no byte of a [`Link`] before it has checked it.

mod link;
mod link_setup;
pub mod lockdown;
mod mapping;
mod outgoing;
mod spawn;

pub use link::{CAPACITY, FarEnd, Link};
pub use link_setup::LinkSetup;
pub use mapping::{Mapping, sealed, written_here};
pub use outgoing::{Outgoing, ring};
pub use spawn::{Enter, Launch, Spawner, Started, end};
