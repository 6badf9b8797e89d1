use std::collections::BTreeMap;

use super::answer::{Answer, Checked};
use super::failure::{FailureCode, HostTrap};
use super::window_call::WindowCall;
use sage_batch::{Column, Malformed};
use sage_plan::Kind;

impl Answer {
    /// window: the records that came too late, in rising order.
    #[must_use]
    pub fn late(&self) -> &[u32] {
        &self.late
    }

    pub(super) fn take_accumulators(&mut self, offsets: &[u32], bytes: &[u8]) -> Checked {
        const FUNCTION: &str = "windows-output.accumulators";
        if self.kind != Kind::Window {
            return Err(self.wrong_function(FUNCTION));
        }
        self.speaks(&FUNCTION)?;
        let WindowCall::Accumulates(call, expected) = self.window else {
            return Err(HostTrap::error(
                FailureCode::Malformed,
                format!("{FUNCTION} was called outside of fold and merge"),
            ));
        };
        if std::mem::replace(&mut self.answered, true) {
            let message = format!("{call} may call {FUNCTION} only once per call");
            return Err(HostTrap::error(FailureCode::Malformed, message));
        }
        self.weigh("accumulators", offsets, bytes)?;
        let found = self.column.assign("accumulators", offsets, bytes).map_err(|e| HostTrap::malformed(&e))?;
        if found != expected {
            return Err(HostTrap::malformed(&Malformed::Count { column: "accumulators", found, expected }));
        }
        Ok(())
    }

    /// Checks at the end of a call of a window operator that it gave the accumulators.
    pub(super) fn finish_window_call(&self) -> Result<(), HostTrap> {
        match self.window {
            WindowCall::Accumulates(call, slots) if slots > 0 && !self.answered => {
                let message = format!("{call} must call windows-output.accumulators once per call, but did not");
                Err(HostTrap { code: FailureCode::Malformed, message })
            }
            _ => Ok(()),
        }
    }

    /// Checks that the current call may emit records, and that each names its window.
    pub(super) fn may_emit(&mut self, parents: Option<&[u32]>) -> Checked {
        match (self.window, parents) {
            (WindowCall::Accumulates(call, _), _) => {
                let message = format!("{call} emitted records; a window emits in finish");
                Err(HostTrap::error(FailureCode::Malformed, message))
            }
            (WindowCall::Finishes, None) => {
                let message = "emit: each record of a window needs a parent, the number of its window";
                Err(HostTrap::error(FailureCode::Malformed, message))
            }
            // The host adds the key of the window.
            (WindowCall::Finishes, Some(parents)) => self.count(self.inherited_by(parents)),
            (WindowCall::Elsewhere, _) => Ok(()),
        }
    }

    /// Checks that the current call may reject records.
    pub(super) fn may_reject(&self) -> Checked {
        let call = match self.window {
            WindowCall::Accumulates("merge", _) => "merge",
            WindowCall::Finishes => "finish",
            _ => return Ok(()),
        };
        let message = format!("{call} rejected records; a window rejects in fold");
        Err(HostTrap::error(FailureCode::Malformed, message))
    }

    /// Sets the keys of the windows of the next call, which its records inherit.
    pub(super) fn inherit_keys(&mut self, keys: &Column) {
        self.inherited.clear();
        self.inherited.extend(keys.iter().map(|key| key.len() as u64));
    }

    /// Gives the emitted records the keys and the last microseconds of their windows, where the guest gave none. They
    /// have no parents any more: windows are no input records.
    pub(super) fn complete_with_windows(&mut self, keys: &Column, ends: &[i64]) {
        for emission in self.emissions.iter_mut().take(self.emitted) {
            let Some(parents) = emission.parents.take() else { continue };
            if emission.batch.keys().is_none() {
                let mut own = Column::new();
                for &parent in &parents {
                    own.push(keys.get(parent as usize).unwrap_or_default());
                }
                emission.batch.swap_keys(&mut own);
            }
            if emission.batch.timestamps().is_none() {
                let last = |&parent: &u32| ends.get(parent as usize).map_or(0, |end| end.saturating_sub(1));
                let mut own: Vec<i64> = parents.iter().map(last).collect();
                emission.batch.swap_timestamps(&mut own);
            }
        }
    }

    /// Sets what became of the records of a batch that was folded. What the last call emitted stays.
    pub(super) fn set_outcome(&mut self, records: usize, late: &[u32], rejected: &BTreeMap<u32, String>) {
        self.over(records);
        self.late.extend_from_slice(late);
        self.rejected.extend(rejected.keys());
        for message in rejected.values() {
            self.messages.push(message.as_bytes());
        }
    }

    /// Takes the late records of an answer from another process.
    pub(super) fn take_late(&mut self, late: &[u32]) -> Checked {
        sage_batch::check_rising("late", late, self.rows(), None).map_err(|e| HostTrap::malformed(&e))?;
        self.late.extend_from_slice(late);
        Ok(())
    }
}
