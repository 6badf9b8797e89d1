use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::job_options::StartFrom;
use sage_admission::Grant;
use sage_plan::{Checkpoints, Plan, StageId};
use sage_store::{FrameKind, RestoreError, Store, StoreError};

/// The checkpoints of a pipeline, and what a run takes over from the epoch from which it goes on.
#[derive(Debug)]
pub(super) struct SavedRun {
    pub(super) store: Store,
    pub(super) settings: Checkpoints,
    /// What the epochs of this run say about it.
    pub(super) manifest: Manifest,
    from: Option<SavedEpoch>,
}

#[derive(Debug)]
struct SavedEpoch {
    number: u64,
    manifest: Manifest,
    /// All parts but keyed state.
    parts: BTreeMap<(FrameKind, String, u32), Vec<u8>>,
    /// The lanes that had ended.
    ended: BTreeMap<(String, u32), Vec<u32>>,
    /// How far event time was, by stage, instance and lane.
    watermarks: BTreeMap<(String, u32, u32), i64>,
}

/// The run that wrote an epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) pipeline: String,
    /// The id of the run that wrote the epoch.
    pub(super) run: String,
    pub(super) stages: Vec<SavedStage>,
    /// The inputs of built-in sources, by stage, for comparison.
    pub(super) inputs: BTreeMap<String, String>,
}

/// The shape of a stage, which must be the same in the run that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedStage {
    name: String,
    kind: String,
    instances: u32,
    lanes: u32,
}

/// The position of a built-in source: what it has given so far, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) records: u64,
    /// Unreadable parts that it passed over.
    pub(super) unreadable: u64,
}

/// The position of a component's source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GuestPosition {
    pub(super) records: u64,
    pub(super) position: Vec<u8>,
}

impl Given {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).unwrap_or_default()
    }
}

impl GuestPosition {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Manifest {
    pub(super) fn of(plan: &Plan, grant: &Grant, run: &str) -> Self {
        let stage = |(id, stage): (StageId, &sage_plan::Stage)| SavedStage {
            name: stage.name.clone(),
            kind: stage.kind().map_or_else(|| "built-in".to_owned(), |kind| kind.to_string()),
            instances: stage.parallelism,
            lanes: grant.stage(id).lanes,
        };
        let stages = plan.stages().map(stage).collect();
        Self { pipeline: plan.name.clone(), run: run.to_owned(), stages, inputs: BTreeMap::new() }
    }

    /// The first difference between the pipeline of an epoch and this one.
    fn difference(&self, now: &Self) -> Option<String> {
        if self.pipeline != now.pipeline {
            return Some(format!("they are of the pipeline \"{}\", and this is \"{}\"", self.pipeline, now.pipeline));
        }
        for before in &self.stages {
            let Some(now) = now.stages.iter().find(|now| now.name == before.name) else {
                return Some(format!("the pipeline has no \"{}\" any more", before.name));
            };
            if before != now {
                let told = |stage: &SavedStage| {
                    let SavedStage { kind, instances, lanes, .. } = stage;
                    format!("{kind}, {instances} instances of {lanes} lanes")
                };
                return Some(format!("\"{}\" was {}, and is {}", before.name, told(before), told(now)));
            }
        }
        let is_new = |now: &&SavedStage| self.stages.iter().all(|before| before.name != now.name);
        now.stages.iter().find(is_new).map(|new| format!("\"{}\" is new in the pipeline", new.name))
    }
}

impl SavedRun {
    /// Opens the checkpoints of a pipeline, and reads the epoch from which the run goes on.
    ///
    /// # Errors
    /// The folder cannot be used, it is damaged, or the epoch does not fit the pipeline.
    pub(super) fn open(settings: &Checkpoints, from: StartFrom, manifest: Manifest) -> Result<Self, RunError> {
        let refused = |error: StoreError| refused(&error);
        let mut store = match from {
            StartFrom::Last => Store::open(&settings.folder),
            StartFrom::Nothing | StartFrom::Epoch(_) => Store::open_despite_damage(&settings.folder),
        }
        .map_err(refused)?;
        store.keep(settings.keep).map_err(refused)?;
        let number = match from {
            StartFrom::Nothing => None,
            StartFrom::Epoch(number) => Some(number),
            // A run that came to its end leaves nothing to go on with.
            StartFrom::Last => store.epochs().last().filter(|epoch| !epoch.ended).map(|epoch| epoch.number),
        };
        let from = number.map(|number| SavedEpoch::read(&store, number, &settings.folder, &manifest)).transpose()?;
        store.go_on_from(number).map_err(refused)?;
        Ok(Self { store, settings: settings.clone(), manifest, from })
    }

    /// The epoch from which the run goes on.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.from.as_ref().map(|from| from.number)
    }

    /// The id of the run that wrote the epoch.
    pub(super) fn run(&self) -> Option<&str> {
        self.from.as_ref().map(|from| from.manifest.run.as_str())
    }

    /// What a built-in source read.
    pub(super) fn input(&self, stage: &str) -> Option<&[u8]> {
        self.from.as_ref()?.manifest.inputs.get(stage).map(String::as_bytes)
    }

    pub(super) fn part(&self, kind: FrameKind, stage: &str, instance: u32) -> Option<&[u8]> {
        self.from.as_ref()?.parts.get(&(kind, stage.to_owned(), instance)).map(Vec::as_slice)
    }

    /// The position of a source.
    ///
    /// # Errors
    /// The bytes are no position.
    pub(super) fn position<T: for<'a> Deserialize<'a>>(
        &self,
        stage: &str,
        instance: u32,
    ) -> Result<Option<T>, RunError> {
        let Some(bytes) = self.part(FrameKind::Position, stage, instance) else { return Ok(None) };
        let bad = |error| RunError::Internal(format!("the saved position of \"{stage}\" cannot be read: {error}"));
        serde_json::from_slice(bytes).map(Some).map_err(bad)
    }

    /// Whether a lane had ended.
    pub(super) fn has_ended(&self, stage: &str, instance: u32, lane: u32) -> bool {
        let lanes = self.from.as_ref().and_then(|from| from.ended.get(&(stage.to_owned(), instance)));
        lanes.is_some_and(|lanes| lanes.contains(&lane))
    }

    /// How far event time was in a lane.
    pub(super) fn watermark(&self, stage: &str, instance: u32, lane: u32) -> Option<i64> {
        self.from.as_ref()?.watermarks.get(&(stage.to_owned(), instance, lane)).copied()
    }

    /// Passes the keyed state of all lanes to `take`, with the stage, the instance and the lane of each piece.
    ///
    /// # Errors
    /// The state cannot be read; the errors of `take`.
    pub(super) fn states(
        &self,
        mut take: impl FnMut(&str, u32, u32, &[u8]) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let Some(from) = &self.from else { return Ok(()) };
        let restored = self.store.restore(from.number, |frame, body| match frame.kind.is_state() {
            true => take(frame.stage, frame.instance, frame.lane, body),
            false => Ok(()),
        });
        restored.map_err(|error| match error {
            RestoreError::Store(error) => refused(&error),
            RestoreError::Receiver(error) => error,
        })
    }
}

impl SavedEpoch {
    fn read(store: &Store, number: u64, folder: &Path, now: &Manifest) -> Result<Self, RunError> {
        let (mut parts, mut ended) = (BTreeMap::new(), BTreeMap::<_, Vec<u32>>::new());
        let mut watermarks = BTreeMap::new();
        let read = store.restore(number, |frame, body| {
            let (stage, instance) = (frame.stage.to_owned(), frame.instance);
            match frame.kind {
                FrameKind::Ended => ended.entry((stage, instance)).or_default().push(frame.lane),
                FrameKind::Watermark => {
                    let time = body.try_into().map(i64::from_le_bytes).ok();
                    watermarks.extend(time.map(|time| ((stage, instance, frame.lane), time)));
                }
                kind if kind.is_state() => {}
                kind => drop(parts.insert((kind, stage, instance), body.to_vec())),
            }
            Ok::<_, std::convert::Infallible>(())
        });
        match read {
            Ok(()) => {}
            Err(RestoreError::Store(error)) => return Err(refused(&error)),
            Err(RestoreError::Receiver(never)) => match never {},
        }
        let info = store.epochs().iter().find(|info| info.number == number);
        let manifest = info.and_then(|info| serde_json::from_slice::<Manifest>(&info.manifest).ok());
        let Some(manifest) = manifest else {
            return Err(does_not_fit(folder, number, "its manifest cannot be read"));
        };
        match manifest.difference(now) {
            Some(difference) => Err(does_not_fit(folder, number, &difference)),
            None => Ok(Self { number, manifest, parts, ended, watermarks }),
        }
    }
}

fn does_not_fit(folder: &Path, number: u64, reason: &str) -> RunError {
    let what = format!("the run cannot go on from epoch {number} in {}: {reason}", folder.display());
    let hint = "start anew with --from none, or with another folder; or run the pipeline as it was";
    RunError::Checkpoint { what, hint: Some(hint.to_owned()) }
}

fn refused(error: &StoreError) -> RunError {
    RunError::Checkpoint { what: super::error::with_causes(error), hint: error.hint().map(str::to_owned) }
}
