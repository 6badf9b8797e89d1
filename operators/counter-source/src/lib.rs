//! `counter-source`: counts from 0 to `count`; each instance emits its share of the numbers. Shows a source
//! that can be replayed: it returns its position, and continues from there after a restart.
//!
//! `config = { count = 1000000 }`

use sage_guest::{Context, Describe, Emitter, Error, Progress};
use serde::Deserialize;

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Number of records to emit, of all instances together.
    count: u64,
}

/// A counter.
#[derive(Debug)]
pub struct Counter {
    next: u64,
    step: u64,
    count: u64,
}

/// Counts from 0 to `count`; each instance emits its share of the numbers.
#[sage_guest::source(config = Settings)]
impl Counter {
    fn open(context: &Context) -> Result<Self, Error> {
        let Settings { count } = context.config()?;
        Ok(Self { next: u64::from(context.instance), step: u64::from(context.parallelism.max(1)), count })
    }

    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> {
        if self.next >= self.count {
            return Ok(Progress::End);
        }
        out.emit(self.next)?;
        self.next += self.step;
        Ok(Progress::More)
    }

    fn position(&self) -> u64 {
        self.next
    }

    fn seek(&mut self, position: u64) {
        self.next = position;
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::{Context, Progress, testing};

    use super::Counter;

    fn open(instance: u32, parallelism: u32) -> testing::Source<Counter> {
        let context = Context { instance, parallelism, config: r#"{"count": 10}"#.into(), ..Context::default() };
        testing::Source::open_as(context).unwrap()
    }

    #[test]
    fn instances_share_the_numbers_among_them() {
        let mut numbers = Vec::new();
        for instance in 0..3 {
            let (outcome, progress) = open(instance, 3).next(100).unwrap();
            assert_eq!(progress, Progress::End);
            numbers.extend(outcome.texts().iter().map(|text| text.parse::<u64>().unwrap()));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn it_goes_on_from_where_it_stood() {
        let mut lane = open(0, 1);
        assert_eq!(lane.next(4).unwrap().0.texts(), ["0", "1", "2", "3"]);
        let position = lane.position();
        lane.next(4).unwrap();
        lane.restart().unwrap();
        lane.seek(&position).unwrap();
        assert_eq!(lane.next(2).unwrap().0.texts(), ["4", "5"]);
    }
}
