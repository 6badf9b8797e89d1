use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::control::Control;
use super::epochs::{Epoch, Epochs, Handed, LaneName};
use super::error::{PipelineError, with_causes};
use super::saved_run::Manifest;
use super::savepoint_words::savepoint_words;
use super::savepoints::{Asked, Savepoint, SavepointAnswer, SavepointName, SavepointNameError};
use super::stopped::Stopped;
use crate::connector::{Committer, DeadLetterFile};
use sage_observe::{EpochProgress, InstanceCounters};
use sage_store::{Frame, FrameKind, SavepointRequest, Store, StoreError};

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
    /// Whether the next epoch holds whole states in any case.
    pub(super) needs_base: bool,
    /// The folder of the store.
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    /// Dead-letter files, by stage.
    pub(super) letters: Vec<(String, Arc<DeadLetterFile>)>,
    /// What shows the outputs of a whole epoch to others, by stage.
    pub(super) committers: Vec<(String, Arc<dyn Committer>)>,
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

/// The interval of looks at whether the run was cut while an epoch waits for a lane, and at requests for savepoints.
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
            match self.handed.recv_timeout(due.saturating_duration_since(Instant::now()).min(LOOK)) {
                Ok(Handed::Ended(name, parts)) => self.has_ended(name, parts),
                Ok(Handed::Close) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Lanes hand over nothing between two epochs.
                Ok(Handed::Part(..) | Handed::Done | Handed::Wake) | Err(RecvTimeoutError::Timeout) => {}
            }
            let (asked, requests) = self.asked();
            let is_due = due <= Instant::now();
            let now = self.moved();
            let waits = || moved != Some(now) || self.epochs.stops() || self.output_waits();
            if !asked.is_empty() || (is_due && waits()) {
                moved = Some(now);
                let outcome = self.epoch(asked);
                requests.answer(&self.folder);
                outcome?;
            }
            if is_due {
                due = Instant::now() + self.interval;
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

    /// Whether an output was closed that no epoch has.
    fn output_waits(&self) -> bool {
        self.committers.iter().any(|(_, committer)| committer.waits())
    }

    /// Shows the outputs of a whole epoch to others. Nothing outside hears of an epoch before.
    fn commit(&self, epoch: u64) -> Result<(), PipelineError> {
        for (stage, committer) in &self.committers {
            committer.commit(epoch).map_err(|error| PipelineError {
                hint: error.hint.clone(),
                ..PipelineError::connector(stage, &error.in_full())
            })?;
        }
        Ok(())
    }

    fn has_ended(&mut self, name: LaneName, parts: Vec<(FrameKind, Vec<u8>)>) {
        self.live = self.live.saturating_sub(1);
        self.ended.insert(name, parts);
    }

    /// The savepoints that were asked for, by this process and through the folder.
    fn asked(&self) -> (Vec<Asked>, Requests) {
        let mut asked = self.epochs.asked();
        let mut requests = Requests::default();
        for request in SavepointRequest::waiting(&self.folder) {
            match request.name.parse() {
                Ok(name) => {
                    let (one, answer) = Asked::new(name, request.stops);
                    asked.push(one);
                    requests.0.push((request, answer));
                }
                Err(error) => request.answer(&self.folder, Err(&SavepointNameError::to_string(&error))),
            }
        }
        (asked, requests)
    }

    /// Makes an epoch, and the savepoints that were asked for. The run stops behind it if that was asked for.
    fn epoch(&mut self, asked: Vec<Asked>) -> Result<(), Stopped> {
        let saves = !asked.is_empty();
        let written = self.collect(saves || self.needs_base || self.store.wants_base(), saves);
        let number = written.map_err(|error| self.cannot_save(error))?;
        self.needs_base = false;
        self.progress.saved(number);
        self.commit(number).map_err(|failure| self.control.fail(failure))?;
        let may_stop = self.epochs.stops() || asked.iter().any(|asked| asked.stops);
        if !may_stop {
            // A savepoint is copied while records flow.
            self.epochs.is_over(number);
        }
        let mut stops = self.epochs.stops();
        for Asked { name, stops: asks, answer } in asked {
            let saved = self.save_as(number, &name);
            stops |= asks && saved.is_ok();
            // Whoever asked may have gone.
            let _ = answer.try_send(saved);
        }
        if stops {
            // The sources stay where they are.
            self.control.suspend();
            return Err(Stopped);
        }
        if may_stop {
            self.epochs.is_over(number);
        }
        Ok(())
    }

    fn save_as(&self, number: u64, name: &SavepointName) -> Result<Savepoint, String> {
        let words = savepoint_words(&self.manifest, number);
        match self.store.save_as(number, &self.folder, name.as_str(), &words) {
            Ok(path) => Ok(Savepoint { name: name.to_string(), path, epoch: number }),
            Err(error) => {
                let reason = with_causes(&error);
                tracing::warn!("savepoint \"{name}\" was not made: {reason}");
                Err(reason)
            }
        }
    }

    fn collect(&mut self, whole: bool, closes: bool) -> Result<u64, Unsaved> {
        let Self { epochs, control, store, handed, manifest, letters, live, ended, begun, .. } = self;
        let mut epoch = store.begin(whole)?;
        let number = epoch.number();
        epochs.begin(Epoch { number, whole, closes });
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

/// Requests in the folder, with the answers that are due.
#[derive(Default)]
struct Requests(Vec<(SavepointRequest, SavepointAnswer)>);

impl Requests {
    fn answer(self, folder: &Path) {
        for (request, answer) in self.0 {
            match answer.try_recv() {
                Ok(Ok(_)) => request.answer(folder, Ok(())),
                Ok(Err(reason)) => request.answer(folder, Err(&reason)),
                Err(_) => request.answer(folder, Err("the run ended before")),
            }
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
