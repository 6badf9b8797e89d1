use std::time::{Duration, Instant};

use super::{ConnectorError, Filled, Source, SourceProgress};
use sage_batch::{Batch, Column, Origin};
use sage_plan::{GenerateSpec, GeneratedTimes};

/// Generated records, for measurements and experiments.
///
/// Record `n` depends only on the seed and `n`, not on the size of batches: its number in 16 hexadecimal
/// digits, a space, then printable ASCII. A shorter payload has the number's last digits, so payloads of `b`
/// bytes repeat after 16^b records. Keys are the decimal numbers below `keys`, all equally likely.
pub(super) struct Generate {
    spec: GenerateSpec,
    number: u16,
    next: u64,
    text: Vec<u8>,
    keys: Column,
    times: Vec<i64>,
    pace: Option<Pace>,
}

impl Generate {
    /// Bytes of the text from which payloads are cut: small enough to stay in the second-level cache.
    const TEXT_BYTES: usize = 64 << 10;
    const DIGITS: usize = 16;

    pub(super) fn new(spec: &GenerateSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        if spec.payload_bytes as usize > longest {
            let what = format!("payloads of {} bytes are asked for, a record may have {longest}", spec.payload_bytes);
            return Err(ConnectorError::new(what).hint(
                "lower payload_bytes: a record of a built-in source is bounded by 4MiB \
                 and by object_store_memory of each stage that reads it",
            ));
        }
        if spec.keys == Some(0) || spec.rate == Some(0) {
            return Err(ConnectorError::new("keys = 0 and rate = 0 make no records").hint("leave the setting out"));
        }
        let text = (0..Self::TEXT_BYTES as u64).map(|n| b' ' + pick(mix(spec.seed ^ TEXT, n), 95) as u8).collect();
        let pace = spec.rate.map(|rate| Pace { rate, begun: None, first: 0 });
        Ok(Self { spec: spec.clone(), number, next: 0, text, keys: Column::new(), times: Vec::new(), pace })
    }

    /// The settings that decide about the content of the records.
    fn parameters(&self) -> String {
        let keys = self.spec.keys.map_or_else(|| "no keys".to_owned(), |keys| format!("keys = {keys}"));
        let times = self.spec.times.map_or_else(String::new, |GeneratedTimes { start, step, disorder }| {
            format!(", times from {start} µs in steps of {step} µs with a disorder of {disorder} µs")
        });
        format!("payload_bytes = {}, seed = {}, {keys}{times}", self.spec.payload_bytes, self.spec.seed)
    }

    fn left(&self) -> u64 {
        self.spec.count.map_or(u64::MAX, |count| count.saturating_sub(self.next))
    }

    fn write_payload(&self, n: u64, out: &mut Vec<u8>) {
        let bytes = self.spec.payload_bytes as usize;
        let digits = hex(n);
        out.extend_from_slice(digits.get(Self::DIGITS.saturating_sub(bytes)..).unwrap_or_default());
        let Some(mut left) = bytes.checked_sub(Self::DIGITS + 1) else {
            out.extend_from_slice(b" ".get(..bytes.saturating_sub(Self::DIGITS)).unwrap_or_default());
            return;
        };
        out.push(b' ');
        let mut at = pick(mix(self.spec.seed ^ PAYLOAD, n), Self::TEXT_BYTES as u64) as usize;
        while left > 0 {
            let piece = self.text.get(at..).unwrap_or_default();
            let piece = piece.get(..left).unwrap_or(piece);
            out.extend_from_slice(piece);
            left -= piece.len();
            at = 0;
        }
    }

    fn write_key(&mut self, n: u64, keys: u64) {
        let seed = self.spec.seed ^ KEY;
        self.keys.push_with(|out| write_decimal(pick(mix(seed, n), keys), out));
    }
}

impl Source for Generate {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        let due = self.pace.as_mut().map_or(u64::MAX, |pace| pace.due(Instant::now()).saturating_sub(self.next));
        let fit = (max_bytes / (self.spec.payload_bytes as usize).max(1)).max(1);
        let now = due.min(self.left()).min(max_records.min(fit) as u64);
        self.keys.clear();
        for n in self.next..self.next + now {
            batch.push_payload_with(Origin::new(self.number, n), |out| self.write_payload(n, out));
            if let Some(keys) = self.spec.keys {
                self.write_key(n, keys);
            }
        }
        if self.spec.keys.is_some() {
            batch.swap_keys(&mut self.keys);
        }
        if let Some(times) = self.spec.times {
            self.times.clear();
            let seed = self.spec.seed ^ TIME;
            self.times.extend((self.next..self.next + now).map(|n| time_of(times, seed, n)));
            batch.swap_timestamps(&mut self.times);
        }
        self.next += now;
        if self.left() == 0 {
            return Ok(Filled::End);
        }
        match &mut self.pace {
            Some(pace) if now == due => Ok(Filled::Idle(pace.until(self.next + 1, Instant::now()))),
            _ => Ok(Filled::More),
        }
    }

    fn waits(&self) -> bool {
        false
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ConnectorError> {
        Ok(Some(self.parameters().into_bytes()))
    }

    fn require_same(&self, saved: &[u8]) -> Result<(), ConnectorError> {
        let now = self.parameters();
        if now.as_bytes() == saved {
            return Ok(());
        }
        let saved = String::from_utf8_lossy(saved);
        Err(ConnectorError::new(format!("it generates other records now: {now}, and {saved} before"))
            .hint("generate what it did, or start anew: --from none"))
    }

    fn skip(&mut self, records: u64) -> bool {
        self.next = self.spec.count.map_or(records, |count| count.min(records));
        if let Some(pace) = &mut self.pace {
            pace.first = self.next;
        }
        true
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.next, total: self.spec.count, bytes: false, bounded: self.spec.count.is_some() }
    }
}

/// Paces records at a number per second, counted from the first call. Late records are caught up, so the rate
/// does not drift.
#[derive(Debug)]
struct Pace {
    rate: u64,
    begun: Option<Instant>,
    /// Records of an earlier run, which are no longer due.
    first: u64,
}

impl Pace {
    /// Interval between rounds of records. A sleep for each record would cost more than the record.
    const CADENCE: Duration = Duration::from_millis(1);

    /// Number of records that are due by `now`.
    fn due(&mut self, now: Instant) -> u64 {
        let begun = *self.begun.get_or_insert(now);
        let due = now.saturating_duration_since(begun).as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(due).unwrap_or(u64::MAX).saturating_add(self.first)
    }

    /// Time until `records` are due; at least the interval between rounds.
    fn until(&mut self, records: u64, now: Instant) -> Duration {
        let begun = *self.begun.get_or_insert(now);
        let records = records.saturating_sub(self.first);
        let nanoseconds = (u128::from(records) * 1_000_000_000).div_ceil(u128::from(self.rate));
        let at = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        at.saturating_sub(now.saturating_duration_since(begun)).max(Self::CADENCE)
    }
}

// Separate constants make the text, payloads and keys of one seed independent.
const TEXT: u64 = 0x7465_7874;
const PAYLOAD: u64 = 0x7061_796c_6f61_6400;
const KEY: u64 = 0x6b65_7900_0000_0000;
const TIME: u64 = 0x7469_6d65_0000_0000;

/// The event time of record `n`. The ends of the range stay what they are.
fn time_of(times: GeneratedTimes, seed: u64, n: u64) -> i64 {
    let GeneratedTimes { start, step, disorder } = times;
    let passed = i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(step);
    let earlier = match u64::try_from(disorder) {
        Ok(disorder @ 1..) => pick(mix(seed, n), disorder.saturating_add(1)),
        _ => 0,
    };
    start.saturating_add(passed).saturating_sub(i64::try_from(earlier).unwrap_or(i64::MAX))
}

/// The `n`-th number of the sequence that starts at `seed`: SplitMix64 (Steele, Lea, Flood 2014), which
/// computes any `n` directly.
#[inline]
fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Maps a random number to one below `end` (Lemire 2019, without the rejection: the bias is below end / 2^64).
#[inline]
fn pick(random: u64, end: u64) -> u64 {
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}

/// 16 lower-case hexadecimal digits at once: one nibble for each byte, then `0` or `a` is added to each.
#[inline]
fn hex(n: u64) -> [u8; 16] {
    let spread = |half: u32| {
        let mut x = u64::from(half);
        x = (x | x << 16) & 0x0000_ffff_0000_ffff;
        x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
        x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        x + 0x3030_3030_3030_3030 + letters * 0x27
    };
    let digits = u128::from(spread((n >> 32) as u32)) << 64 | u128::from(spread(n as u32));
    digits.to_be_bytes()
}

#[inline]
fn write_decimal(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        first = at;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::thread::sleep;

    use super::*;

    fn spec(count: u64, payload_bytes: u32, keys: Option<u64>) -> GenerateSpec {
        GenerateSpec { count: Some(count), rate: None, payload_bytes, keys, seed: 7, times: None }
    }

    fn make(spec: &GenerateSpec, max_records: usize, max_bytes: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut source = Generate::new(spec, 2, 1 << 20).unwrap();
        let mut records = Vec::new();
        let mut batch = Batch::new();
        loop {
            batch.clear();
            let filled = source.fill(&mut batch, max_records, max_bytes).unwrap();
            for row in 0..batch.len() {
                let record = batch.record(row).unwrap();
                assert_eq!(record.origin, Origin::new(2, records.len() as u64));
                records.push((record.payload.to_vec(), record.key.map(<[u8]>::to_vec)));
            }
            if filled == Filled::End {
                assert_eq!(source.progress().done, records.len() as u64);
                return records;
            }
        }
    }

    #[test]
    fn times_go_on_in_steps_and_fall_by_no_more_than_the_disorder() {
        let times = |disorder| GeneratedTimes { start: -5000, step: 1000, disorder };
        let made = |times| -> Vec<i64> { (0..1000).map(|n| time_of(times, 7 ^ TIME, n)).collect() };
        assert!(made(times(0)).iter().copied().eq((0..1000).map(|n| n * 1000 - 5000)));
        let disordered = made(times(3000));
        assert!(!disordered.is_sorted());
        let earlier: Vec<i64> = disordered.iter().zip(made(times(0))).map(|(time, place)| place - time).collect();
        assert!(earlier.iter().all(|earlier| (0..=3000).contains(earlier)));
        assert!(earlier.iter().any(|earlier| *earlier < 300) && earlier.iter().any(|earlier| *earlier > 2700));
        let far = GeneratedTimes { start: i64::MAX - 1, step: i64::MAX, disorder: 0 };
        assert_eq!(time_of(far, 0, u64::MAX), i64::MAX);
        // A batch has them, and a run that goes on makes the same.
        let mut source =
            Generate::new(&GenerateSpec { times: Some(times(3000)), ..spec(1000, 8, Some(5)) }, 0, 100).unwrap();
        let mut batch = Batch::new();
        assert!(source.skip(400));
        source.fill(&mut batch, 100, 1 << 20).unwrap();
        assert_eq!(batch.timestamps(), disordered.get(400..500));
        assert_eq!(batch.record(0).unwrap().timestamp, Some(disordered[400]));
    }

    #[test]
    fn the_same_seed_makes_the_same_records_however_batches_are_cut() {
        let whole = make(&spec(1000, 128, Some(50)), 4096, 1 << 20);
        assert_eq!(whole.len(), 1000);
        for (max_records, max_bytes) in [(1, 1 << 20), (7, 1 << 20), (4096, 1000), (4096, 1)] {
            assert_eq!(make(&spec(1000, 128, Some(50)), max_records, max_bytes), whole);
        }
        let other = make(&GenerateSpec { seed: 8, ..spec(1000, 128, Some(50)) }, 4096, 1 << 20);
        assert!(whole.iter().zip(&other).all(|(a, b)| a.0 != b.0));
    }

    #[test]
    fn payloads_are_printable_unique_and_exactly_as_long_as_asked() {
        for bytes in [0, 1, 3, 15, 16, 17, 18, 128, 70_000, 200_000] {
            let count = if bytes > 1000 { 20 } else { 1000 };
            let records = make(&spec(count, bytes, None), 4096, 64 << 10);
            assert!(records.iter().all(|(payload, key)| payload.len() == bytes as usize && key.is_none()));
            assert!(records.iter().all(|(payload, _)| payload.iter().all(|b| (b' '..=b'~').contains(b))));
            let unique: HashSet<_> = records.iter().map(|(payload, _)| payload).collect();
            assert_eq!(unique.len() as u64, count.min(16u64.saturating_pow(bytes)), "{bytes} bytes");
        }
        let first = &make(&spec(300, 20, None), 4096, 1 << 20)[255].0;
        assert!(first.starts_with(b"00000000000000ff "), "{first:?}");
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for n in [0, 9, 10, 0x1234_5678_9abc_def0, 99_999, u64::MAX] {
            assert_eq!(hex(n), *format!("{n:016x}").as_bytes());
            let mut out = Vec::new();
            write_decimal(n, &mut out);
            assert_eq!(out, n.to_string().as_bytes());
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut counts = HashMap::new();
        for (_, key) in make(&spec(100_000, 0, Some(10)), 4096, 1 << 20) {
            *counts.entry(key.unwrap()).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 10);
        // Five standard deviations of a binomial with n = 100,000 and p = 1/10.
        assert!(counts.values().all(|count| count.abs_diff(10_000) < 475), "{counts:?}");
    }

    #[test]
    fn a_rate_is_a_matter_of_the_time_since_the_beginning_and_does_not_drift() {
        let begun = Instant::now();
        let mut pace = Pace { rate: 3, begun: Some(begun), first: 0 };
        for (milliseconds, due) in [(0, 0), (333, 0), (334, 1), (999, 2), (1000, 3), (1_000_000_000, 3_000_000)] {
            assert_eq!(pace.due(begun + Duration::from_millis(milliseconds)), due);
        }
        assert_eq!(pace.until(1, begun), Duration::from_nanos(333_333_334));
        assert_eq!(pace.until(1, begun + Duration::from_secs(9)), Pace::CADENCE);
    }

    #[test]
    fn with_a_rate_records_come_no_sooner_than_they_are_due() {
        let spec = GenerateSpec { rate: Some(10_000), ..spec(300, 16, None) };
        let mut source = Generate::new(&spec, 0, 1 << 20).unwrap();
        let mut batch = Batch::new();
        let begun = Instant::now();
        let mut made = 0;
        loop {
            batch.clear();
            let filled = source.fill(&mut batch, 4096, 64 << 10).unwrap();
            made += batch.len();
            match filled {
                Filled::Idle(wait) => sleep(wait),
                Filled::More => {}
                Filled::End => break,
            }
        }
        assert_eq!(made, 300);
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let too_long = GenerateSpec { payload_bytes: 1001, ..spec(1, 0, None) };
        let no_keys = GenerateSpec { keys: Some(0), ..spec(1, 0, None) };
        let no_rate = GenerateSpec { rate: Some(0), ..spec(1, 0, None) };
        for spec in [too_long, no_keys, no_rate] {
            assert!(Generate::new(&spec, 0, 1000).is_err());
        }
    }
}
