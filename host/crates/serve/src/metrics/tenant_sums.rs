use std::collections::BTreeMap;

use super::exposition::Exposition;
use super::family::Kind;
use super::reading::Heading;
use super::sample::{Labels, Sample};

/// Sums over the jobs of each tenant, for a server with more jobs than have series of their own.
///
/// Counters, histograms, and gauges of bytes are added up. Other gauges, of which no sum makes sense, are left out, and
/// so are the metrics of operators.
#[derive(Debug, Default)]
pub struct TenantSums(BTreeMap<Key, Sum>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: String,
    name: String,
    labels: Labels,
}

#[derive(Debug)]
struct Sum {
    kind: Kind,
    help: String,
    value: f64,
}

/// Labels that stay: they have few values, whatever a job does.
const KEPT: [&str; 3] = ["code", "le", "limit"];

impl TenantSums {
    /// Most sums. Codes of errors are words of the host.
    const MOST: usize = 100_000;

    /// Adds a sample of a job. `false`: it has no place in a sum.
    pub fn add(&mut self, tenant: &str, family: Heading<'_>, sample: Sample) -> bool {
        let adds_up = match family.kind {
            Kind::Counter | Kind::Histogram => true,
            Kind::Gauge => family.name.ends_with("_bytes"),
            Kind::Info => false,
        };
        if !adds_up || family.name.starts_with("sage_guest_") || self.0.len() >= Self::MOST {
            return false;
        }
        let mut labels = vec![("tenant".to_owned(), tenant.to_owned())];
        labels.extend(sample.labels.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str())));
        let key = Key { family: family.name.to_owned(), name: sample.name, labels };
        let sum = self.0.entry(key);
        sum.or_insert_with(|| Sum { kind: family.kind, help: family.help.to_owned(), value: 0.0 }).value +=
            sample.value;
        true
    }

    /// Writes the sums.
    pub fn write(self, into: &mut Exposition) {
        for (Key { family, name, labels }, Sum { kind, help, value }) in self.0 {
            into.add(Heading { name: &family, kind, help: &help }, &Sample { name, labels, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Reading};
    use super::*;

    #[test]
    fn jobs_of_a_tenant_are_added_up_and_their_labels_go() {
        let text = "# TYPE sage_a counter\nsage_a_total{operator=\"x\",code=\"busy\"} 2\n\
                    # TYPE sage_m_bytes gauge\nsage_m_bytes{operator=\"x\"} 5\n\
                    # TYPE sage_latency_seconds gauge\nsage_latency_seconds{quantile=\"0.5\"} 3\n\
                    # TYPE sage_guest_a counter\nsage_guest_a_total 3\n";
        let mut sums = TenantSums::default();
        for tenant in ["blue", "blue", "green"] {
            let taken = Reading::new(text).flatten().map(|(family, sample)| sums.add(tenant, family, sample));
            assert_eq!(taken.collect::<Vec<_>>(), [true, true, false, false]);
        }
        let mut all = Exposition::default();
        sums.write(&mut all);
        let text = all.text(Format::Plain);
        for line in [
            "sage_a_total{tenant=\"blue\",code=\"busy\"} 4",
            "sage_a_total{tenant=\"green\",code=\"busy\"} 2",
            "sage_m_bytes{tenant=\"blue\"} 10",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
