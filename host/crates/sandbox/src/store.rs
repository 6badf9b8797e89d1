use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::answer::Answer;
use super::deadline::Deadline;
use super::failure::{FailureCode, HostTrap};
use super::guest_log::GuestLog;
use super::keyed_state::KeyedState;
use super::lane_io::LaneIo;
use super::limiter::Limiter;
use super::stdio::Captured;
use super::ticker::{Alarm, Awake};
use sage_models::ModelAccess;
use sage_observe::GuestMetrics;

/// Everything the host keeps for one guest, reachable from the functions it calls.
pub(super) struct GuestStore {
    pub(super) limiter: Limiter,
    pub(super) deadline: Deadline,
    /// Where its asynchronous imports run.
    pub(super) io: Arc<LaneIo>,
    pub(super) alarm: Alarm,
    /// Kept from the first call after a rest, so that the clock is not woken for each.
    pub(super) awake: Option<Awake>,
    /// Taken out only while a host function writes it.
    pub(super) answer: Option<Box<Answer>>,
    pub(super) log: GuestLog,
    pub(super) metrics: Arc<GuestMetrics>,
    pub(super) state: KeyedState,
    /// Whether the component's description lets it keep any.
    pub(super) keeps_state: bool,
    pub(super) models: Arc<dyn ModelAccess>,
    /// Bytes of tensors that one inference call may pass.
    pub(super) tensor_bytes: usize,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    pub(super) wasi: WasiCtx,
    pub(super) resources: ResourceTable,
}

impl GuestStore {
    /// Refuses a write of a component that says that it keeps no state: its input may be spread without regard to keys.
    pub(super) fn may_keep_state(&self) -> wasmtime::Result<()> {
        if self.keeps_state {
            return Ok(());
        }
        let broken = "state was written, and the component's description says that it keeps none";
        Err(HostTrap::error(FailureCode::Malformed, broken))
    }

    /// Waits for others, in a call of the guest's: meanwhile the clock that stops guests need not tick for this one.
    pub(super) fn waiting<R>(&mut self, wait: impl FnOnce(&mut Self) -> R) -> R {
        self.awake = None;
        let waited = wait(self);
        self.awake = self.alarm.wake();
        waited
    }
}

impl WasiView for GuestStore {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}
