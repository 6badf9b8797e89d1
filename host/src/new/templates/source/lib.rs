//! Makes the Fibonacci numbers up to a configured one.

use sage_guest::{Context, Emitter, Error, Json, Progress};
use serde::Deserialize;

/// The source's `config` in the pipeline file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    up_to: u64,
}

/// The source, which keeps its position.
#[derive(Debug)]
pub struct Fibonacci {
    up_to: u64,
    next: (u64, u64),
}

#[sage_guest::source]
impl Fibonacci {
    fn open(context: &Context) -> Result<Self, Error> {
        let Settings { up_to } = context.config()?;
        Ok(Self {
            up_to,
            next: (0, 1),
        })
    }

    /// Called repeatedly until it returns `Progress::End`.
    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> {
        let (number, following) = self.next;
        if number > self.up_to {
            return Ok(Progress::End);
        }
        out.emit(number)?;
        self.next = (following, number.saturating_add(following));
        Ok(Progress::More)
    }

    /// The position, for the host to keep. After a restart the source continues from there.
    fn position(&self) -> Json<(u64, u64)> {
        Json(self.next)
    }

    fn seek(&mut self, Json(position): Json<(u64, u64)>) {
        self.next = position;
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn it_ends_where_it_is_told_to() {
        let mut lane = testing::Source::<Fibonacci>::open(json!({ "up_to": 10 })).unwrap();
        let (outcome, progress) = lane.next(100).unwrap();
        assert_eq!(outcome.texts(), ["0", "1", "1", "2", "3", "5", "8"]);
        assert_eq!(progress, Progress::End);
    }

    #[test]
    fn after_a_restart_it_goes_on_from_where_it_stood() {
        let mut lane = testing::Source::<Fibonacci>::open(json!({ "up_to": 10 })).unwrap();
        lane.next(4).unwrap();
        let position = lane.position();
        lane.restart().unwrap();
        lane.seek(&position).unwrap();
        assert_eq!(lane.next(100).unwrap().0.texts(), ["3", "5", "8"]);
    }
}
