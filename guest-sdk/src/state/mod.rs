//! Typed keyed state of a `process`: [`Value`], [`List`] and [`Map`], each a table that the host owns.
//!
//! A table has an entry for each *key*. A handle reads and writes the entry of the key of the record being
//! processed. Records without a key share an entry of their own, which is not the entry of the empty key. The
//! host makes writes durable when the call returns, so state survives traps and restarts. The data in guest
//! memory is only a cache.
//!
//! Flow of each batch: the keys of its records become *slots* once. The first read of a table fetches all
//! missing values of the batch's keys in one host call. Writes stay in the cache. Before the call returns, each
//! table sends its writes to the host in one call. Access to a cached entry costs no call, so a batch costs a
//! few calls, whatever its size.
//!
//! Invariants:
//!
//! - The writes of a rejected record are undone.
//! - When a call returns, no unsent write is left, so the cache may be dropped between calls at any time.
//! - The cache is dropped between batches when it exceeds 65,536 keys or 16 MiB.
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

pub use encoding::{FixedWidth, State, StateKey};
pub use keys::Key;
pub use list::List;
pub use map::Map;
pub use scan::Scan;
pub use tables::Tables;
pub use value::Value;

/// Number of cached keys above which the cache is dropped. A key of 16 bytes with a number takes about 60
/// bytes, so the limit is about 4 MiB.
const CACHED_KEYS: usize = 64 << 10;

/// Bytes of cached keys and values above which the cache is dropped. Large values reach this limit long before
/// the limit on the number of keys. The limit does not bound the reads and writes of one batch.
const CACHED_BYTES: usize = 16 << 20;
