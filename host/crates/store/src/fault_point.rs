use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// What a test asks for with the variable [`VARIABLE`].
#[derive(Debug)]
struct Asked {
    point: String,
    /// How often the point is still passed before it happens.
    left: AtomicU64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The process is killed.
    Kill,
    /// The operation fails.
    Error,
    /// The process stops until it is continued.
    Pause,
}

/// `POINT:NTH:kill`, `POINT:NTH:error` or `POINT:NTH:pause`; NTH counts from 1.
const VARIABLE: &str = "SAGE_FAULT";

/// A place at which tests let a run fail. Programs that are built for release have none.
///
/// # Errors
/// The failure that a test asked for.
#[inline]
pub fn fault_point(name: &str) -> io::Result<()> {
    if cfg!(debug_assertions) { happen(name) } else { Ok(()) }
}

/// Whether a test asked for something at this point, so that an operation is done in two parts.
#[inline]
pub(crate) fn is_asked_for(name: &str) -> bool {
    cfg!(debug_assertions) && asked().is_some_and(|asked| asked.point == name)
}

fn asked() -> Option<&'static Asked> {
    static ASKED: OnceLock<Option<Asked>> = OnceLock::new();
    ASKED.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|written| Asked::read(&written))).as_ref()
}

impl Asked {
    fn read(written: &str) -> Option<Self> {
        let mut words = written.split(':');
        let (point, nth, kind) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let kind = match kind {
            "kill" => Kind::Kill,
            "error" => Kind::Error,
            "pause" => Kind::Pause,
            _ => return None,
        };
        Some(Self { point: point.to_owned(), left: AtomicU64::new(nth), kind })
    }
}

#[cold]
fn happen(name: &str) -> io::Result<()> {
    let Some(asked) = asked().filter(|asked| asked.point == name) else { return Ok(()) };
    if asked.left.fetch_sub(1, Ordering::SeqCst) != 1 {
        return Ok(());
    }
    let signal = |signal| kill_process(getpid(), signal).map_err(io::Error::from);
    match asked.kind {
        Kind::Kill => signal(Signal::KILL),
        Kind::Pause => signal(Signal::STOP),
        Kind::Error => Err(io::Error::other(format!("a test asked for a failure at {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_point_a_number_and_a_kind() {
        let asked = Asked::read("store.before_sync:3:error").unwrap();
        assert_eq!((asked.point.as_str(), asked.left.into_inner(), asked.kind), ("store.before_sync", 3, Kind::Error));
        for wrong in ["", "a", "a:1", "a:x:kill", "a:1:explode"] {
            assert!(Asked::read(wrong).is_none(), "{wrong}");
        }
    }
}
