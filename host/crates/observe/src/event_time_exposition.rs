use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::labels::Labels;
use super::{EventTimeGauge, InstanceView};

/// Encodes how far event time is in each instance. Writes nothing for instances without event time.
pub(super) fn encode_event_time(
    encoder: &mut DescriptorEncoder<'_>,
    instances: &[(Labels<'_>, &InstanceView)],
) -> fmt::Result {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let times = || {
        let time = |view: &InstanceView| EventTimeGauge::of_all(view.event_times.iter().map(|gauge| &**gauge));
        instances.iter().filter_map(move |(labels, view)| Some((labels, seconds(time(view)?))))
    };
    if times().next().is_none() {
        return Ok(());
    }
    let at = "Event time that the instance has reached, in seconds since 1970";
    let mut family = encoder.encode_descriptor("sage_watermark_seconds", at, None, MetricType::Gauge)?;
    for (labels, time) in times() {
        family.encode_family(labels)?.encode_gauge(&time)?;
    }
    let lag = "How far the instance's event time is behind the clock";
    let mut family = encoder.encode_descriptor("sage_watermark_lag_seconds", lag, None, MetricType::Gauge)?;
    for (labels, time) in times() {
        family.encode_family(labels)?.encode_gauge(&(now - time))?;
    }
    Ok(())
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "the microseconds of this century are exact, and of others nearly")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
