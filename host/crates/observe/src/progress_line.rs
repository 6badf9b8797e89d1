use std::time::Instant;

use super::numbers::{count, rate, time};
use super::{InstanceCounters, Registry, SourceReading};
use sage_text::short_size;

/// Measures how fast records are read since the last measurement.
#[derive(Debug)]
pub(super) struct Pulse {
    at: Instant,
    records: u64,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, records: 0 }
    }

    /// Records per second since the last call of this method.
    pub(super) fn beat(&mut self, registry: &Registry, now: Instant) -> f64 {
        let records = records_read(registry);
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "people read only three digits")]
        let new = records.saturating_sub(self.records) as f64;
        *self = Self { at: now, records };
        if elapsed > 0.0 { new / elapsed } else { 0.0 }
    }
}

/// The state of the run in one line. Numbers that are zero and of no interest are left out.
pub(super) fn status(registry: &Registry, per_second: f64, sources: &[SourceReading]) -> String {
    let mut parts = vec![
        format!("{} records read", count(records_read(registry))),
        format!("{}/s", rate(per_second)),
        time(registry.began.elapsed().as_secs_f64().round()),
    ];
    let waiting =
        registry.stages.iter().flat_map(|stage| &stage.instances).map(|instance| (instance.queue_bytes)()).sum();
    if waiting > 0 {
        parts.push(format!("{} waiting", short_size(waiting)));
    }
    type Read = fn(&InstanceCounters) -> u64;
    let failures: [(&str, Read); 4] = [
        ("rejected", |c| c.rejected.get()),
        ("dead-lettered", |c| c.dead_lettered.get()),
        ("failed", |c| c.failed.get()),
        ("restarts", |c| c.restarts.get()),
    ];
    for (what, read) in failures {
        let n =
            registry.stages.iter().flat_map(|stage| &stage.instances).map(|instance| read(&instance.counters)).sum();
        if n > 0 {
            parts.push(format!("{} {what}", count(n)));
        }
    }
    for source in sources {
        if let Some(percent) = percent(source) {
            parts.push(format!("{} {percent} %", source.name));
        }
    }
    parts.join(", ")
}

fn records_read(registry: &Registry) -> u64 {
    let sources = registry.stages.iter().filter(|stage| stage.kind == "source");
    sources.flat_map(|stage| &stage.instances).map(|instance| instance.counters.records_out.get()).sum()
}

fn percent(source: &SourceReading) -> Option<u128> {
    let total = source.total.filter(|&total| total > 0)?;
    Some((u128::from(source.done) * 100 / u128::from(total)).min(100))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::registry::watched;
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_time_since_the_last_beat() {
        let registry = watched(&[("s", "source", 1)]);
        let records = &registry.stages[0].instances[0].counters.records_out;
        let begun = Instant::now();
        let mut pulse = Pulse::new(begun);
        assert_eq!(pulse.beat(&registry, begun), 0.0);
        records.add(500);
        assert_eq!(pulse.beat(&registry, begun + Duration::from_secs(2)), 250.0);
        assert_eq!(pulse.beat(&registry, begun + Duration::from_secs(3)), 0.0);
        records.add(10);
        assert_eq!(pulse.beat(&registry, begun + Duration::from_secs(4)), 10.0);
    }

    #[test]
    fn shares_of_sources_without_a_known_end_are_not_made_up() {
        let source = |done, total| SourceReading { name: "s".into(), done, total, bytes: true, bounded: true };
        for (done, total, expected) in
            [(1, Some(3), Some(33)), (9, Some(3), Some(100)), (0, Some(0), None), (5, None, None)]
        {
            assert_eq!(percent(&source(done, total)), expected);
        }
    }
}
