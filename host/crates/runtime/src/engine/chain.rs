use std::sync::Arc;
use std::time::{Duration, Instant};

use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answers::Outputs;
use super::chain_clock::ChainClock;
use super::chain_member::Turn;
use super::control::Control;
use super::counted_sink::CountedSink;
use super::epochs::EpochLane;
use super::error::PipelineError;
use super::inlet::{LONGEST_LOOK_UP, LOOK_UP};
use super::lane_guest::Wakers;
use super::on_error_policy::OnErrorPolicy;
use super::operator_lane::OperatorLane;
use super::sink_lane::SinkLane;
use super::source_lane::{Made, SourceEnd, SourceLane};
use super::stopped::Stopped;
use sage_plan::StageId;

/// Consecutive lanes that share one thread and take turns on it. The members are lanes of operators whose
/// guests run in other processes; such lanes only carry batches and answers. A source that never waits may come
/// before them, and a built-in sink behind them.
///
/// A thread for each of these lanes would do very little before it has to wake the next thread, and would find
/// its data in the cache of another CPU.
///
/// **Waiting.** The thread sleeps when no lane can continue, and then it waits for all guests at once. A lane
/// takes no answer while its earlier outputs still lie in front of the next lane. Edges inside the chain
/// therefore hold at most the outputs of one answer, and no lane waits there.
pub(super) struct Chain {
    control: Arc<Control>,
    source: Option<Head>,
    lanes: Vec<Member>,
    sink: Option<(StageId, SinkLane)>,
    /// Consecutive sleeps without anything to do.
    looks: u32,
}

struct Head {
    stage: StageId,
    lane: SourceLane,
    /// The time at which the source may have data again.
    idle_until: Option<Instant>,
    end: Option<SourceEnd>,
}

struct Member {
    /// `None` when the lane has ended.
    lane: Option<Box<OperatorLane>>,
    outputs: Outputs,
}

/// The source end and the sink that a chain returns.
#[derive(Default)]
pub(super) struct ChainEnd {
    pub(super) source: Option<(StageId, SourceEnd)>,
    pub(super) sink: Option<(StageId, CountedSink)>,
}

/// The longest delay of coalesced answers after the chain goes to sleep. The longest sleep after that is as in
/// [`LOOK_UP`].
const LIGHTLY: Duration = Duration::from_millis(1);

impl Chain {
    /// A chain of these lanes, in order.
    pub(super) fn new(
        control: &Arc<Control>,
        source: Option<(StageId, SourceLane)>,
        lanes: impl IntoIterator<Item = Box<OperatorLane>>,
        sink: Option<(StageId, SinkLane)>,
    ) -> Self {
        let source = source.map(|(stage, mut lane)| {
            lane.epochs.as_mut().into_iter().for_each(EpochLane::watch);
            Head { stage, lane, idle_until: None, end: None }
        });
        let lanes = lanes.into_iter().map(|lane| Member { lane: Some(lane), outputs: Outputs::default() }).collect();
        Self { control: Arc::clone(control), source, lanes, sink, looks: 0 }
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The operator lanes, so that their guests can be started.
    pub(super) fn operators(&mut self) -> impl Iterator<Item = &mut OperatorLane> {
        self.lanes.iter_mut().filter_map(|member| member.lane.as_deref_mut())
    }

    /// Works until the last lane has ended or the run stops. The guests must have been started.
    pub(super) fn run(mut self) -> ChainEnd {
        let mut clock = ChainClock::new(self.policies().map(|policy| Arc::clone(&policy.counters)));
        // On a stop, the control already has the cause.
        let _ = self.work(&mut clock);
        self.into_end()
    }

    /// The error policies of all its lanes, in order.
    pub(super) fn policies(&self) -> impl Iterator<Item = &OnErrorPolicy> {
        let source = self.source.iter().map(|head| &head.lane.policy);
        let lanes = self.lanes.iter().filter_map(|member| member.lane.as_ref()).map(|lane| &lane.policy);
        source.chain(lanes).chain(self.sink.iter().map(|(_, lane)| &lane.policy))
    }

    /// The source end and the sink, whether the chain ran or not.
    pub(super) fn into_end(self) -> ChainEnd {
        ChainEnd {
            source: self.source.map(|head| (head.stage, head.end.unwrap_or(SourceEnd::StoppedEarly))),
            sink: self.sink.map(|(stage, lane)| (stage, lane.sink)),
        }
    }

    fn work(&mut self, clock: &mut ChainClock) -> Result<(), Stopped> {
        self.lanes.iter_mut().filter_map(|member| member.lane.as_mut()).for_each(|lane| lane.begin());
        if self.source.is_some() {
            self.control.wait_for_go()?;
        }
        loop {
            let mut moved = self.take_turns(clock)?;
            if !moved {
                self.idle(clock)?;
                // The gathered outputs were sent on.
                moved = self.take_turns(clock)?;
            }
            if self.has_ended() {
                return Ok(());
            }
            if !moved {
                self.sleep()?;
            }
        }
    }

    /// Gives a turn to each lane that can continue, from the last to the first, so that each finds room.
    /// Returns `true` if a lane moved.
    fn take_turns(&mut self, clock: &mut ChainClock) -> Result<bool, Stopped> {
        let mut moved = false;
        for at in (0..self.lanes.len()).rev() {
            moved |= self.take_turn(at, clock)?;
        }
        while self.can_take(0)
            && let Some(head) = &mut self.source
            && head.is_due()
        {
            head.turn()?;
            clock.spent(0);
            moved = true;
        }
        Ok(moved)
    }

    /// Takes the available answers of one lane, as long as the next lane can take the outputs.
    fn take_turn(&mut self, at: usize, clock: &mut ChainClock) -> Result<bool, Stopped> {
        let mut moved = false;
        loop {
            let can_go_on = self.can_take(at + 1);
            let Some(Member { lane: Some(lane), outputs }) = self.lanes.get_mut(at) else { return Ok(moved) };
            let turn = lane.turn(outputs, can_go_on)?;
            if matches!(turn, Turn::Ended)
                && let Some(member) = self.lanes.get_mut(at)
            {
                // Dropping the lane ends the input of the next lane.
                member.lane = None;
            }
            clock.spent(at + usize::from(self.source.is_some()));
            if at + 1 == self.lanes.len() {
                self.write(clock)?;
            }
            match turn {
                Turn::Moved => moved = true,
                Turn::Ended => return Ok(true),
                Turn::Waits => return Ok(moved),
            }
        }
    }

    /// Writes the available batches to the sink.
    fn write(&mut self, clock: &mut ChainClock) -> Result<(), Stopped> {
        let Some((_, sink)) = &mut self.sink else { return Ok(()) };
        let mut wrote = false;
        while sink.turn()? {
            wrote = true;
        }
        if wrote {
            clock.spent(self.lanes.len() + usize::from(self.source.is_some()));
        }
        Ok(())
    }

    /// Returns `true` if this lane has room for a batch. The sink takes every batch at once.
    fn can_take(&mut self, at: usize) -> bool {
        self.lanes.get_mut(at).and_then(|member| member.lane.as_mut()).is_none_or(|lane| lane.can_take())
    }

    /// Sends the gathered outputs and flushes the sink, because no lane can continue.
    fn idle(&mut self, clock: &mut ChainClock) -> Result<(), Stopped> {
        if let Some(head) = &mut self.source
            && head.end.is_none()
        {
            head.lane.outlet.flush()?;
            head.lane.outlet.tell_in_silence()?;
        }
        for lane in self.lanes.iter_mut().filter_map(|member| member.lane.as_mut()) {
            lane.flush()?;
        }
        self.write(clock)?;
        if let Some((_, sink)) = &mut self.sink {
            sink.flush()?;
        }
        clock.read();
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.lanes.iter().all(|member| member.lane.is_none())
    }

    /// Sleeps until a guest has answered or died, a sender rings a doorbell, the source may have data again, or the run
    /// drains or stops.
    fn sleep(&mut self) -> Result<(), Stopped> {
        let draining = self.control.is_draining();
        if draining && self.reads() && self.can_take(0) {
            // The drain came after the last turn of the source.
            return Ok(());
        }
        let source = self.source.as_ref().filter(|_| self.reads()).and_then(|head| {
            let until = head.idle_until.filter(|_| !head.lane.is_paused());
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = self.control.sources_end().shorten(left);
            let left = left.into_iter().chain(head.lane.outlet.tells_in()).min();
            head.lane.epochs.as_ref().map_or(left, |epochs| epochs.shorten(left))
        });
        let tells_in = self.lanes.iter_mut().filter_map(|member| member.lane.as_mut()?.tells_in()).min();
        let due = self.sink.as_ref().and_then(|(_, lane)| lane.sink.due());
        let until = source.into_iter().chain(tells_in).chain(due).min();
        let can_go_on: Vec<bool> = (0..self.lanes.len()).map(|at| self.can_take(at + 1)).collect();
        let mut lightly = true;
        for most in [LIGHTLY, LOOK_UP * (self.looks + 1)] {
            let most = until.map_or(most, |until| until.min(most));
            let mut stays_awake = false;
            for lane in self.sleepers(&can_go_on) {
                stays_awake |= lane.arm(lightly);
            }
            let (died, rang) = if stays_awake { (Vec::new(), false) } else { self.nap(&can_go_on, most, draining)? };
            let mut woken = stays_awake || rang;
            for (at, lane) in self.sleepers(&can_go_on).enumerate() {
                woken |= lane.disarm(died.get(at).copied().unwrap_or(false))?;
            }
            if woken || until.is_some_and(|until| until <= most) {
                self.looks = 0;
                return Ok(());
            }
            lightly = false;
        }
        self.looks = (LONGEST_LOOK_UP - 1).min(self.looks + 1);
        Ok(())
    }

    /// Whether there is a source that goes on.
    fn reads(&self) -> bool {
        self.source.as_ref().is_some_and(|head| head.end.is_none())
    }

    /// The lanes whose guests the thread waits for. An answer for which the next lane has no room cannot be
    /// taken yet, so that lane is left out.
    fn sleepers(&mut self, can_go_on: &[bool]) -> impl Iterator<Item = &mut OperatorLane> {
        let lanes = self.lanes.iter_mut().zip(can_go_on).filter(|(_, can_go_on)| **can_go_on);
        lanes.filter_map(|(member, _)| member.lane.as_deref_mut())
    }

    /// Sleeps at the doorbells of the guests and at the bell of the run's end. Returns for each lane whether its worker
    /// has died, and whether the run drains or stops.
    ///
    /// A bell that has rung rings for ever, so the thread does not sleep at the bell of an end that it knows.
    fn nap(&mut self, can_go_on: &[bool], most: Duration, draining: bool) -> Result<(Vec<bool>, bool), Stopped> {
        let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let control = Arc::clone(&self.control);
        let bell = if draining || !self.reads() { control.all_ends() } else { control.sources_end() };
        let bell = bell.fd().filter(|_| !control.is_stopped());
        let epochs = self.source.as_ref().and_then(|head| head.lane.epochs.as_ref()?.bell());
        let wakers: Vec<Wakers<'_>> = self.sleepers(can_go_on).filter_map(|lane| lane.wakers()).collect();
        let lanes = wakers.len();
        let doorbells = wakers.iter().map(|wakers| watched(wakers.doorbell));
        let processes = wakers.iter().map(|wakers| watched(wakers.process));
        let mut all: Vec<PollFd<'_>> = doorbells.chain(processes).chain(bell.map(watched)).collect();
        all.extend(epochs.as_ref().map(|bell| watched(bell.as_fd())));
        let timeout =
            Timespec { tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX), tv_nsec: most.subsec_nanos().into() };
        match poll(&mut all, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                drop(all);
                let stage = self.policies().next().map_or("", |policy| &policy.stage);
                self.control.fail(PipelineError::fault(stage, &format!("cannot wait for guests: {error}")));
                return Err(Stopped);
            }
        }
        let mut happened = all.iter().map(|one| !one.revents().is_empty()).skip(lanes);
        let died = happened.by_ref().take(lanes).collect();
        let rang = happened.any(|one| one);
        drop(all);
        if let Some(epochs) = self.source.as_ref().and_then(|head| head.lane.epochs.as_ref()) {
            epochs.quiet();
        }
        Ok((died, rang))
    }
}

impl Head {
    fn is_due(&self) -> bool {
        let rests = self.idle_until.is_some_and(|until| until > Instant::now()) && !self.lane.epoch_is_due();
        self.end.is_none() && !self.lane.is_paused() && (!rests || self.lane.policy.control.is_draining())
    }

    fn turn(&mut self) -> Result<(), Stopped> {
        self.idle_until = None;
        match self.lane.turn()? {
            Made::More | Made::Paused => {}
            Made::Idle(time) => self.idle_until = Some(Instant::now() + time),
            Made::End(end) => {
                self.end = Some(end);
                // The input of the next lane ends here.
                self.lane.outlet.leave();
            }
        }
        Ok(())
    }
}
