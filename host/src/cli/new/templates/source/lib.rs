//! Makes the Fibonacci numbers up to a configured one.

use sage_guest::{Context, Emitter, Error, Progress};
use serde::Deserialize;

/// The source's `config` in the pipeline file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    up_to: u64,
}

/// The source, which remembers where it stands.
#[derive(Debug)]
pub struct Fibonacci {
    up_to: u64,
    next: (u64, u64),
}

#[sage_guest::source]
impl Fibonacci {
    fn open(context: &Context) -> Result<Self, Error> {
        let Settings { up_to } = context.config()?;
        Ok(Self { up_to, next: (0, 1) })
    }

    /// Called again and again until it says that this was the end.
    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> {
        let (number, following) = self.next;
        if number > self.up_to {
            return Ok(Progress::End);
        }
        out.emit(number)?;
        self.next = (following, number.saturating_add(following));
        Ok(Progress::More)
    }
}
