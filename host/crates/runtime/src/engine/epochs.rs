use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::savepoints::Asked;
use super::stopped::Stopped;
use sage_store::FrameKind;

/// The epochs of a run: points at which nothing is in flight, so that all parts of the run that outlive it fit
/// together.
///
/// ```text
/// coordinator ── begin ──▶ sources pause, and hand over their positions
///                          each lane finishes what its inbox holds, hands over its part, and marks its outputs
///                          sinks make their records durable
///             ◀── parts ── all lanes
///             ── is_over ─▶ sources go on
/// ```
///
/// A source sends nothing between its mark and the end of the epoch. So no lane has to hold records of the next epoch
/// back while it waits for the marks of the other inputs, and no lane waits for another: an epoch adds no way to a
/// deadlock.
#[derive(Debug)]
pub(super) struct Epochs {
    /// The newest epoch that has begun.
    begun: AtomicU64,
    /// The newest epoch that is over.
    over: AtomicU64,
    /// Whether the run is to stop behind one more epoch.
    stops: AtomicBool,
    out: SyncSender<Handed>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether lanes hand over whole states, and not what has changed since the last epoch.
    whole: bool,
    /// Whether sinks close what they would close at the end of the input.
    closes: bool,
    /// Savepoints that were asked for.
    asked: Vec<Asked>,
    cut: bool,
    /// Wakes the threads of sources that sleep at descriptors.
    bells: Vec<Arc<OwnedFd>>,
}

/// The lane to which a part belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneName {
    pub(super) stage: Arc<str>,
    pub(super) instance: u32,
    pub(super) lane: u32,
}

/// A message to the coordinator.
#[derive(Debug)]
pub(super) enum Handed {
    /// A part of the epoch that has begun.
    Part(LaneName, FrameKind, Vec<u8>),
    /// A lane has handed over all its parts of the epoch.
    Done,
    /// The lane has ended. These parts stay valid for all later epochs.
    Ended(LaneName, Vec<(FrameKind, Vec<u8>)>),
    /// The coordinator has to look at what is asked for.
    Wake,
    /// All lanes have ended.
    Close,
}

/// A lane's access to the epochs.
#[derive(Debug)]
pub(super) struct EpochLane {
    epochs: Arc<Epochs>,
    name: LaneName,
    out: SyncSender<Handed>,
    /// The last epoch that the lane has handed over.
    seen: u64,
    bell: Option<Arc<OwnedFd>>,
    ended: bool,
}

/// An epoch that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    pub(super) number: u64,
    /// Whether a lane hands over its whole state.
    pub(super) whole: bool,
    /// Whether a sink closes what it would close at the end of the input, so that a savepoint names no file that a
    /// run has not finished.
    pub(super) closes: bool,
}

/// Longest sleep of a thread whose descriptor could not be made, until it notices an epoch.
const WITHOUT: Duration = Duration::from_millis(50);

impl Epochs {
    /// The epochs of a run whose coordinator takes the messages of `out`.
    pub(super) fn new(out: SyncSender<Handed>) -> Self {
        Self {
            begun: AtomicU64::new(0),
            over: AtomicU64::new(0),
            stops: AtomicBool::new(false),
            out,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds a lane. All lanes are added before the first epoch begins.
    pub(super) fn join(self: &Arc<Self>, name: LaneName) -> EpochLane {
        EpochLane { epochs: Arc::clone(self), name, out: self.out.clone(), seen: 0, bell: None, ended: false }
    }

    /// Stops the run behind one more epoch.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        // If the queue is full, the coordinator is awake, and sees the stop when it has emptied it.
        let _ = self.out.try_send(Handed::Wake);
    }

    /// Asks for a savepoint.
    pub(super) fn ask(&self, asked: Asked) {
        self.lock().asked.push(asked);
        // If the queue is full, the coordinator is awake.
        let _ = self.out.try_send(Handed::Wake);
    }

    /// The savepoints that were asked for since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lock().asked)
    }

    /// Ends the coordinator, after all lanes have ended.
    pub(super) fn close(&self) {
        // A coordinator that has stopped takes no message.
        let _ = self.out.send(Handed::Close);
    }

    /// Whether the run is to stop behind one more epoch.
    pub(super) fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    /// Begins an epoch. The one before it must be over.
    pub(super) fn begin(&self, epoch: Epoch) {
        let mut state = self.lock();
        (state.whole, state.closes) = (epoch.whole, epoch.closes);
        self.begun.store(epoch.number, Ordering::SeqCst);
        self.tell(&state);
    }

    /// Lets the sources go on.
    pub(super) fn is_over(&self, number: u64) {
        let state = self.lock();
        self.over.store(number, Ordering::SeqCst);
        self.tell(&state);
    }

    /// Releases every lane that waits here, because the run stops.
    pub(super) fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        // Whoever waits for an answer learns that there is none.
        state.asked.clear();
        self.tell(&state);
    }

    fn tell(&self, state: &State) {
        self.changed.notify_all();
        for bell in &state.bells {
            // The counter of a bell cannot overflow: its thread reads it.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EpochLane {
    /// source: the epoch for which the lane has to pause.
    pub(super) fn due(&self) -> Option<Epoch> {
        let number = self.epochs.begun.load(Ordering::SeqCst);
        (number > self.seen).then(|| self.begun(number))
    }

    /// The epoch of this number, whose mark has come.
    pub(super) fn begun(&self, number: u64) -> Epoch {
        let state = self.epochs.lock();
        Epoch { number, whole: state.whole, closes: state.closes }
    }

    /// The last epoch that the lane has handed over.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Hands over a part of the epoch.
    ///
    /// **Waiting.** The coordinator takes the parts while it writes. It never waits for a lane that has not marked the
    /// epoch.
    pub(super) fn part(&self, kind: FrameKind, bytes: Vec<u8>) -> Result<(), Stopped> {
        self.out.send(Handed::Part(self.name.clone(), kind, bytes)).map_err(|_| Stopped)
    }

    /// The lane has handed over all its parts of the epoch.
    pub(super) fn done(&mut self, epoch: Epoch) -> Result<(), Stopped> {
        self.seen = epoch.number;
        self.out.send(Handed::Done).map_err(|_| Stopped)
    }

    /// The lane has ended, with these last parts.
    pub(super) fn end(&mut self, parts: Vec<(FrameKind, Vec<u8>)>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Without a coordinator the run has stopped.
        let _ = self.out.send(Handed::Ended(self.name.clone(), parts));
    }

    /// source: whether the lane has handed over an epoch that is not over.
    pub(super) fn is_paused(&self) -> bool {
        self.epochs.over.load(Ordering::SeqCst) < self.seen
    }

    /// source: waits until the epoch that it has handed over is over.
    pub(super) fn wait(&self) {
        let mut state = self.epochs.lock();
        while self.is_paused() && !state.cut {
            state = self.epochs.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// source: sleeps for this time, or until an epoch begins or the run stops.
    pub(super) fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.epochs.lock();
        while self.epochs.begun.load(Ordering::SeqCst) <= self.seen && !state.cut {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.epochs.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// source: makes a descriptor that is readable when an epoch begins or is over.
    pub(super) fn watch(&mut self) {
        match eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
            Ok(bell) => {
                let bell = Arc::new(bell);
                self.epochs.lock().bells.push(Arc::clone(&bell));
                self.bell = Some(bell);
            }
            Err(error) => tracing::debug!(%error, "a source looks for epochs from time to time"),
        }
    }

    /// source: shortens a sleep at the descriptor if there is none.
    pub(super) fn shorten(&self, most: Option<Duration>) -> Option<Duration> {
        if self.bell.is_some() { most } else { Some(most.map_or(WITHOUT, |most| most.min(WITHOUT))) }
    }

    /// source: the descriptor of [`EpochLane::watch`].
    pub(super) fn bell(&self) -> Option<Arc<OwnedFd>> {
        self.bell.clone()
    }

    /// source: makes the descriptor unreadable until something happens again.
    pub(super) fn quiet(&self) {
        if let Some(bell) = &self.bell {
            let _ = rustix::io::read(bell, &mut [0; 8]);
        }
    }
}
