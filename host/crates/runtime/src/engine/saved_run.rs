use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::job_options::StartFrom;
use sage_admission::Grant;
use sage_plan::{Checkpoints, Plan, StageId};
use sage_store::{FrameKind, RestoreError, SavepointRequest, Store, StoreError};

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
    /// Stages whose state is left out.
    dropped: Vec<String>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) records: u64,
    /// Unreadable parts that it passed over.
    pub(super) unreadable: u64,
    /// The place behind them, if the source can go there without reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<String>,
}

/// The position of a component's source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GuestPosition {
    pub(super) records: u64,
    pub(super) position: Vec<u8>,
}

impl Given {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
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

    /// The first difference between the pipeline of an epoch and this one that keeps the run from going on. What was
    /// saved of the stages in `dropped` does not count.
    ///
    /// An operator may have other instances and lanes: the state of each key goes where the records of the key go. A
    /// stage that is new begins without anything.
    fn difference(&self, now: &Self, dropped: &[String]) -> Option<Difference> {
        if self.pipeline != now.pipeline {
            let what = format!("they are of the pipeline \"{}\", and this is \"{}\"", self.pipeline, now.pipeline);
            return Some(Difference { what, stage: None });
        }
        let kept = self.stages.iter().filter(|before| !dropped.contains(&before.name));
        kept.into_iter().find_map(|before| {
            let stage = Some(before.name.clone());
            let Some(now) = now.stages.iter().find(|now| now.name == before.name) else {
                let what = format!("the pipeline has no \"{}\" any more", before.name);
                return before.leaves_something().then_some(Difference { what, stage });
            };
            let fits = before.kind == now.kind && (before.can_be_rescaled() || before == now);
            (!fits).then(|| {
                let what = format!("\"{}\" was {}, and is {}", before.name, before.told(), now.told());
                Difference { what, stage }
            })
        })
    }
}

/// Why a run cannot go on from an epoch.
struct Difference {
    what: String,
    /// The stage without whose saved parts it could.
    stage: Option<String>,
}

impl SavedStage {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn told(&self) -> String {
        format!("{}, {} instances of {} lanes", self.kind, self.instances, self.lanes)
    }

    /// Whether an epoch has something of the stage that a run without it would lose: state, a position, an output.
    fn leaves_something(&self) -> bool {
        matches!(self.kind.as_str(), "process" | "window" | "source" | "built-in")
    }

    /// Whether other instances can go on with what these have saved. A source has a position for each instance. Windows
    /// have a watermark for each.
    fn can_be_rescaled(&self) -> bool {
        !matches!(self.kind.as_str(), "window" | "source" | "built-in")
    }
}

impl SavedRun {
    /// Opens the checkpoints of a pipeline, and reads the epoch from which the run goes on.
    ///
    /// # Errors
    /// The folder cannot be used, it is damaged, or the epoch does not fit the pipeline.
    pub(super) fn open(
        settings: &Checkpoints,
        (from, dropped): (&StartFrom, &[String]),
        manifest: Manifest,
    ) -> Result<Self, RunError> {
        let refused = |error: StoreError| refused(&error);
        let mut store = match from {
            StartFrom::Last => Store::open(&settings.folder),
            StartFrom::Nothing | StartFrom::Epoch(_) | StartFrom::Savepoint(_) => {
                Store::open_despite_damage(&settings.folder)
            }
        }
        .map_err(refused)?;
        // Nobody waits for an answer to a request that an earlier run has not seen.
        SavepointRequest::waiting(&settings.folder).iter().for_each(|request| request.withdraw(&settings.folder));
        store.keep(settings.keep).map_err(refused)?;
        let number = match from {
            StartFrom::Nothing => None,
            StartFrom::Epoch(number) => Some(*number),
            // A run that came to its end leaves nothing to go on with.
            StartFrom::Last => store.epochs().last().filter(|epoch| !epoch.ended).map(|epoch| epoch.number),
            StartFrom::Savepoint(path) => Some(take_over(&mut store, path, &manifest, dropped)?),
        };
        let from = number
            .map(|number| SavedEpoch::read(&store, number, &settings.folder, (&manifest, dropped)))
            .transpose()?;
        store.go_on_from(number).map_err(refused)?;
        Ok(Self { store, settings: settings.clone(), manifest, from })
    }

    /// The instances and lanes that a stage had.
    pub(super) fn shape(&self, stage: &str) -> Option<(u32, u32)> {
        let stages = &self.from.as_ref()?.manifest.stages;
        stages.iter().find(|before| before.name == stage).map(|before| (before.instances, before.lanes))
    }

    /// Whether the states of the epoch lie in other lanes than those of this run, or not all of them count: then the
    /// next epoch holds whole states, because changes would continue those of the wrong lanes.
    pub(super) fn needs_base(&self) -> bool {
        let Some(from) = &self.from else { return false };
        let same = |before: &SavedStage| self.manifest.stages.iter().any(|now| now == before);
        !from.dropped.is_empty() || !from.manifest.stages.iter().all(same)
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
        let is_taken = |stage: &str| !from.dropped.iter().any(|dropped| dropped == stage);
        let restored =
            self.store.restore(from.number, |frame, body| match frame.kind.is_state() && is_taken(frame.stage) {
                true => take(frame.stage, frame.instance, frame.lane, body),
                false => Ok(()),
            });
        restored.map_err(|error| match error {
            RestoreError::Store(error) => refused(&error),
            RestoreError::Receiver(error) => error,
        })
    }
}

/// Makes the savepoint the last epoch of the store, if it fits the pipeline. So a run that is killed before its first
/// own epoch still leaves something to go on from.
fn take_over(store: &mut Store, path: &Path, now: &Manifest, dropped: &[String]) -> Result<u64, RunError> {
    let refused = |error: StoreError| refused(&error);
    if !Store::is_in(path) {
        let what = format!("{} is no savepoint: it has no epochs", path.display());
        let hint = "name the folder of one: FOLDER/savepoints/NAME".to_owned();
        return Err(RunError::Checkpoint { what, hint: Some(hint) });
    }
    let savepoint = Store::open(path).map_err(refused)?;
    let Some(number) = savepoint.epochs().last().map(|epoch| epoch.number) else {
        let what = format!("{} has no epoch to go on from", path.display());
        return Err(RunError::Checkpoint { what, hint: None });
    };
    // A savepoint that does not fit changes nothing here.
    SavedEpoch::read(&savepoint, number, path, (now, dropped))?;
    if store.is_undecided() {
        store.go_on_from(None).map_err(refused)?;
    }
    store.take_over(&savepoint, number).map_err(refused)
}

impl SavedEpoch {
    fn read(
        store: &Store,
        number: u64,
        folder: &Path,
        (now, dropped): (&Manifest, &[String]),
    ) -> Result<Self, RunError> {
        let (mut parts, mut ended) = (BTreeMap::new(), BTreeMap::<_, Vec<u32>>::new());
        let mut watermarks = BTreeMap::new();
        let read = store.restore(number, |frame, body| {
            let (stage, instance) = (frame.stage.to_owned(), frame.instance);
            match frame.kind {
                // A file of dead letters is that of other stages too, and goes on.
                kind if kind != FrameKind::Letters && dropped.contains(&stage) => {}
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
        let is_known = |name: &&String| manifest.stages.iter().any(|stage| stage.name == **name);
        if let Some(unknown) = dropped.iter().find(|name| !is_known(name)) {
            return Err(does_not_fit(folder, number, &format!("it has nothing of \"{unknown}\" to drop")));
        }
        if let Some(Difference { what, stage }) = manifest.difference(now, dropped) {
            let error = does_not_fit(folder, number, &what);
            return Err(match (error, stage) {
                (RunError::Checkpoint { what, hint: Some(hint) }, Some(stage)) => {
                    let hint = format!("{hint}; or leave out what was saved of it: --drop-state {stage}");
                    RunError::Checkpoint { what, hint: Some(hint) }
                }
                (error, _) => error,
            });
        }
        let mut saved = Self { number, manifest, parts, ended, watermarks, dropped: dropped.to_vec() };
        saved.manifest.inputs.retain(|stage, _| !dropped.contains(stage));
        saved.fit_lanes(now).map_err(|what| does_not_fit(folder, number, &what))?;
        Ok(saved)
    }

    /// Carries the ends and the watermarks of lanes over to stages with other instances or lanes.
    fn fit_lanes(&mut self, now: &Manifest) -> Result<(), String> {
        for before in &self.manifest.stages {
            let Some(now) = now.stages.iter().find(|now| now.name == before.name && **now != *before) else { continue };
            let lanes_before = u64::from(before.instances) * u64::from(before.lanes);
            let times: Vec<i64> = self
                .watermarks
                .iter()
                .filter(|((stage, ..), _)| *stage == before.name)
                .map(|(_, time)| *time)
                .collect();
            self.watermarks.retain(|(stage, ..), _| *stage != before.name);
            // A key goes to any of the new lanes, so none of them is later than the earliest of the old ones.
            if let Some(&earliest) = times.iter().min().filter(|_| times.len() as u64 == lanes_before) {
                let all = (0..now.instances).flat_map(|instance| (0..now.lanes).map(move |lane| (instance, lane)));
                self.watermarks.extend(all.map(|(instance, lane)| ((now.name.clone(), instance, lane), earliest)));
            }
            let ends = self.ended.iter().filter(|((stage, _), _)| *stage == before.name);
            let ended = ends.map(|(_, lanes)| lanes.len() as u64).sum::<u64>();
            self.ended.retain(|(stage, _), _| *stage != before.name);
            match ended {
                0 => {}
                // All were told that their input has ended, and their state is that of the end.
                all if all == lanes_before => {
                    let lanes: Vec<u32> = (0..now.lanes).collect();
                    (0..now.instances).for_each(|instance| {
                        self.ended.insert((now.name.clone(), instance), lanes.clone());
                    });
                }
                // Only a process does something at its end.
                _ if before.kind != "process" => {}
                some => {
                    return Err(format!(
                        "{some} of the {lanes_before} lanes of \"{}\" had come to their ends, so its state cannot go to \
                         other instances",
                        before.name
                    ));
                }
            }
        }
        Ok(())
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
