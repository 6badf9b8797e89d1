use sage_jobs::RestartClass;

use super::next::{Step, blame};
use super::rollout::{Rollout, RolloutEnd, RolloutOutcome, RolloutStage};
use super::{Action, Blame, Desired, Outcome, State, StopMode, Timeouts};

/// Why a new revision was not started.
const COMPLETED_BEFORE: &str = "the job had completed before";

/// The part of the states that a change of the revision adds.
impl Step {
    /// A user asks for another revision. The check of a first one, and a change under way, come first.
    pub(super) fn roll_out(&mut self, to: u32, watch: u64) {
        let state = self.job.state;
        if self.job.rollout.is_some() || state == State::Checking {
            return;
        }
        self.job.rollout = Some(Rollout {
            from: self.job.revision,
            to,
            stage: RolloutStage::Checking,
            until: None,
            watch,
            class_before: self.job.class,
            class: None,
            ran: self.job.desired == Desired::Running && !state.is_ended(),
        });
        self.job.last_rollout = None;
        self.actions.push(Action::Check);
    }

    /// Whether a process checks a new revision beside the job.
    pub(super) fn checks_beside(&self) -> bool {
        self.is_at(RolloutStage::Checking)
    }

    fn is_at(&self, stage: RolloutStage) -> bool {
        self.job.rollout.as_ref().is_some_and(|rollout| rollout.stage == stage)
    }

    /// The check of the new revision found no objection.
    pub(super) fn switch(&mut self, class: RestartClass) {
        let Some(rollout) = &mut self.job.rollout else { return };
        rollout.class = Some(class);
        rollout.until = None;
        match self.job.state {
            State::Starting | State::Running => {
                rollout.stage = RolloutStage::Switching;
                self.job.again = true;
                self.end_process(StopMode::Drain, None);
            }
            State::Draining | State::Aborting | State::Killing => rollout.stage = RolloutStage::Switching,
            State::Ended { outcome: Outcome::Completed, .. } if rollout.ran => {
                self.put_in_force();
                self.end_rollout(RolloutOutcome::Done, Some(COMPLETED_BEFORE.to_owned()));
            }
            State::Ended { .. } => {
                self.put_in_force();
                self.job.desired = Desired::Running;
                self.job.restarts.clear();
                self.job.in_a_row = 0;
                self.queue(None);
            }
            State::Backoff => {
                self.put_in_force();
                self.queue(None);
            }
            State::Queued | State::Checking => self.put_in_force(),
        }
    }

    fn put_in_force(&mut self) {
        let Some(rollout) = &mut self.job.rollout else { return };
        rollout.stage = RolloutStage::Watching;
        self.job.revision = rollout.to;
        self.job.class = rollout.class;
    }

    /// The last attempt of the revision before has ended. Returns whether that was decided here.
    pub(super) fn switched(&mut self, completed: Option<u8>) -> bool {
        if !self.is_at(RolloutStage::Switching) {
            return false;
        }
        self.put_in_force();
        match completed {
            Some(exit_code) => {
                self.end_rollout(RolloutOutcome::Done, Some(COMPLETED_BEFORE.to_owned()));
                self.end(Outcome::Completed, exit_code, None);
            }
            None if self.job.desired == Desired::Running => self.queue(None),
            None => {
                // The stop came before the rollout.
                self.end(Outcome::Stopped, 0, None);
            }
        }
        true
    }

    /// Records of the new revision flow, or could: its time begins.
    pub(super) fn watch(&mut self) {
        let now = self.now;
        if let Some(rollout) = self.job.rollout.as_mut().filter(|rollout| rollout.stage == RolloutStage::Watching) {
            rollout.until = Some(now.saturating_add(rollout.watch));
        }
    }

    /// The new revision has failed: the one before is in force again. Returns whether that was decided here.
    pub(super) fn roll_back(&mut self, exit_code: u8, why: Option<&Blame>) -> bool {
        let watched = self.job.rollout.as_ref().filter(|rollout| rollout.stage == RolloutStage::Watching);
        let Some(Rollout { from, class_before, ran, .. }) = watched.cloned() else { return false };
        if self.job.desired == Desired::Stopped {
            return false;
        }
        self.job.revision = from;
        self.job.class = class_before;
        let message = why.map(|why| why.message.clone());
        self.end_rollout(RolloutOutcome::RolledBack, message);
        if ran {
            self.queue(None);
        } else {
            self.end(Outcome::Failed, exit_code, why.cloned());
        }
        true
    }

    /// Whether a revision that finds no room waits for it: the one before did not run either.
    pub(super) fn may_wait_for_room(&self) -> bool {
        self.job.rollout.as_ref().is_none_or(|rollout| !rollout.ran)
    }

    /// The user stops the job. The revision that is in force stays so.
    pub(super) fn cancel_rollout(&mut self) {
        if self.checks_beside() {
            self.actions.push(Action::EndCheck);
        }
        self.end_rollout(RolloutOutcome::Cancelled, None);
    }

    /// The job ends. A check beside it goes on, and decides what follows.
    pub(super) fn rollout_over(&mut self, outcome: Outcome) {
        if !self.checks_beside() {
            let is_good = matches!(outcome, Outcome::Completed | Outcome::Stopped);
            self.end_rollout(if is_good { RolloutOutcome::Done } else { RolloutOutcome::Cancelled }, None);
        }
    }

    /// The check of the new revision has an objection, or broke.
    pub(super) fn refuse_rollout(&mut self, message: String) {
        self.end_rollout(RolloutOutcome::Refused, Some(message));
    }

    fn end_rollout(&mut self, outcome: RolloutOutcome, message: Option<String>) {
        let Some(Rollout { from, to, .. }) = self.job.rollout.take() else { return };
        self.job.last_rollout = Some(RolloutEnd { from, to, at: self.now, outcome, message });
    }

    /// The time of a stage is over.
    pub(super) fn rollout_too_late(&mut self) {
        let Some(rollout) = &mut self.job.rollout else { return };
        match (rollout.stage, self.job.state) {
            (RolloutStage::Checking, _) => {
                self.actions.push(Action::EndCheck);
                self.refuse_rollout(format!("the check has taken {} s", Timeouts::CHECK / 1000));
            }
            (RolloutStage::Watching, State::Running) => self.end_rollout(RolloutOutcome::Done, None),
            // The next attempt begins the time anew.
            _ => rollout.until = None,
        }
    }

    /// A server was started again while a new revision was being checked.
    pub(super) fn check_beside_again(&mut self) {
        if self.checks_beside() {
            if let Some(rollout) = &mut self.job.rollout {
                rollout.until = None;
            }
            self.actions.push(Action::Check);
        }
    }

    /// The reason why an attempt ended, for a rollback.
    pub(super) fn fails(&mut self, code: &str, exit_code: u8, message: Option<&String>) -> bool {
        let why = message.and_then(|message| blame(code, message.clone()));
        self.roll_back(exit_code, why.as_ref())
    }
}
