use sage_jobs::JobOutcome;

use super::{Action, Blame, Desired, Event, Job, Outcome, RestartOn, RestartPolicy, State, StopMode, Timeouts};

/// Exit codes of `run`.
const FAULT: u8 = 1;
const FAILED: u8 = 4;
const INTERRUPTED: u8 = 130;

/// The state after an event, and what to do once it is on disk. An event that means nothing in this state changes
/// nothing.
#[must_use]
pub fn next(job: &Job, event: Event, now: u64) -> (Job, Vec<Action>) {
    let mut step = Step { job: job.clone(), actions: Vec::new(), now };
    step.take(event);
    (step.job, step.actions)
}

pub(super) struct Step {
    pub(super) job: Job,
    pub(super) actions: Vec<Action>,
    pub(super) now: u64,
}

impl Step {
    fn take(&mut self, event: Event) {
        let state = self.job.state;
        match event {
            Event::Checked { class } if state == State::Checking => {
                self.job.class = Some(class);
                self.queue(None);
            }
            Event::Objected { exit_code, message } if state == State::Checking => {
                let code = if exit_code == 3 { "refused" } else { "invalid" };
                self.end(Outcome::Rejected, exit_code, blame(code, message));
            }
            Event::CheckBroke { message } if state == State::Checking => {
                self.end(Outcome::Failed, FAULT, blame("check-broke", message));
            }
            Event::Checked { class } if self.checks_beside() => self.switch(class),
            Event::Objected { message, .. } | Event::CheckBroke { message } if self.checks_beside() => {
                self.refuse_rollout(message);
            }
            Event::RollOut { to, watch } => self.roll_out(to, watch),
            Event::Chosen if state == State::Queued => self.start(),
            Event::NotStarted { attempt, message } if self.is_of(attempt) => {
                self.failed(RestartOn::Crash, FAULT, blame("not-started", message));
            }
            Event::Runs { attempt } if self.is_of(attempt) && state == State::Starting => {
                self.job.ran = Some(self.now);
                self.enter(State::Running, None);
                self.watch();
            }
            Event::Ended { attempt, outcome, exit_code, message } if self.is_of(attempt) => {
                self.ended(outcome, exit_code, message);
            }
            Event::Crashed { attempt, message } if self.is_of(attempt) => self.crashed(message),
            Event::NeverBegan { attempt } if self.is_of(attempt) => self.never_began(),
            Event::Restored => self.restored(),
            Event::Stop { mode, timeout } => self.stop(mode, timeout),
            Event::Start => self.start_by_user(),
            Event::Restart => self.restart_by_user(),
            Event::Tick => self.tick(),
            _ => {}
        }
    }

    /// Whether this attempt may have a process.
    fn is_of(&self, attempt: u32) -> bool {
        self.job.state.is_live() && self.job.attempt == attempt
    }

    fn tick(&mut self) {
        if self.job.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.too_late();
        }
        let until = self.job.rollout.as_ref().and_then(|rollout| rollout.until);
        if until.is_some_and(|until| until <= self.now) {
            self.rollout_too_late();
        }
    }

    fn enter(&mut self, state: State, deadline: Option<u64>) {
        self.job.state = state;
        self.job.since = self.now;
        self.job.deadline = deadline.map(|time| self.now.saturating_add(time));
        if !matches!(state, State::Ended { .. } | State::Backoff | State::Queued | State::Killing) {
            self.job.blame = None;
        }
    }

    pub(super) fn queue(&mut self, why: Option<Blame>) {
        self.enter(State::Queued, None);
        self.job.again = false;
        self.job.ran = None;
        self.job.blame = why;
        self.actions.push(Action::Enqueue);
    }

    fn start(&mut self) {
        self.job.attempt = self.job.attempt.saturating_add(1);
        // Why it waited is true until it runs: the attempt may find no room again.
        let waited = self.job.blame.take();
        self.enter(State::Starting, Some(Timeouts::START));
        self.job.blame = waited;
        self.actions.push(Action::Spawn { attempt: self.job.attempt });
    }

    pub(super) fn end(&mut self, outcome: Outcome, exit_code: u8, why: Option<Blame>) {
        self.rollout_over(outcome);
        self.enter(State::Ended { outcome, exit_code }, None);
        self.job.again = false;
        self.job.desired = Desired::Stopped;
        self.job.blame = why;
    }

    fn ended(&mut self, outcome: JobOutcome, exit_code: u8, message: Option<String>) {
        let why = |code| message.clone().and_then(|message| blame(code, message));
        if self.switched((outcome == JobOutcome::Completed).then_some(exit_code)) {
            return;
        }
        match outcome {
            JobOutcome::NoRoom | JobOutcome::TenantFull if self.may_wait_for_room() => {}
            JobOutcome::Completed | JobOutcome::Drained | JobOutcome::Aborted => {}
            _ if self.fails("failed", exit_code, message.as_ref()) => return,
            _ => {}
        }
        if self.job.again && !matches!(outcome, JobOutcome::Invalid | JobOutcome::Refused) {
            return self.queue(None);
        }
        match outcome {
            JobOutcome::Completed => self.end(Outcome::Completed, exit_code, None),
            JobOutcome::Drained => self.end(Outcome::Stopped, exit_code, None),
            // A drain during the start has nothing to finish.
            JobOutcome::Aborted if self.job.ran.is_none() && self.job.state == State::Draining => {
                self.end(Outcome::Stopped, exit_code, None);
            }
            JobOutcome::Aborted => self.end(Outcome::Aborted, exit_code, why("aborted")),
            JobOutcome::Refused => self.end(Outcome::Rejected, exit_code, why("refused")),
            JobOutcome::Invalid => self.end(Outcome::Rejected, exit_code, why("invalid")),
            JobOutcome::NoRoom if self.job.desired == Desired::Running => self.queue(why(Blame::MACHINE_FULL)),
            JobOutcome::TenantFull if self.job.desired == Desired::Running => self.queue(why(Blame::TENANT_FULL)),
            JobOutcome::NoRoom | JobOutcome::TenantFull => self.end(Outcome::Stopped, INTERRUPTED, None),
            JobOutcome::Failed => self.failed(RestartOn::Failure, exit_code, why("failed")),
        }
    }

    fn crashed(&mut self, message: String) {
        if self.switched(None) {
            return;
        }
        if self.job.again {
            return self.queue(None);
        }
        if self.job.desired == Desired::Stopped {
            let killed = self.job.state == State::Killing;
            let code = if killed { "killed" } else { "crashed" };
            return self.end(Outcome::Aborted, INTERRUPTED, blame(code, message));
        }
        // A start that took too long was killed, and its words are better than those of the kill.
        let why = self.job.blame.take().filter(|_| self.job.state == State::Killing);
        self.failed(RestartOn::Crash, FAULT, why.or_else(|| blame("crashed", message)));
    }

    /// The attempt did not do what it should: another one follows if the policy says so.
    fn failed(&mut self, what: RestartOn, exit_code: u8, why: Option<Blame>) {
        if self.switched(None) || self.roll_back(exit_code, why.as_ref()) {
            return;
        }
        let policy = self.job.restart.effective(self.job.class);
        if self.job.desired == Desired::Stopped || policy < what {
            return self.end(Outcome::Failed, exit_code, why);
        }
        let now = self.now;
        self.job.restarts.retain(|at| at.saturating_add(RestartPolicy::WINDOW) > now);
        if self.job.restarts.len() >= RestartPolicy::MOST {
            let before = why.map(|why| format!(": {}", why.message)).unwrap_or_default();
            let message = format!("restarted {} times within 10 minutes{before}", RestartPolicy::MOST);
            return self.end(Outcome::Failed, exit_code, blame("restart-storm", message));
        }
        if self.job.ran.is_some_and(|ran| ran.saturating_add(RestartPolicy::HEALTHY) <= now) {
            self.job.in_a_row = 0;
        }
        let seed = u64::from(self.job.attempt).wrapping_mul(0x9e37_79b9).wrapping_add(now);
        let pause = RestartPolicy::pause(self.job.in_a_row, seed);
        self.job.in_a_row = self.job.in_a_row.saturating_add(1);
        self.job.restarts.push_back(now);
        self.job.ran = None;
        self.enter(State::Backoff, Some(pause));
        self.job.blame = why;
    }

    fn never_began(&mut self) {
        if self.switched(None) {
            return;
        }
        if self.job.desired == Desired::Running {
            self.queue(None);
        } else {
            self.end(Outcome::Stopped, INTERRUPTED, None);
        }
    }

    fn restored(&mut self) {
        self.check_beside_again();
        match self.job.state {
            State::Checking => {
                self.enter(State::Checking, Some(Timeouts::CHECK));
                self.actions.push(Action::Check);
            }
            State::Queued => self.actions.push(Action::Enqueue),
            // What was asked of the process may not have reached it.
            state if state.ending().is_some() => self.ask_again(),
            _ => {}
        }
    }

    fn ask_again(&mut self) {
        let Some(mode) = self.job.state.ending() else { return };
        let left = self.job.deadline.unwrap_or(self.now).saturating_sub(self.now);
        self.actions.push(Action::End { mode, timeout: left.saturating_sub(Timeouts::DRAIN_GRACE) });
    }

    fn stop(&mut self, mode: StopMode, timeout: Option<u64>) {
        self.cancel_rollout();
        if self.job.state.is_ended() {
            return;
        }
        self.job.desired = Desired::Stopped;
        self.job.again = false;
        match self.job.state {
            State::Checking => {
                self.actions.push(Action::EndCheck);
                self.end(Outcome::Stopped, INTERRUPTED, None);
            }
            State::Queued | State::Backoff => {
                self.actions.push(Action::Dequeue);
                self.end(Outcome::Stopped, INTERRUPTED, None);
            }
            _ => self.end_process(mode, timeout),
        }
    }

    /// Asks the process to end. A gentler way than the present one changes nothing; the same with another timeout sets
    /// the new one.
    pub(super) fn end_process(&mut self, mode: StopMode, timeout: Option<u64>) {
        let present = self.job.state.ending();
        if present > Some(mode) || (present == Some(mode) && timeout.is_none()) {
            return;
        }
        let drain = timeout.unwrap_or(self.job.drain_timeout).min(Timeouts::LONGEST_DRAIN);
        let (state, deadline) = match mode {
            StopMode::Drain => (State::Draining, drain.saturating_add(Timeouts::DRAIN_GRACE)),
            StopMode::Abort => (State::Aborting, Timeouts::ABORT),
            StopMode::Kill => (State::Killing, Timeouts::KILL),
        };
        self.enter(state, Some(deadline));
        self.actions.push(Action::End { mode, timeout: drain });
    }

    fn start_by_user(&mut self) {
        let state = self.job.state;
        if !state.is_ended() {
            // The process of a job that is being stopped ends first.
            if state.ending().is_some() {
                self.job.desired = Desired::Running;
                self.job.again = true;
            }
            return;
        }
        if self.checks_beside() {
            // The new revision starts as soon as its check is over.
            return;
        }
        self.job.desired = Desired::Running;
        self.job.restarts.clear();
        self.job.in_a_row = 0;
        if self.job.class.is_some() {
            self.queue(None);
        } else {
            self.enter(State::Checking, Some(Timeouts::CHECK));
            self.actions.push(Action::Check);
        }
    }

    fn restart_by_user(&mut self) {
        match self.job.state {
            State::Starting | State::Running => {
                self.job.again = true;
                self.end_process(StopMode::Drain, None);
            }
            State::Backoff => self.queue(None),
            State::Checking | State::Queued => {}
            State::Draining | State::Aborting | State::Killing | State::Ended { .. } => self.start_by_user(),
        }
    }

    fn too_late(&mut self) {
        match self.job.state {
            State::Checking => {
                self.actions.push(Action::EndCheck);
                let message = format!("the check has taken {} s", Timeouts::CHECK / 1000);
                self.end(Outcome::Failed, FAILED, blame("check-timeout", message));
            }
            State::Starting => {
                self.end_process(StopMode::Kill, None);
                let message = format!("the start has taken {} s", Timeouts::START / 1000);
                self.job.blame = blame("start-timeout", message);
            }
            State::Draining => self.end_process(StopMode::Abort, None),
            State::Aborting => self.end_process(StopMode::Kill, None),
            State::Killing => {
                self.job.deadline = Some(self.now.saturating_add(Timeouts::KILL));
                self.actions.push(Action::End { mode: StopMode::Kill, timeout: 0 });
            }
            State::Backoff => self.queue(None),
            State::Queued | State::Running | State::Ended { .. } => {}
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every caller needs an option")]
pub(super) fn blame(code: &str, message: String) -> Option<Blame> {
    Some(Blame { code: code.to_owned(), message })
}
