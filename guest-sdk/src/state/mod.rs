//! Typed keyed state of a `process`: [`Value`], [`List`] and [`Map`], each a table that the host owns.
//!
//! A table holds something for each *key*; what a handle reads and writes is what belongs to the key of the record being processed. Records
//! without a key share a state of their own, which is not that of the empty key. The host makes writes durable when the call returns, so state survives traps and
//! restarts; what is here is a cache of it.
//!
//! Flow, for each batch: the keys of its records become *slots* once; the first read of a table fetches what the
//! batch's keys lack in one host call; writes stay here; before the call returns each table tells its writes in one call. An entry that
//! is in the cache costs no call at all, so a batch costs a few calls whatever its size.
//!
//! Invariants: what a rejected record wrote is undone; nothing unwritten is left when a call returns, so that the cache may be dropped at
//! any time; it is dropped between batches when it outgrows 65,536 keys or 16 MiB.
//!
//! ```
//! use sage_guest::state::{Tables, Value};
//! use sage_guest::{Context, Emitter, Error};
//!
//! struct Count {
//!     seen: Value<u64>,
//! }
//!
//! #[sage_guest::process]
//! impl Count {
//!     fn open(_: &Context, tables: &mut Tables) -> Result<Self, Error> {
//!         Ok(Self { seen: tables.value("seen")? })
//!     }
//!
//!     fn process(&mut self, _: &[u8], out: &mut Emitter) -> Result<(), Error> {
//!         let seen = self.seen.get()?.unwrap_or(0) + 1;
//!         self.seen.put(seen)?;
//!         out.emit(seen)
//!     }
//! }
//! ```

mod encoding;
mod keys;
mod list;
mod map;
mod scan;
mod tables;
mod value;

pub use encoding::{State, StateKey};
pub use keys::Key;
pub use list::List;
pub use map::Map;
pub use scan::Scan;
pub use tables::Tables;
pub use value::Value;

/// How many keys are cached before the cache is dropped. A key of 16 bytes with a number costs about 60
/// bytes here: 4 MiB.
const CACHED_KEYS: usize = 64 << 10;

/// How many bytes of keys and values are cached before the cache is dropped: what makes large values a matter of memory
/// long before there are many of them. It does not bound what one batch reads and writes.
const CACHED_BYTES: usize = 16 << 20;
