use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The metrics that one instance's guests publish. They are bounded: an update with a new name above
/// [`GuestMetrics::MOST`] names, or with an invalid name, is dropped and counted.
#[derive(Debug, Default)]
pub struct GuestMetrics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    series: BTreeMap<String, Series>,
    dropped: u64,
    changed: bool,
}

/// A metric of a guest.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// A sum.
    Counter(u64),
    /// The last value.
    Gauge(f64),
    /// Observations in buckets.
    Histogram(Box<Observations>),
}

/// Observations, counted in buckets with powers of two as upper bounds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observations {
    /// Number of observations that are at most `2^e` and above the bound before, for each exponent of
    /// [`Observations::EXPONENTS`] (not cumulative).
    pub buckets: [u64; 32],
    /// Number of all observations, including those above the last bucket.
    pub count: u64,
    /// Sum of all observations.
    pub sum: f64,
}

impl Observations {
    /// The exponents of the buckets' upper bounds.
    pub const EXPONENTS: std::ops::Range<i32> = -10..22;

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        let mut exponents = Self::EXPONENTS;
        let fits = exponents.position(|exponent| value <= f64::from(exponent).exp2());
        if let Some(bucket) = fits.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
    }
}

impl Observations {
    /// Adds the observations of another process; `false` if they are impossible. The buckets together never
    /// hold more than the count.
    fn merge(&mut self, more: &Self) -> bool {
        let within = more.buckets.iter().try_fold(0_u64, |sum, bucket| sum.checked_add(*bucket));
        let Some(count) = self.count.checked_add(more.count) else { return false };
        if within.is_none_or(|within| within > more.count) || !(self.sum + more.sum).is_finite() {
            return false;
        }
        self.count = count;
        self.sum += more.sum;
        for (bucket, add) in self.buckets.iter_mut().zip(&more.buckets) {
            *bucket = bucket.saturating_add(*add);
        }
        true
    }
}

impl GuestMetrics {
    /// Most names of an instance.
    pub const MOST: usize = 64;
    /// Longest name in bytes.
    pub const LONGEST: usize = 64;

    /// Adds to a counter, which starts at 0.
    pub fn counter(&self, name: &str, add: u64) {
        self.update(
            name,
            || Series::Counter(0),
            |series| match series {
                Series::Counter(sum) => {
                    *sum = sum.saturating_add(add);
                    true
                }
                _ => false,
            },
        );
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64) {
        self.update(
            name,
            || Series::Gauge(0.0),
            |series| match series {
                Series::Gauge(last) => {
                    *last = value;
                    true
                }
                _ => false,
            },
        );
    }

    /// Records an observation.
    pub fn histogram(&self, name: &str, value: f64) {
        self.update(
            name,
            || Series::Histogram(Box::default()),
            |series| match series {
                // An infinity or NaN would make the sum useless for ever.
                Series::Histogram(observations) if value.is_finite() => {
                    observations.add(value);
                    true
                }
                _ => false,
            },
        );
    }

    /// All metrics that were published so far.
    #[must_use]
    pub fn get(&self) -> BTreeMap<String, Series> {
        self.lock().series.clone()
    }

    /// Takes the metrics that were published since the last call of this method and removes them here. A copy
    /// in another process can [add](GuestMetrics::add) them.
    #[must_use]
    pub fn take(&self) -> Vec<(String, Series)> {
        let mut state = self.lock();
        if !std::mem::take(&mut state.changed) {
            return Vec::new();
        }
        std::mem::take(&mut state.series).into_iter().collect()
    }

    /// Adds metrics that the guests of another process have published since the last time.
    pub fn add(&self, name: &str, published: Series) {
        match published {
            Series::Counter(sum) => self.counter(name, sum),
            Series::Gauge(value) => self.gauge(name, value),
            Series::Histogram(more) => self.update(
                name,
                || Series::Histogram(Box::default()),
                |series| match series {
                    Series::Histogram(observations) => observations.merge(&more),
                    _ => false,
                },
            ),
        }
    }

    /// Number of updates that were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Takes the number of updates that were dropped since the last call of this method. A copy in another
    /// process can [add](GuestMetrics::add_dropped) it.
    #[must_use]
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Counts updates that were dropped in another process since the last time.
    pub fn add_dropped(&self, updates: u64) {
        let mut state = self.lock();
        state.dropped = state.dropped.saturating_add(updates);
    }

    fn update(&self, name: &str, new: impl FnOnce() -> Series, change: impl FnOnce(&mut Series) -> bool) {
        let mut state = self.lock();
        if !state.series.contains_key(name) && state.series.len() < Self::MOST && is_name(name) {
            state.series.insert(name.to_owned(), new());
        }
        let changed = state.series.get_mut(name).is_some_and(change);
        state.changed = true;
        if !changed {
            state.dropped = state.dropped.saturating_add(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.len() <= GuestMetrics::LONGEST
        && name.bytes().next().is_some_and(|first| fine(first) && !first.is_ascii_digit())
        && name.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_by_name_and_kind() {
        let metrics = GuestMetrics::default();
        metrics.counter("seen", 2);
        metrics.counter("seen", 3);
        metrics.gauge("depth", 1.5);
        metrics.histogram("size", 3.0);
        let all = metrics.get();
        assert_eq!(all["seen"], Series::Counter(5));
        assert_eq!(all["depth"], Series::Gauge(1.5));
        let Series::Histogram(sizes) = &all["size"] else { panic!("a histogram") };
        assert_eq!((sizes.count, sizes.sum, sizes.buckets[12]), (1, 3.0, 1));
    }

    #[test]
    fn what_another_process_cannot_have_counted_is_dropped_and_never_overflows() {
        let metrics = GuestMetrics::default();
        let claimed = |count, buckets: &[u64], sum| {
            let mut claimed = Observations { count, sum, ..Observations::default() };
            claimed.buckets[..buckets.len()].copy_from_slice(buckets);
            Series::Histogram(Box::new(claimed))
        };
        metrics.add("size", claimed(2, &[1, 1], 3.0));
        for impossible in [
            claimed(u64::MAX, &[], 0.0),
            claimed(1, &[2], 0.0),
            claimed(u64::MAX - 2, &[u64::MAX - 2, 3], 0.0),
            claimed(1, &[], f64::INFINITY),
        ] {
            metrics.add("size", impossible);
        }
        metrics.add_dropped(u64::MAX);
        let Series::Histogram(sizes) = &metrics.get()["size"] else { panic!("a histogram") };
        assert_eq!((sizes.count, sizes.sum, metrics.dropped()), (2, 3.0, u64::MAX));
    }

    #[test]
    fn what_is_named_badly_too_often_or_twice_differently_is_dropped_and_counted() {
        let metrics = GuestMetrics::default();
        for name in ["", "1a", "a-b", "ü", &"a".repeat(65)] {
            metrics.counter(name, 1);
        }
        assert_eq!((metrics.get().len(), metrics.dropped()), (0, 5));
        for number in 0..70 {
            metrics.gauge(&format!("g{number}"), 1.0);
        }
        assert_eq!((metrics.get().len(), metrics.dropped()), (64, 11));
        metrics.counter("g0", 1);
        assert_eq!(metrics.dropped(), 12);
        let sizes = GuestMetrics::default();
        for value in [f64::NAN, f64::INFINITY, 1.0] {
            sizes.histogram("size", value);
        }
        let Some(Series::Histogram(found)) = sizes.get().remove("size") else { panic!("a histogram") };
        assert_eq!((found.count, found.sum, sizes.dropped()), (1, 1.0, 2));
    }
}
