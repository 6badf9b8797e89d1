use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::labels::{Labels, with};
use super::seconds::seconds;
use super::{DeviceNumbers, DeviceView, InferenceCounters, InstanceView, Latency, ModelCounters};

/// Name (without `_total`, which is added), help text, value.
type Families<T, const N: usize> = [(&'static str, &'static str, fn(&T) -> Value); N];

enum Value {
    Number(u64),
    Nanoseconds(u64),
}

const INSTANCES: Families<InferenceCounters, 8> = [
    ("sage_inference_calls", "Calls of models", |c| Value::Number(c.calls.get())),
    ("sage_inference_rows", "Rows of calls of models", |c| Value::Number(c.rows.get())),
    ("sage_inference_bytes_in", "Bytes of tensors passed to models", |c| Value::Number(c.bytes_in.get())),
    ("sage_inference_bytes_out", "Bytes of tensors that models returned", |c| Value::Number(c.bytes_out.get())),
    ("sage_inference_wait_seconds", "Time that calls waited for a device, each until its first rows ran", |c| {
        Value::Nanoseconds(c.wait_nanoseconds.get())
    }),
    ("sage_inference_device_seconds", "Device time; a shared run is divided by rows", |c| {
        Value::Nanoseconds(c.device_nanoseconds.get())
    }),
    ("sage_inference_cpu_seconds", "CPU time on the devices' own threads", |c| {
        Value::Nanoseconds(c.cpu_nanoseconds.get())
    }),
    (
        "sage_lease_wait_seconds",
        "Time that the instance waited for its lease, since its pipeline asked to be admitted",
        |c| Value::Nanoseconds(c.lease_wait_nanoseconds.get()),
    ),
];

const MODELS: Families<ModelCounters, 8> = [
    ("sage_model_calls", "Calls that ran; a call that was split counts as several", |c| Value::Number(c.calls.get())),
    ("sage_model_rows", "Rows that ran", |c| Value::Number(c.rows.get())),
    ("sage_model_runs", "Runs; calls that ran together count as one", |c| Value::Number(c.runs.get())),
    ("sage_model_bytes_in", "Bytes of tensors that went in", |c| Value::Number(c.bytes_in.get())),
    ("sage_model_bytes_out", "Bytes of tensors that came out", |c| Value::Number(c.bytes_out.get())),
    ("sage_model_wait_seconds", "Time that calls waited, each until its first rows ran", |c| {
        Value::Nanoseconds(c.wait_nanoseconds.get())
    }),
    ("sage_model_run_seconds", "Time of runs", |c| Value::Nanoseconds(c.run_nanoseconds.get())),
    ("sage_model_cpu_seconds", "CPU time of runs", |c| Value::Nanoseconds(c.cpu_nanoseconds.get())),
];

/// Encodes the use of devices by instances, and the work of the devices. Writes nothing for an empty set.
pub(super) fn encode_inference(
    encoder: &mut DescriptorEncoder<'_>,
    instances: &[(Labels<'_>, &InstanceView)],
    devices: &[DeviceView],
) -> fmt::Result {
    let served: Vec<_> =
        instances.iter().filter_map(|(labels, view)| Some((labels.clone(), view.inference.as_deref()?))).collect();
    if !served.is_empty() {
        encode_counters(encoder, INSTANCES, &served)?;
        let errors = served.iter().map(|(labels, counters)| (labels, &counters.errors));
        encode_errors(encoder, "sage_inference_errors", "Calls of models that failed", errors)?;
    }
    if !devices.is_empty() {
        encode_devices(encoder, devices)?;
    }
    Ok(())
}

fn encode_devices(encoder: &mut DescriptorEncoder<'_>, devices: &[DeviceView]) -> fmt::Result {
    let numbers: Vec<(Labels<'_>, DeviceNumbers)> =
        devices.iter().map(|view| (vec![("device", view.name.as_str())], view.reading.read())).collect();
    let mut family = encoder.encode_descriptor("sage_device_memory_bytes", "Memory in use", None, MetricType::Gauge)?;
    for (labels, used) in numbers.iter().filter_map(|(labels, n)| Some((labels, n.memory_used?))) {
        family.encode_family(labels)?.encode_gauge(&used)?;
    }
    let mut family =
        encoder.encode_descriptor("sage_device_waiting_calls", "Calls that wait", None, MetricType::Gauge)?;
    for (labels, device) in &numbers {
        family.encode_family(labels)?.encode_gauge(&device.waiting)?;
    }
    let mut family =
        encoder.encode_descriptor("sage_device_leases", "Leases of this process by state", None, MetricType::Gauge)?;
    for (labels, device) in &numbers {
        for (state, n) in &device.leases {
            family.encode_family(&with(labels, "state", state))?.encode_gauge(n)?;
        }
    }
    let help = "Time that threads waited for other runs' turns";
    let mut family = encoder.encode_descriptor("sage_device_turn_wait_seconds", help, None, MetricType::Counter)?;
    for (labels, waited) in numbers.iter().filter_map(|(labels, n)| Some((labels, n.turn_wait_nanoseconds?))) {
        encode(&mut family, labels, &Value::Nanoseconds(waited))?;
    }
    let help = "Leases of this process that ended, by last state";
    let mut family = encoder.encode_descriptor("sage_device_leases_ended", help, None, MetricType::Counter)?;
    for (labels, device) in &numbers {
        for (state, n) in &device.ended {
            encode(&mut family, &with(labels, "state", state), &Value::Number(*n))?;
        }
    }
    let models = numbers.iter().flat_map(|(labels, device)| {
        device.models.iter().map(move |(name, counters)| (with(labels, "model", name), counters.as_ref()))
    });
    let models: Vec<_> = models.collect();
    encode_counters(encoder, MODELS, &models)?;
    let errors = models.iter().map(|(labels, counters)| (labels, &counters.errors));
    encode_errors(encoder, "sage_model_errors", "Runs that failed", errors)?;
    type Times = fn(&ModelCounters) -> &Latency;
    let families: [(&str, &str, Times); 2] = [
        ("sage_model_wait_quantile_seconds", "Time that this share of the calls waited at most", |c| &c.wait),
        ("sage_model_run_quantile_seconds", "Time that this share of the runs took at most", |c| &c.run),
    ];
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, counters) in &models {
            for (quantile, share) in [("0.5", 0.5), ("0.99", 0.99), ("1.0", 1.0)] {
                if let Some(nanoseconds) = read(counters).percentile(share) {
                    let labels = with(labels, "quantile", quantile);
                    family.encode_family(&labels)?.encode_gauge(&seconds(nanoseconds))?;
                }
            }
        }
    }
    Ok(())
}

fn encode_counters<T, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    families: Families<T, N>,
    counted: &[(Labels<'_>, &T)],
) -> fmt::Result {
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, counters) in counted {
            encode(&mut family, labels, &read(counters))?;
        }
    }
    Ok(())
}

fn encode_errors<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    errors: impl Iterator<Item = (&'a Labels<'a>, &'a super::ErrorCounts)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, errors) in errors {
        for (code, n) in errors.get() {
            encode(&mut family, &with(labels, "code", code), &Value::Number(n))?;
        }
    }
    Ok(())
}

fn encode(family: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: &Value) -> fmt::Result {
    let mut series = family.encode_family(labels)?;
    match *value {
        Value::Number(n) => series.encode_counter::<NoLabelSet, u64, u64>(&n, None),
        Value::Nanoseconds(n) => series.encode_counter::<NoLabelSet, f64, u64>(&seconds(n), None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::DeviceReading;
    use super::super::exposition::Exposition;
    use super::super::registry::watched;
    use super::*;

    struct Still;

    impl DeviceReading for Still {
        fn read(&self) -> DeviceNumbers {
            let model = ModelCounters::default();
            model.runs.add(2);
            model.rows.add(40);
            model.run_nanoseconds.add(1_500_000_000);
            model.run.record(1 << 20, 2);
            model.errors.count("out-of-memory");
            DeviceNumbers {
                memory_used: Some(1000),
                waiting: 3,
                turn_wait_nanoseconds: Some(250_000_000),
                leases: BTreeMap::from([("held", 2)]),
                ended: BTreeMap::from([("revoked", 1)]),
                models: vec![("magika".to_owned(), Arc::new(model))],
            }
        }
    }

    #[test]
    fn devices_and_those_they_serve_have_their_series() {
        let mut registry = Arc::into_inner(watched(&[("a", "map", 1), ("b", "map", 1)])).unwrap();
        let counters = InferenceCounters::new(vec!["cpu0".to_owned()]);
        counters.calls.add(7);
        counters.cpu_nanoseconds.add(2_500_000_000);
        counters.errors.count("busy");
        registry.stages[1].instances[0].inference = Some(Arc::new(counters));
        registry.devices.push(DeviceView { name: "cpu0".to_owned(), reading: Arc::new(Still) });
        let text = Exposition::new(Arc::new(registry)).write().unwrap();
        for line in [
            "sage_inference_calls_total{pipeline=\"p\",tenant=\"t\",operator=\"b\",operator_instance=\"0\"} 7",
            "sage_inference_cpu_seconds_total{pipeline=\"p\",tenant=\"t\",operator=\"b\",operator_instance=\"0\"} 2.5",
            "sage_inference_errors_total{pipeline=\"p\",tenant=\"t\",operator=\"b\",\
             operator_instance=\"0\",code=\"busy\"} 1",
            "sage_device_memory_bytes{pipeline=\"p\",tenant=\"t\",device=\"cpu0\"} 1000",
            "sage_device_waiting_calls{pipeline=\"p\",tenant=\"t\",device=\"cpu0\"} 3",
            "sage_device_turn_wait_seconds_total{pipeline=\"p\",tenant=\"t\",device=\"cpu0\"} 0.25",
            "sage_device_leases{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",state=\"held\"} 2",
            "sage_device_leases_ended_total{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",state=\"revoked\"} 1",
            "sage_model_rows_total{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",model=\"magika\"} 40",
            "sage_model_run_seconds_total{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",model=\"magika\"} 1.5",
            "sage_model_errors_total{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",\
             model=\"magika\",code=\"out-of-memory\"} 1",
            "sage_model_run_quantile_seconds{pipeline=\"p\",tenant=\"t\",device=\"cpu0\",\
             model=\"magika\",quantile=\"0.99\"} 0.001048576",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("sage_inference_calls_total{pipeline=\"p\",tenant=\"t\",operator=\"a\""), "{text}");
    }

    #[test]
    fn a_run_without_devices_says_nothing_of_them() {
        let text = Exposition::new(watched(&[("a", "map", 1)])).write().unwrap();
        assert!(!["sage_inference", "sage_device", "sage_model"].iter().any(|name| text.contains(name)), "{text}");
    }
}
