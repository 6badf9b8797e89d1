use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::EpochProgress;

/// Encodes the epochs of a run with checkpoints. Writes nothing for other runs.
pub(super) fn encode_epochs(encoder: &mut DescriptorEncoder<'_>, epochs: Option<&EpochProgress>) -> fmt::Result {
    let Some(epochs) = epochs else { return Ok(()) };
    let count = "Epochs saved";
    let mut family = encoder.encode_descriptor("sage_checkpoints", count, None, MetricType::Counter)?;
    family.encode_counter::<NoLabelSet, u64, u64>(&epochs.count(), None)?;
    let last = "Number of the last epoch that was saved";
    let mut family = encoder.encode_descriptor("sage_checkpoint_epoch", last, None, MetricType::Gauge)?;
    family.encode_gauge(&epochs.last().unwrap_or(0))?;
    let age = "Time since the last epoch, or since the start";
    let mut family = encoder.encode_descriptor("sage_checkpoint_age_seconds", age, None, MetricType::Gauge)?;
    family.encode_gauge(&epochs.age().as_secs_f64())
}
