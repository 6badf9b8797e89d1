use super::exposition::{Exposition, owned};
use super::family::Kind;
use super::reading::Heading;
use super::sample::Sample;

/// How long jobs waited for their turn and for room: a histogram.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    /// Waits up to each bound and above the one before; the last entry is above all bounds.
    buckets: [u64; Self::BOUNDS.len() + 1],
    sum: f64,
}

impl Waits {
    const BOUNDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

    /// Counts a wait.
    pub fn add(&mut self, milliseconds: u64) {
        let seconds = milliseconds as f64 / 1000.0;
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum += seconds;
    }

    /// Writes the histogram of a tenant.
    pub fn write(&self, tenant: &str, into: &mut Exposition) {
        let help = "Time from the end of the check of a job, or of its last attempt, until its process was started";
        let family = Heading { name: "sage_queue_wait_seconds", kind: Kind::Histogram, help };
        let labels = [("tenant", tenant)];
        let mut sample = |suffix: &str, labels: &[(&str, &str)], value: f64| {
            into.add(family, &Sample { name: format!("{}{suffix}", family.name), labels: owned(labels), value });
        };
        let mut count = 0;
        let bounds = Self::BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, in_bucket) in bounds.zip(self.buckets) {
            count += in_bucket;
            sample("_bucket", &[("tenant", tenant), ("le", &bound)], count as f64);
        }
        sample("_sum", &labels, self.sum);
        sample("_count", &labels, count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    #[test]
    fn waits_are_counted_up_to_each_bound() {
        let mut waits = Waits::default();
        for wait in [0, 100, 101, 10_000_000] {
            waits.add(wait);
        }
        let mut all = Exposition::default();
        waits.write("blue", &mut all);
        let text = all.text(Format::OpenMetrics);
        for line in [
            "sage_queue_wait_seconds_bucket{tenant=\"blue\",le=\"0.1\"} 2",
            "sage_queue_wait_seconds_bucket{tenant=\"blue\",le=\"0.5\"} 3",
            "sage_queue_wait_seconds_bucket{tenant=\"blue\",le=\"+Inf\"} 4",
            "sage_queue_wait_seconds_count{tenant=\"blue\"} 4",
            "sage_queue_wait_seconds_sum{tenant=\"blue\"} 10000.201",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
