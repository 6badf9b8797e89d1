use std::sync::Arc;

use super::deadline::Pacer;
use super::guest_log::LogRate;
use super::keyed_state::KeyedState;
use super::lane_io::LaneIo;

/// The data that outlives a guest. The next guest of the lane continues with it.
pub struct Carried {
    /// The keyed state.
    pub state: KeyedState,
    /// The lane's share of a CPU.
    pub pacer: Option<Box<dyn Pacer>>,
    pub(super) log: LogRate,
    pub(super) io: Option<Arc<LaneIo>>,
}

impl Carried {
    /// The data for the first guest of a lane.
    #[must_use]
    pub fn new(state: KeyedState, pacer: Option<Box<dyn Pacer>>) -> Self {
        Self { state, pacer, log: LogRate::default(), io: None }
    }
}
