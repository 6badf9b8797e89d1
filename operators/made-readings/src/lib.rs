//! `made-readings`: makes readings of sensors, the same in each run; each instance makes its share. Shows a source by
//! field that can be replayed.
//!
//! `config = { count = 1000, sensors = 3 }`

use sage_guest::fields::Timestamp;
use sage_guest::{Context, Describe, Error, Port, Progress, Record};
use serde::Deserialize;

/// Settings from the pipeline file.
#[derive(Debug, Deserialize, Describe)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Number of readings, of all instances together.
    count: u64,
    /// Number of sensors.
    #[serde(default = "three")]
    sensors: std::num::NonZeroU32,
}

fn three() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::MIN.saturating_add(2)
}

/// A made-up reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor: `sensor-0` and so on.
    pub sensor: &'a str,
    /// Temperature in degrees Fahrenheit, from 14.0 to 103.9.
    pub fahrenheit: f64,
    /// Time of the reading: one second after the one before, from 2026-01-01 on.
    pub at: Timestamp,
    /// Charge of the battery in percent. Every tenth reading has none.
    pub battery: Option<u8>,
}

/// The readings of an instance.
#[derive(Debug)]
pub struct Readings {
    next: u64,
    step: u64,
    count: u64,
    sensors: u64,
    name: String,
}

/// 2026-01-01T00:00:00Z in microseconds since the Unix epoch.
const START: i64 = 1_767_225_600_000_000;

/// Makes readings, the same in each run; each instance makes its share.
#[sage_guest::source(config = Settings)]
impl Readings {
    fn open(context: &Context) -> Result<Self, Error> {
        let Settings { count, sensors } = context.config()?;
        let (next, step) = (u64::from(context.instance), u64::from(context.parallelism.max(1)));
        Ok(Self { next, step, count, sensors: sensors.get().into(), name: String::new() })
    }

    fn next(&mut self, out: &mut Port<Reading>) -> Result<Progress, Error> {
        if self.next >= self.count {
            return Ok(Progress::End);
        }
        let dice = mixed(self.next);
        self.name.clear();
        std::fmt::Write::write_fmt(&mut self.name, format_args!("sensor-{}", dice % self.sensors))?;
        let time = i64::try_from(self.next)?.saturating_mul(1_000_000).saturating_add(START);
        out.timestamp(time).emit(Reading {
            sensor: &self.name,
            fahrenheit: 14.0 + (dice >> 32) as f64 % 900.0 / 10.0,
            at: Timestamp(time),
            battery: (self.next % 10 != 9).then_some((dice >> 16 & 63) as u8 + 37),
        })?;
        self.next = self.next.saturating_add(self.step);
        Ok(Progress::More)
    }

    fn position(&self) -> u64 {
        self.next
    }

    fn seek(&mut self, position: u64) {
        self.next = position;
    }
}

/// A number that looks random, from its place (SplitMix64, Steele et al. 2014).
fn mixed(place: u64) -> u64 {
    let mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use sage_guest::{Context, Progress, testing};
    use serde_json::Value;

    use super::{Readings, mixed};

    fn open(instance: u32, parallelism: u32) -> testing::FieldsSource<Readings> {
        let config = r#"{"count": 1000}"#.to_owned();
        testing::FieldsSource::open_as(Context { instance, parallelism, config, ..Context::default() }).unwrap()
    }

    fn all(mut lane: testing::FieldsSource<Readings>) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let (outcome, progress) = lane.next(64).unwrap();
            texts.extend(outcome.texts());
            if progress == Progress::End {
                return texts;
            }
        }
    }

    #[test]
    fn the_numbers_are_the_published_ones() {
        assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn readings_are_in_their_ranges_and_instances_share_them() {
        let whole = all(open(0, 1));
        assert_eq!(whole.len(), 1000);
        for (number, text) in whole.iter().enumerate() {
            let reading: Value = serde_json::from_str(text).unwrap();
            let fahrenheit = reading["fahrenheit"].as_f64().unwrap();
            assert!((14.0..104.0).contains(&fahrenheit), "{text}");
            assert_eq!(reading["battery"].is_null(), number % 10 == 9, "{text}");
            assert!(["sensor-0", "sensor-1", "sensor-2"].contains(&reading["sensor"].as_str().unwrap()), "{text}");
        }
        assert!(whole[0].contains(r#""at":"2026-01-01T00:00:00Z""#), "{}", whole[0]);
        let mut shared: Vec<String> = (0..3).flat_map(|instance| all(open(instance, 3))).collect();
        shared.sort();
        let mut sorted = whole;
        sorted.sort();
        assert_eq!(shared, sorted);
    }

    #[test]
    fn it_goes_on_from_where_it_stood() {
        let (mut lane, whole) = (open(0, 1), all(open(0, 1)));
        assert_eq!(lane.next(4).unwrap().0.texts(), whole[..4]);
        let position = lane.position();
        lane.next(4).unwrap();
        lane.restart().unwrap();
        lane.seek(&position).unwrap();
        assert_eq!(lane.next(2).unwrap().0.texts(), whole[4..6]);
    }
}
