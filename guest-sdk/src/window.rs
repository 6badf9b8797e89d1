use crate::types::Closing;
use crate::{Error, FromPayload};

/// A window that is finished: the records of one key within a span of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<'a> {
    key: &'a [u8],
    start: i64,
    end: i64,
    emissions: u32,
}

impl<'a> Window<'a> {
    /// The key of its records.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Decodes the key as a `K`.
    ///
    /// # Errors
    /// The key does not decode.
    pub fn key_as<K: FromPayload<'a>>(&self) -> Result<K, Error> {
        K::from_payload(self.key).map_err(|error| error.context("key"))
    }

    /// First microsecond of the window, as a time since the Unix epoch, UTC.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// First microsecond after the window. The window of a session ends one gap after its last record.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.end
    }

    /// How often the window was finished before. It is finished again when it has taken late records since; the
    /// accumulator is that of all its records.
    #[must_use]
    pub fn emissions(&self) -> u32 {
        self.emissions
    }

    /// Window `at` of those that the host passes.
    pub(crate) fn of(windows: &'a Closing, at: usize) -> Self {
        let time = |times: &[i64]| times.get(at).copied().unwrap_or_default();
        Self {
            key: windows.keys.get(at).unwrap_or_default(),
            start: time(&windows.starts),
            end: time(&windows.ends),
            emissions: windows.emissions.get(at).copied().unwrap_or_default(),
        }
    }
}
