//! The trust boundary: processes without privileges, the rings of shared memory that connect them, and the code
//! that starts them.
//!
//! This crate can be audited alone. The code here decides how much damage untrusted code can do after it
//! escapes from its sandbox. A worker gives up its privileges in [`lockdown`] before it runs untrusted code. A
//! worker starts with exactly the descriptors that it may use and with no inherited environment ([`Spawner`]).
//! The host checks every byte of a [`Link`] before it trusts it.

mod link;
mod link_setup;
pub mod lockdown;
mod mapping;
mod outgoing;
mod ring_layout;
mod spawn;

pub use link::{FarEnd, Link};
pub use link_setup::LinkSetup;
pub use mapping::{Mapping, sealed, written_here};
pub use outgoing::{Outgoing, ring};
pub use ring_layout::CAPACITY;
pub use spawn::{Enter, Launch, Spawner, Started, end};
