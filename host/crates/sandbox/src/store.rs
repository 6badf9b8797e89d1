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
use super::printed::Printed;
use super::stdio::Captured;
use super::ticker::{Alarm, Awake};
use sage_models::ModelAccess;
use sage_observe::GuestMetrics;

/// The host's data about one guest. The host functions that the guest calls reach it.
pub(super) struct GuestStore {
    pub(super) limiter: Limiter,
    pub(super) deadline: Deadline,
    /// Runtime of the guest's asynchronous imports.
    pub(super) io: Arc<LaneIo>,
    pub(super) alarm: Alarm,
    /// Set at the first call after a rest and kept, so that the clock is not woken for each call.
    pub(super) awake: Option<Awake>,
    /// The answer. A host function moves it out only to write to it.
    pub(super) answer: Option<Box<Answer>>,
    pub(super) log: GuestLog,
    pub(super) metrics: Arc<GuestMetrics>,
    pub(super) state: KeyedState,
    /// Whether the component's description allows it to keep state.
    pub(super) keeps_state: bool,
    pub(super) models: Arc<dyn ModelAccess>,
    /// Most bytes of tensors that one inference call may pass.
    pub(super) tensor_bytes: usize,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    pub(super) wasi: WasiCtx,
    pub(super) resources: ResourceTable,
    /// Names of the operator's inputs, by number.
    pub(super) edges: Arc<[Option<String>]>,
    /// The input of the current call's records. `None` outside such a call.
    pub(super) edge: Option<u32>,
}

impl GuestStore {
    /// Refuses a write of a component whose description says that it keeps no state: the input of such a
    /// component may be distributed without regard to keys.
    pub(super) fn may_keep_state(&self) -> wasmtime::Result<()> {
        if self.keeps_state {
            return Ok(());
        }
        let broken = "the component wrote state, but its description says that it keeps none";
        Err(HostTrap::error(FailureCode::Malformed, broken))
    }

    /// Waits for another party during a call of the guest. The clock that stops guests need not tick for this
    /// guest meanwhile.
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

impl GuestStore {
    /// Takes what the guest printed during the call.
    pub(super) fn take_printed(&self) -> Printed {
        let ((stdout, _), (stderr, _)) = (self.stdout.take(), self.stderr.take());
        Printed { stdout, stderr }
    }

    /// Turns the guest's writes to standard output and standard error into log lines.
    pub(super) fn say_what_was_written(&mut self) {
        for (level, captured) in [(tracing::Level::INFO, &self.stdout), (tracing::Level::WARN, &self.stderr)] {
            let (text, written) = captured.take();
            if written > 0 {
                for line in text.lines() {
                    self.log.write(level, line);
                }
            }
        }
    }
}
