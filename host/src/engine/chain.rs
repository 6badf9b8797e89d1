use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answers::Outputs;
use super::assemble::{Lane, Task};
use super::chain_clock::ChainClock;
use super::control::{Control, Stopped};
use super::error::PipelineError;
use super::fate::Fate;
use super::lane_guest::Wakers;
use super::operator_lane::{OperatorLane, Turn};
use super::sink_lane::SinkLane;
use super::source_lane::{Made, SourceEnd, SourceLane};
use crate::batch::Inbox;
use crate::connector::Sink;
use crate::plan::StageId;

/// Consecutive lanes that one thread takes care of, in turns: those of operators whose guests are elsewhere, which only carry batches and answers, and
/// before and behind them a source that never waits and a built-in sink.
///
/// A thread for each would do next to nothing before it has to wake the next one, and find what it works on in another CPU's cache.
///
/// **Who waits for whom.** The thread sleeps when no lane can go on, and then for all their guests at once. A lane takes no answer while what it sent before
/// lies in front of the next one; so edges within the chain hold at most what comes out of one answer, and nobody waits there.
pub(super) struct Chain {
    control: Arc<Control>,
    source: Option<Head>,
    lanes: Vec<Member>,
    sink: Option<(StageId, SinkLane)>,
}

struct Head {
    stage: StageId,
    lane: SourceLane,
    /// When it has something again.
    idle_until: Option<Instant>,
    end: Option<SourceEnd>,
}

struct Member {
    /// `None` when it has ended.
    lane: Option<Box<OperatorLane>>,
    outputs: Outputs,
}

/// What a chain leaves behind.
#[derive(Default)]
pub(super) struct ChainEnd {
    pub(super) source: Option<(StageId, SourceEnd)>,
    pub(super) sink: Option<(StageId, Box<dyn Sink>)>,
}

/// How long what was sent quietly may go unseen when the chain goes to sleep, and how long it then sleeps at the most.
const LIGHTLY: Duration = Duration::from_millis(1);
const LOOK_UP: Duration = Duration::from_secs(1);
/// How soon a source sees that it is to stop.
const SOURCE_LOOKS: Duration = Duration::from_millis(50);

impl Chain {
    /// The lanes, those that can be in chains in chains.
    pub(super) fn join(lanes: Vec<Lane>, control: &Arc<Control>) -> Vec<Lane> {
        let mut rest: Vec<Option<Lane>> = lanes.into_iter().map(Some).collect();
        let mut joined = Vec::new();
        // Lanes stand in the order of their stages, not of the edges: what comes before each is looked for.
        for at in 0..rest.len() {
            let is_first = rest.get(at).and_then(Option::as_ref).is_some_and(|lane| {
                can_lead(&lane.task) && !rest.iter().flatten().any(|other| leads_to(&other.task, &lane.task))
            });
            if is_first && let Some(chain) = Self::from(&mut rest, at, control) {
                joined.push(chain);
            }
        }
        joined.extend(rest.into_iter().flatten());
        joined
    }

    /// The chain that begins with this lane, if there is another one behind it.
    fn from(rest: &mut [Option<Lane>], at: usize, control: &Arc<Control>) -> Option<Lane> {
        let mut members = vec![at];
        while let Some(last) = members.last().and_then(|at| rest.get(*at)).and_then(Option::as_ref)
            && let Some(next) = (0..rest.len())
                .find(|at| rest.get(*at).and_then(Option::as_ref).is_some_and(|lane| leads_to(&last.task, &lane.task)))
        {
            members.push(next);
        }
        if members.len() < 2 {
            return None;
        }
        let members: Vec<Lane> = members.iter().filter_map(|at| rest.get_mut(*at).and_then(Option::take)).collect();
        let (name, stage, placement) =
            members.first().map(|lane| (lane.name.clone(), lane.stage, lane.placement.clone()))?;
        let mut chain = Self { control: Arc::clone(control), source: None, lanes: Vec::new(), sink: None };
        for (at, Lane { stage, task, .. }) in members.into_iter().enumerate() {
            if at > 0
                && let Some(inbox) = inbox_of(&task)
            {
                inbox.never_wait();
            }
            match task {
                Task::Source(lane) => chain.source = Some(Head { stage, lane, idle_until: None, end: None }),
                Task::Operator(lane) => chain.lanes.push(Member { lane: Some(lane), outputs: Outputs::default() }),
                Task::Sink(lane) => chain.sink = Some((stage, lane)),
                Task::ComponentSource(_) | Task::Chain(_) => {}
            }
        }
        Some(Lane { name, stage, placement, task: Task::Chain(Box::new(chain)) })
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The operators' lanes, to have their guests started.
    pub(super) fn operators(&mut self) -> impl Iterator<Item = &mut OperatorLane> {
        self.lanes.iter_mut().filter_map(|member| member.lane.as_deref_mut())
    }

    /// Works until the last lane has ended or the run stops. The guests must have been started.
    pub(super) fn run(mut self) -> ChainEnd {
        let mut clock = ChainClock::new(self.fates().map(|fate| Arc::clone(&fate.counters)));
        // Stopped: the cause is with the control already.
        let _ = self.work(&mut clock);
        self.into_end()
    }

    /// Of all its lanes, in order.
    pub(super) fn fates(&self) -> impl Iterator<Item = &Fate> {
        let source = self.source.iter().map(|head| &head.lane.fate);
        let lanes = self.lanes.iter().filter_map(|member| member.lane.as_ref()).map(|lane| &lane.fate);
        source.chain(lanes).chain(self.sink.iter().map(|(_, lane)| &lane.fate))
    }

    /// What it leaves behind, whether it ran or not.
    pub(super) fn into_end(self) -> ChainEnd {
        ChainEnd {
            source: self.source.map(|head| (head.stage, head.end.unwrap_or(SourceEnd::StoppedEarly))),
            sink: self.sink.map(|(stage, lane)| (stage, lane.sink)),
        }
    }

    fn work(&mut self, clock: &mut ChainClock) -> Result<(), Stopped> {
        if self.source.is_some() {
            self.control.wait_for_go()?;
        }
        loop {
            let mut moved = self.take_turns(clock)?;
            if !moved {
                self.idle(clock)?;
                // What was gathered has gone on.
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

    /// A turn for each that can go on, from the last to the first, so that there is room. Whether one could.
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

    /// Takes the answers that are there for one lane, while the next one can take what becomes of them.
    fn take_turn(&mut self, at: usize, clock: &mut ChainClock) -> Result<bool, Stopped> {
        let mut moved = false;
        loop {
            let can_go_on = self.can_take(at + 1);
            let Some(Member { lane: Some(lane), outputs }) = self.lanes.get_mut(at) else { return Ok(moved) };
            let turn = lane.turn(outputs, can_go_on)?;
            if matches!(turn, Turn::Ended)
                && let Some(member) = self.lanes.get_mut(at)
            {
                // Its leaving is the end of the next one's input.
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

    /// The sink writes what there is.
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

    /// Whether what is sent to this lane finds room. The sink takes everything at once.
    fn can_take(&mut self, at: usize) -> bool {
        self.lanes.get_mut(at).and_then(|member| member.lane.as_mut()).is_none_or(|lane| lane.can_take())
    }

    /// Nobody can go on: what was gathered is sent, and the sink writes through.
    fn idle(&mut self, clock: &mut ChainClock) -> Result<(), Stopped> {
        if let Some(head) = &mut self.source
            && head.end.is_none()
        {
            head.lane.outlet.flush()?;
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

    /// Sleeps until a guest has answered or died, somebody sends something, or the source has something again.
    fn sleep(&mut self) -> Result<(), Stopped> {
        let source = self.source.as_ref().filter(|head| head.end.is_none()).map(|head| {
            let left = head.idle_until.map(|until| until.saturating_duration_since(Instant::now()));
            left.unwrap_or(SOURCE_LOOKS).min(SOURCE_LOOKS)
        });
        let mut lightly = true;
        for most in [LIGHTLY, LOOK_UP] {
            let most = source.map_or(most, |source| source.min(most));
            let stays_awake = self.operators().fold(false, |stays, lane| lane.fall_asleep(lightly) || stays);
            let died = if stays_awake { Vec::new() } else { self.nap(most)? };
            let mut woken = stays_awake;
            for (at, lane) in self.operators().enumerate() {
                woken |= lane.wake_up(died.get(at).copied().unwrap_or(false))?;
            }
            if woken || source.is_some_and(|source| source <= most) {
                return Ok(());
            }
            lightly = false;
        }
        Ok(())
    }

    /// Sleeps at all guests' bells. Whose worker has died.
    fn nap(&mut self, most: Duration) -> Result<Vec<bool>, Stopped> {
        let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let wakers: Vec<Wakers<'_>> = self.operators().filter_map(|lane| lane.wakers()).collect();
        let lanes = wakers.len();
        let bells = wakers.iter().map(|wakers| watched(wakers.bell));
        let mut all: Vec<PollFd<'_>> = bells.chain(wakers.iter().map(|wakers| watched(wakers.process))).collect();
        let timeout =
            Timespec { tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX), tv_nsec: most.subsec_nanos().into() };
        match poll(&mut all, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                let stage = self.fates().next().map_or("", |fate| &fate.stage);
                self.control.fail(PipelineError::fault(stage, &format!("cannot wait for guests: {error}")));
                return Err(Stopped);
            }
        }
        Ok(all.iter().skip(lanes).map(|process| !process.revents().is_empty()).collect())
    }
}

impl Head {
    fn is_due(&self) -> bool {
        self.end.is_none() && self.idle_until.is_none_or(|until| until <= Instant::now())
    }

    fn turn(&mut self) -> Result<(), Stopped> {
        self.idle_until = None;
        match self.lane.turn()? {
            Made::More => {}
            Made::Idle(time) => self.idle_until = Some(Instant::now() + time),
            Made::End(end) => {
                self.end = Some(end);
                // The end of the next one's input.
                self.lane.outlet.leave();
            }
        }
        Ok(())
    }
}

/// Whether a chain can begin with this.
fn can_lead(task: &Task) -> bool {
    match task {
        Task::Source(lane) => !lane.waits(),
        Task::Operator(lane) => lane.goes_past(),
        _ => false,
    }
}

/// Whether all that the one sends in the main goes to the other, all that the other gets comes from there, and one thread can take care of both.
fn leads_to(one: &Task, other: &Task) -> bool {
    let outlet = match one {
        Task::Source(lane) if can_lead(one) => &lane.outlet,
        Task::Operator(lane) if can_lead(one) => &lane.outlets.main,
        _ => return false,
    };
    let fits = match other {
        Task::Operator(_) => can_lead(other),
        Task::Sink(_) => matches!(one, Task::Operator(_)),
        _ => false,
    };
    fits && inbox_of(other).is_some_and(|inbox| outlet.leads_only_to(inbox) && inbox.producers() == 1)
}

fn inbox_of(task: &Task) -> Option<&Inbox> {
    match task {
        Task::Operator(lane) => Some(lane.inbox()),
        Task::Sink(lane) => Some(&lane.inbox),
        _ => None,
    }
}
