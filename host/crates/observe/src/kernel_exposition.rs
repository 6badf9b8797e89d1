use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::labels::Labels;
use super::{InstanceView, KernelNumbers};

type Read = fn(&KernelNumbers) -> Option<f64>;

/// Name, help text, whether the value only grows (`_total` is then added), value.
const FAMILIES: [(&str, &str, bool, Read); 8] = [
    ("sage_worker_memory_bytes", "Memory of the worker process, everything counted", false, |n| bytes(n.memory)),
    ("sage_worker_memory_peak_bytes", "Peak memory of the worker process", false, |n| bytes(n.memory_peak)),
    ("sage_worker_memory_max_bytes", "Most memory that the kernel allows the worker", false, |n| bytes(n.memory_max)),
    ("sage_worker_oom_kills", "Workers that the kernel killed for lack of memory", true, |n| bytes(n.oom_kills)),
    ("sage_worker_throttled_periods", "Periods in which a CPU quota was used up", true, |n| bytes(n.throttled_periods)),
    ("sage_worker_throttled_seconds", "Time that a CPU quota held the worker back", true, |n| {
        n.throttled.map(|time| time.as_secs_f64())
    }),
    ("sage_worker_memory_pressure_percent", "Share of ten seconds spent waiting for memory (PSI)", false, |n| {
        n.memory_pressure
    }),
    ("sage_worker_cpu_pressure_percent", "Share of ten seconds spent waiting for a CPU (PSI)", false, |n| {
        n.cpu_pressure
    }),
];

/// Encodes the kernel's counts of worker processes. Writes nothing if there are none.
pub(super) fn encode_kernel(
    encoder: &mut DescriptorEncoder<'_>,
    instances: &[(Labels<'_>, &InstanceView)],
) -> fmt::Result {
    let readings: Vec<_> =
        instances.iter().filter_map(|(labels, view)| Some((labels, view.kernel.as_ref()?.read()))).collect();
    if readings.is_empty() {
        return Ok(());
    }
    for (name, help, grows, read) in FAMILIES {
        let kind = if grows { MetricType::Counter } else { MetricType::Gauge };
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in readings.iter().filter_map(|(labels, numbers)| Some((labels, read(numbers)?))) {
            let mut series = family.encode_family(*labels)?;
            if grows {
                series.encode_counter::<NoLabelSet, f64, u64>(&value, None)?;
            } else {
                series.encode_gauge(&value)?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, exact up to 8 PiB")]
fn bytes(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}
