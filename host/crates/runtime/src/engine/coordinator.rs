use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::control::Control;
use super::epochs::{Epoch, Epochs, Handed, LaneName};
use super::error::{PipelineError, with_causes};
use super::saved_run::Manifest;
use super::stopped::Stopped;
use crate::connector::DeadLetterFile;
use sage_observe::{EpochProgress, InstanceCounters};
use sage_store::{Frame, FrameKind, Store, StoreError};

/// Makes the epochs of a run, one at a time: begins each, writes the parts that lanes hand over, and ends it.
///
/// The first epoch comes before any data, so that there is always one to go on from. While nothing flows there are no
/// epochs.
pub(super) struct Coordinator {
    pub(super) epochs: Arc<Epochs>,
    pub(super) control: Arc<Control>,
    pub(super) store: Store,
    pub(super) handed: Receiver<Handed>,
    pub(super) interval: Duration,
    pub(super) manifest: Manifest,
    /// Dead-letter files, by stage.
    pub(super) letters: Vec<(String, Arc<DeadLetterFile>)>,
    /// Counters that tell whether something flows.
    pub(super) counters: Vec<Arc<InstanceCounters>>,
    pub(super) progress: Arc<EpochProgress>,
    /// Told when the first epoch has begun.
    pub(super) begun: Option<SyncSender<()>>,
    /// Number of lanes that have not ended.
    pub(super) live: usize,
    /// The lanes that have ended, with their last parts.
    pub(super) ended: BTreeMap<LaneName, Vec<(FrameKind, Vec<u8>)>>,
}

/// The coordinator in its thread.
#[derive(Debug)]
pub(super) struct Coordinating {
    thread: JoinHandle<Coordinator>,
    epochs: Arc<Epochs>,
}

/// The interval of looks at whether the run was cut while an epoch waits for a lane.
const LOOK: Duration = Duration::from_millis(200);
/// Messages that wait for the coordinator. Each has at most a chunk of keyed state.
pub(super) const MESSAGES: usize = 4;

impl Coordinating {
    /// Starts the thread, and waits until the first epoch has begun: the sources, which have not, pause for it first.
    pub(super) fn start(mut coordinator: Coordinator) -> io::Result<Self> {
        let epochs = Arc::clone(&coordinator.epochs);
        let (out, begun) = sync_channel(1);
        coordinator.begun = Some(out);
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(move || coordinator.run())?;
        // Without a message the coordinator has ended, and the run has failed.
        let _ = begun.recv();
        Ok(Self { thread, epochs })
    }

    /// Ends the epochs, after all lanes have ended. `None` if the thread panicked.
    pub(super) fn close(self) -> Option<Coordinator> {
        self.epochs.close();
        self.thread.join().ok()
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Coordinator {
    fn run(mut self) -> Self {
        if let Err(Stopped) = self.work() {
            self.epochs.cut();
        }
        self.begun = None;
        self
    }

    fn work(&mut self) -> Result<(), Stopped> {
        let (mut due, mut moved) = (Instant::now(), None);
        loop {
            if self.epochs.stops() {
                due = Instant::now();
            }
            match self.handed.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Handed::Ended(name, parts)) => self.has_ended(name, parts),
                Ok(Handed::Close) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Lanes hand over nothing between two epochs.
                Ok(Handed::Part(..) | Handed::Done | Handed::Wake) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.moved();
                    if moved.replace(now) != Some(now) || self.epochs.stops() {
                        self.epoch()?;
                    }
                    due = Instant::now() + self.interval;
                }
            }
            if self.control.is_stopped() {
                return Err(Stopped);
            }
        }
    }

    /// The records that have gone through the stages.
    fn moved(&self) -> u64 {
        let of = |counters: &Arc<InstanceCounters>| counters.records_in.get().wrapping_add(counters.records_out.get());
        self.counters.iter().map(of).fold(0, u64::wrapping_add)
    }

    fn has_ended(&mut self, name: LaneName, parts: Vec<(FrameKind, Vec<u8>)>) {
        self.live = self.live.saturating_sub(1);
        self.ended.insert(name, parts);
    }

    /// Makes an epoch. The run stops behind it if that was asked for.
    fn epoch(&mut self) -> Result<(), Stopped> {
        let whole = self.store.wants_base();
        let written = self.collect(whole);
        let number = written.map_err(|error| self.cannot_save(error))?;
        self.progress.saved(number);
        if self.epochs.stops() {
            // The sources stay where they are.
            self.control.suspend();
            return Err(Stopped);
        }
        self.epochs.is_over(number);
        Ok(())
    }

    fn collect(&mut self, whole: bool) -> Result<u64, Unsaved> {
        let Self { epochs, control, store, handed, manifest, letters, live, ended, begun, .. } = self;
        let mut epoch = store.begin(whole)?;
        let number = epoch.number();
        epochs.begin(Epoch { number, whole });
        drop(begun.take());
        let mut waiting = *live;
        while waiting > 0 {
            match handed.recv_timeout(LOOK) {
                Ok(Handed::Part(name, kind, bytes)) => epoch.put(frame(&name, kind), &bytes)?,
                Ok(Handed::Done) => waiting -= 1,
                Ok(Handed::Ended(name, parts)) => {
                    *live = live.saturating_sub(1);
                    waiting -= 1;
                    ended.insert(name, parts);
                }
                Ok(Handed::Wake) => {}
                Ok(Handed::Close) | Err(RecvTimeoutError::Disconnected) => return Err(Unsaved::Stopped),
                Err(RecvTimeoutError::Timeout) if control.is_stopped() => return Err(Unsaved::Stopped),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        put_ended(&mut epoch, ended, letters)?;
        Ok(epoch.whole(&manifest_bytes(manifest), false)?)
    }

    /// Writes an epoch of a run all of whose lanes have ended. With `ended` it is the last one: a later run begins
    /// anew.
    pub(super) fn last(&mut self, ended: bool) -> Result<(), PipelineError> {
        let write = |this: &mut Self| {
            let mut epoch = this.store.begin(true)?;
            put_ended(&mut epoch, &this.ended, &this.letters)?;
            let number = epoch.whole(&manifest_bytes(&this.manifest), ended)?;
            this.progress.saved(number);
            Ok::<_, Unsaved>(())
        };
        write(self).map_err(|error| error.into_failure().unwrap_or_else(|| failure("the run has stopped", None)))
    }

    fn cannot_save(&self, error: Unsaved) -> Stopped {
        match error.into_failure() {
            Some(failure) => self.control.fail(failure),
            None => Stopped,
        }
    }
}

/// Why an epoch was not written.
enum Unsaved {
    Store(StoreError),
    Letters(crate::connector::ConnectorError),
    Stopped,
}

impl From<StoreError> for Unsaved {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Unsaved {
    fn into_failure(self) -> Option<PipelineError> {
        match self {
            Self::Store(error) => Some(failure(&with_causes(&error), error.hint())),
            Self::Letters(error) => Some(failure(&error.in_full(), error.hint.as_deref())),
            Self::Stopped => None,
        }
    }
}

fn failure(message: &str, hint: Option<&str>) -> PipelineError {
    PipelineError { hint: hint.map(str::to_owned), ..PipelineError::connector("checkpoint", message) }
}

fn frame(name: &LaneName, kind: FrameKind) -> Frame<'_> {
    Frame { kind, stage: &name.stage, instance: name.instance, lane: name.lane }
}

fn put_ended(
    epoch: &mut sage_store::Epoch<'_>,
    ended: &BTreeMap<LaneName, Vec<(FrameKind, Vec<u8>)>>,
    letters: &[(String, Arc<DeadLetterFile>)],
) -> Result<(), Unsaved> {
    for (name, parts) in ended {
        epoch.put(frame(name, FrameKind::Ended), &[])?;
        for (kind, bytes) in parts {
            epoch.put(frame(name, *kind), bytes)?;
        }
    }
    for (stage, file) in letters {
        let saved = file.save().map_err(Unsaved::Letters)?;
        epoch.put(Frame { kind: FrameKind::Letters, stage, instance: 0, lane: 0 }, &saved)?;
    }
    Ok(())
}

fn manifest_bytes(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).unwrap_or_default()
}
