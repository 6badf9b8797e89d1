use serde_json::Value;
use tokio::time::Instant;

/// The last answer about the devices of the machine, and when it was given.
#[derive(Debug, Default)]
pub(super) struct DeviceLook(pub(super) Option<(Instant, Value)>);
