use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use sage_machine::LockHolder;

use crate::catalog::Catalog;
use crate::current::{CURRENT, Current, NoCurrent};
use crate::disk::Disk as _;
use crate::epoch_info::EpochInfo;
use crate::error::{Damage, StoreError, failed};
use crate::folder_disk::FolderDisk;
use crate::frame::FrameKind;
use crate::locked_folder::holder;
use crate::segment::segment_name;

/// The content of a folder of checkpoints. Every byte that counts was read and checked.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The process that has the folder open.
    pub holder: Option<LockHolder>,
    /// The epochs that can be restored, in rising order.
    pub epochs: Vec<InspectedEpoch>,
    /// The segments, in rising order.
    pub segments: Vec<InspectedSegment>,
    /// Bytes of an epoch that did not become whole. A run that has the folder open may be writing it.
    pub unfinished: u64,
    /// The first damage.
    pub damage: Option<Damage>,
}

/// An epoch that can be restored.
#[derive(Debug, Clone)]
pub struct InspectedEpoch {
    /// Its number, time and manifest.
    pub info: EpochInfo,
    /// The epoch with the whole states that it is restored from.
    pub base: u64,
    /// Its own size.
    pub bytes: u64,
    /// What it holds itself, by stage and kind.
    pub stages: Vec<StageFrames>,
}

/// The frames of one kind that an epoch has of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFrames {
    /// The name of the stage.
    pub stage: String,
    /// The kind of the frames.
    pub kind: FrameKind,
    /// How many there are.
    pub frames: u64,
    /// Their size.
    pub bytes: u64,
}

/// A segment of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedSegment {
    /// The name of its file.
    pub name: String,
    /// Its bytes that count.
    pub bytes: u64,
    /// Its first epoch.
    pub first: u64,
    /// Its number of whole epochs.
    pub epochs: u64,
}

/// How often a folder is read again because a run deleted a segment meanwhile.
const ATTEMPTS: u32 = 5;

impl Inspection {
    /// Reads a folder, and changes nothing. A run may have it open.
    ///
    /// # Errors
    /// [`StoreError::Absent`]: the folder does not exist or has no checkpoints. [`StoreError::Newer`]; errors of the
    /// disk. Damage is a part of the result.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        let disk = match FolderDisk::open(folder) {
            Ok(disk) => disk,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Absent { folder: folder.to_owned() });
            }
            Err(error) => return Err(failed("open", folder)(error)),
        };
        let holder = holder(&disk);
        for _ in 0..ATTEMPTS {
            let current = Current::load(&disk)?;
            let inspection = Self::read(folder, &disk, current.clone(), holder)?;
            if inspection.damage.is_none() || Current::load(&disk)? == current {
                return Ok(inspection);
            }
        }
        Self::read(folder, &disk, Current::load(&disk)?, holder)
    }

    fn read(
        folder: &Path,
        disk: &FolderDisk,
        current: Option<Result<Current, NoCurrent>>,
        holder: Option<LockHolder>,
    ) -> Result<Self, StoreError> {
        let mut inspection = Self { holder, epochs: Vec::new(), segments: Vec::new(), unfinished: 0, damage: None };
        let current = match current {
            None => return Err(StoreError::Absent { folder: folder.to_owned() }),
            Some(Ok(current)) => current,
            Some(Err(NoCurrent::Format(format))) => {
                return Err(StoreError::Newer { path: disk.path(CURRENT), what: format!("format {format}") });
            }
            Some(Err(NoCurrent::Damaged { byte, reason })) => {
                let (path, reason) = (disk.path(CURRENT), reason.to_owned());
                inspection.damage = Some(Damage { path, byte, reason, whole: Vec::new() });
                return Ok(inspection);
            }
        };
        let mut stages: BTreeMap<(u64, String, FrameKind), (u64, u64)> = BTreeMap::new();
        let catalog = Catalog::read(disk, &current, &mut |frame| {
            let (frames, bytes) = stages.entry((frame.epoch, frame.stage.to_owned(), frame.kind)).or_default();
            (*frames, *bytes) = (*frames + 1, *bytes + frame.bytes);
        })?;
        let mut base = 0;
        for entry in &catalog.entries {
            if entry.is_base {
                base = entry.number;
            }
            let Some(info) = catalog.infos.iter().find(|info| info.number == entry.number) else { continue };
            let own = stages.range((entry.number, String::new(), FrameKind::Base)..);
            let own = own.take_while(|((epoch, ..), _)| *epoch == entry.number);
            let stages = own.map(|((_, stage, kind), (frames, bytes))| StageFrames {
                stage: stage.clone(),
                kind: *kind,
                frames: *frames,
                bytes: *bytes,
            });
            let (info, bytes) = (info.clone(), entry.end - entry.start);
            inspection.epochs.push(InspectedEpoch { info, base, bytes, stages: stages.collect() });
        }
        inspection.unfinished = catalog.segments.iter().map(|segment| segment.unfinished).sum();
        inspection.segments = catalog
            .segments
            .iter()
            .map(|segment| InspectedSegment {
                name: segment_name(segment.first),
                bytes: segment.end,
                first: segment.first,
                epochs: segment.epochs,
            })
            .collect();
        inspection.damage = catalog.damage;
        Ok(inspection)
    }
}
