//! The room that checkpoints need, a disk without room, and folders that cannot be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sage_test_support::{Need, skip};

use crate::frame::{Frame, FrameKind};
use crate::lying_disk::LyingDisk;
use crate::store::{OnDamage, Settings, Store};
use crate::{Inspection, StoreError};

const SETTINGS: Settings = Settings { segment: 64 << 10, few_changes: 16 << 10, most_epochs: 50, buffer: 8 << 10 };

fn put(store: &mut Store, is_base: bool, bytes: usize) -> Result<u64, StoreError> {
    let mut epoch = store.begin(is_base)?;
    let kind = if is_base { FrameKind::Base } else { FrameKind::Changes };
    epoch.put(Frame { kind, stage: "count", instance: 0, lane: 0 }, &vec![b's'; bytes])?;
    epoch.whole(b"{}", false)
}

#[test]
fn the_disk_holds_at_most_three_times_the_state_and_two_segments() {
    const STATE: usize = 500 << 10;
    const KEEP: usize = 3;
    for changed in [0, STATE / 1000, STATE / 100, STATE / 10, STATE / 3, STATE] {
        let disk = LyingDisk::default();
        let mut store = Store::open_disk(Box::new(disk.clone()), SETTINGS, OnDamage::Refuse).unwrap();
        store.keep(KEEP).unwrap();
        let segment = usize::try_from(SETTINGS.segment).unwrap().max(KEEP * changed);
        let (mut most, mut bases) = (0, 0);
        for _ in 0..300 {
            let is_base = store.wants_base();
            bases += usize::from(is_base);
            put(&mut store, is_base, if is_base { STATE } else { changed }).unwrap();
            most = most.max(disk.lengths().iter().map(|(_, length)| length).sum::<usize>());
        }
        assert!(most <= 3 * STATE + 2 * segment, "{most} bytes with {changed} bytes an epoch");
        assert!(bases >= 5, "whole states are written again, also where little changes");
        // Whole states cost no more than the changes, but for those that bound the time of a restore.
        assert!(bases <= 2 + 300 / SETTINGS.most_epochs + 300 * changed / STATE, "{bases} at {changed}");
    }
}

/// Whether this process can mount a file system in a mount namespace of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=4k none /mnt";
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Names the folder in which a test of this file finds its file system.
const FOLDER: &str = "SAGE_STORE_TEST_FOLDER";

/// Runs a test again in a namespace with a file system of its own, where [`FOLDER`] is set.
fn again_in(mount: &str, test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{mount} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(folder.path());
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = command.env(FOLDER, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

#[test]
fn a_full_disk_is_told_and_a_run_goes_on_when_there_is_room() {
    let Some(folder) = folder() else {
        if !can_mount() {
            return skip(Need::Mount, "no file system can be mounted here");
        }
        let test = "room_tests::a_full_disk_is_told_and_a_run_goes_on_when_there_is_room";
        return again_in("mount -t tmpfs -o size=1m none \"$0\"", test);
    };
    let (filler, state) = (folder.join("filler"), folder.join("state"));
    fs::write(&filler, vec![0; 300 << 10]).unwrap();
    let mut store = Store::open(&state).unwrap();
    let mut last = put(&mut store, true, 100 << 10).unwrap();
    let full = loop {
        match put(&mut store, false, 90 << 10) {
            Ok(number) => last = number,
            Err(error) => break error,
        }
    };
    assert!(full.is_full_disk() && full.to_string().contains("No space left on device"), "{full}");
    assert_eq!(full.hint(), Some("make room on the disk, then go on with --from last"));
    assert!(matches!(put(&mut store, true, 1), Err(StoreError::Poisoned { .. })));
    drop(store);
    // What the failed epoch left is cut off, so there is room to open the folder. It is too little for the next epoch.
    let mut store = Store::open(&state).unwrap();
    assert_eq!(store.epochs().last().unwrap().number, last);
    let full = put(&mut store, true, 200 << 10).unwrap_err();
    assert!(full.is_full_disk(), "{full}");
    drop(store);
    fs::remove_file(filler).unwrap();
    let mut store = Store::open(&state).unwrap();
    assert_eq!(store.epochs().last().unwrap().number, last);
    let next = put(&mut store, true, 200 << 10).unwrap();
    drop(store);
    assert_eq!(Store::open(&state).unwrap().epochs().last().unwrap().number, next);
}

#[test]
fn a_folder_that_can_only_be_read_is_refused_and_can_be_inspected() {
    let Some(folder) = folder() else {
        if !can_mount() {
            return skip(Need::Mount, "no file system can be mounted here");
        }
        let test = "room_tests::a_folder_that_can_only_be_read_is_refused_and_can_be_inspected";
        let mount = "mount -t tmpfs -o mode=700 none \"$0\"";
        return again_in(mount, test);
    };
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&folder).status().unwrap();
        assert!(done.success());
    };
    let mut store = Store::open(&folder).unwrap();
    let number = put(&mut store, true, 1000).unwrap();
    drop(store);
    remount("ro");
    for refused in [Store::open(&folder), Store::open(&folder.join("new"))] {
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
    }
    let inspection = Inspection::of(&folder).unwrap();
    assert_eq!(inspection.epochs[0].info.number, number);
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if let Some(why) = Need::Root.missing() {
        return skip(Need::Root, why);
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(12345), None).unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(refused.to_string().ends_with("belongs to user 12345, not to user 0"), "{refused}");
    assert!(refused.hint().is_some());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_second_process_is_told_who_has_the_folder_open() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    let me = std::process::id();
    assert!(refused.to_string().contains(&format!("are in use by process {me} of user")), "{refused}");
    assert_eq!(Inspection::of(folder.path()).unwrap().holder.map(|holder| holder.pid), Some(me));
    drop(store);
    assert_eq!(Inspection::of(folder.path()).unwrap().holder, None);
    drop(Store::open(folder.path()).unwrap());
}

#[test]
fn an_inspection_tells_epochs_stages_and_what_is_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = folder.path();
    assert!(matches!(Inspection::of(path), Err(StoreError::Absent { .. })));
    assert!(matches!(Inspection::of(&path.join("none")), Err(StoreError::Absent { .. })));
    let mut store = Store::open(path).unwrap();
    put(&mut store, true, 100).unwrap();
    let mut epoch = store.begin(false).unwrap();
    for (kind, lane) in [(FrameKind::Changes, 0), (FrameKind::Changes, 1), (FrameKind::Position, 0)] {
        epoch.put(Frame { kind, stage: "count", instance: 0, lane }, b"abc").unwrap();
    }
    epoch.whole(b"{}", true).unwrap();
    let mut unfinished = store.begin(false).unwrap();
    unfinished.put(Frame { kind: FrameKind::Sink, stage: "out", instance: 0, lane: 0 }, &vec![0; 1 << 20]).unwrap();
    let inspection = Inspection::of(path).unwrap();
    drop(unfinished);
    assert!(inspection.unfinished > 1 << 20 && inspection.damage.is_none());
    let last = inspection.epochs.last().unwrap();
    assert_eq!((last.info.number, last.base, last.info.ended), (2, 1, true));
    let stages: Vec<_> = last.stages.iter().map(|of| (of.stage.as_str(), of.kind, of.frames)).collect();
    assert_eq!(stages, [("count", FrameKind::Changes, 2), ("count", FrameKind::Position, 1)]);
    assert_eq!(inspection.segments.len(), 1);
    assert_eq!(inspection.segments[0].epochs, 2);
}
