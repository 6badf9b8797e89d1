use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{Frame, FrameKind, Inspection, Store, StoreError};

fn frame(kind: FrameKind, instance: u32) -> Frame<'static> {
    Frame { kind, stage: "count", instance, lane: 0 }
}

/// An epoch of states and a position; a base with `whole`.
fn write(store: &mut Store, whole: bool, text: &[u8]) -> u64 {
    let kind = if whole { FrameKind::Base } else { FrameKind::Changes };
    let mut epoch = store.begin(whole).unwrap();
    for instance in 0..2 {
        epoch.put(frame(kind, instance), text).unwrap();
    }
    epoch.put(frame(FrameKind::Position, 0), text).unwrap();
    epoch.whole(b"{}", false).unwrap()
}

fn restored(store: &Store, number: u64) -> Vec<(FrameKind, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    let take = |frame: Frame<'_>, body: &[u8]| {
        frames.push((frame.kind, frame.instance, body.to_vec()));
        Ok::<_, StoreError>(())
    };
    store.restore(number, take).unwrap();
    frames
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_savepoint_is_a_folder_of_checkpoints_that_no_later_epoch_changes() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    let mut store = Store::open(&folder).unwrap();
    store.keep(1).unwrap();
    write(&mut store, true, b"one");
    let number = write(&mut store, true, b"two");
    let path = store.save_as(number, &folder, "before-upgrade", "pipeline = \"p\"\n").unwrap();
    assert_eq!(path, folder.join("savepoints/before-upgrade"));
    assert_eq!((mode(&path), mode(&path.join("manifest.toml"))), (0o700, 0o600));
    assert!(!folder.join("savepoints/before-upgrade.new").exists());
    let expected = restored(&store, number);
    for _ in 0..10 {
        write(&mut store, true, b"later");
    }
    drop(store);
    // The folder of the run does not take it for something of its own.
    drop(Store::open(&folder).unwrap());
    let inspection = Inspection::of(&path).unwrap();
    assert!(inspection.damage.is_none() && inspection.epochs.len() == 1 && inspection.segments.len() == 1);
    let savepoint = Store::open(&path).unwrap();
    assert_eq!(restored(&savepoint, savepoint.epochs()[0].number), expected);
}

#[test]
fn an_epoch_of_changes_is_taken_over_with_the_states_before_it() {
    let root = tempfile::tempdir().unwrap();
    let mut from = Store::open(&root.path().join("from")).unwrap();
    write(&mut from, true, b"base");
    let number = write(&mut from, false, b"changes");
    let mut to = Store::open(&root.path().join("to")).unwrap();
    write(&mut to, true, b"old");
    let taken = to.take_over(&from, number).unwrap();
    let base = |instance, body: &[u8]| (FrameKind::Base, instance, body.to_vec());
    let position = (FrameKind::Position, 0, b"changes".to_vec());
    let expected = [base(0, b"base"), base(1, b"base"), base(0, b"changes"), base(1, b"changes"), position];
    assert_eq!(restored(&to, taken), expected);
    assert_eq!(to.epochs().len(), 2, "the epoch before stays");
    assert!(!to.wants_base());
    write(&mut to, false, b"more");
}

#[test]
fn a_name_is_used_once_and_what_was_left_of_an_attempt_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    let mut store = Store::open(&folder).unwrap();
    let number = write(&mut store, true, b"one");
    // A run that was killed while it wrote one.
    let left = folder.join("savepoints/a.new");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("CURRENT"), "half").unwrap();
    store.save_as(number, &folder, "a", "").unwrap();
    assert!(matches!(store.save_as(number, &folder, "a", ""), Err(StoreError::Exists { .. })));
    assert!(matches!(store.save_as(99, &folder, "b", ""), Err(StoreError::NoSuchEpoch { .. })));
    assert!(!folder.join("savepoints/b").exists());
    // The store goes on.
    write(&mut store, false, b"two");
}
