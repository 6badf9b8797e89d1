//! Epochs in a real folder.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{Frame, FrameKind, RestoreError, Store, StoreError};

fn frame(kind: FrameKind, stage: &str, lane: u32) -> Frame<'_> {
    Frame { kind, stage, instance: 3, lane }
}

/// Writes an epoch with a frame of state, a position and a manifest.
fn write(store: &mut Store, is_base: bool, state: &str) -> u64 {
    let mut epoch = store.begin(is_base).unwrap();
    let number = epoch.number();
    let kind = if is_base { FrameKind::Base } else { FrameKind::Changes };
    epoch.put(frame(kind, "count", 0), state.as_bytes()).unwrap();
    epoch.put(frame(FrameKind::Position, "lines", 1), number.to_string().as_bytes()).unwrap();
    assert_eq!(epoch.whole(format!("{{\"n\":{number}}}").as_bytes(), false).unwrap(), number);
    number
}

fn restored(store: &Store, number: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let taken = store.restore::<Infallible>(number, |frame, body| {
        let Frame { kind, stage, instance, lane } = frame;
        lines.push(format!("{} {stage}/{instance}/{lane} {}", kind.name(), String::from_utf8_lossy(body)));
        Ok(())
    });
    taken.unwrap();
    lines
}

fn numbers(store: &Store) -> Vec<u64> {
    store.epochs().iter().map(|epoch| epoch.number).collect()
}

#[test]
fn an_epoch_is_restored_from_its_base_and_the_changes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut store = Store::open(&path).unwrap();
    assert!(store.wants_base() && store.epochs().is_empty());
    assert!(matches!(store.begin(false).unwrap_err(), StoreError::NoBase));
    write(&mut store, true, "a");
    write(&mut store, false, "b");
    assert!(!store.wants_base());
    assert!(matches!(Store::open(&path), Err(StoreError::InUse { .. })));
    drop(store);
    let mut store = Store::open(&path).unwrap();
    write(&mut store, false, "c");
    for open in 0..2 {
        assert_eq!(numbers(&store), [1, 2, 3]);
        let expected = ["base count/3/0 a", "changes count/3/0 b", "position lines/3/1 2"];
        assert_eq!(restored(&store, 2), expected, "open {open}");
        let info = &store.epochs()[2];
        assert_eq!((info.ended, info.manifest.as_slice()), (false, b"{\"n\":3}".as_slice()));
        assert!(info.wall_ms > 1_600_000_000_000);
        drop(store);
        store = Store::open(&path).unwrap();
    }
    write(&mut store, true, "d");
    assert_eq!(restored(&store, 4), ["base count/3/0 d", "position lines/3/1 4"]);
    assert_eq!(numbers(&store), [2, 3, 4], "three stay restorable");
    let no = store.restore::<Infallible>(1, |_, _| Ok(())).unwrap_err();
    assert_eq!(no.to_string(), "epoch 1 cannot be restored; whole epochs: 2 to 4");
}

#[test]
fn later_epochs_are_dropped_for_good_and_their_numbers_are_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.keep(10).unwrap();
    for (is_base, state) in [(true, "a"), (false, "b"), (true, "c"), (false, "d")] {
        write(&mut store, is_base, state);
    }
    store.go_on_from(Some(2)).unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&store), [1, 2]);
    assert_eq!(write(&mut store, false, "e"), 5);
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(restored(&store, 5)[..3], ["base count/3/0 a", "changes count/3/0 b", "changes count/3/0 e"]);
    assert!(matches!(store.go_on_from(Some(3)), Err(StoreError::NoSuchEpoch { number: 3, .. })));
    store.go_on_from(None).unwrap();
    assert!(store.epochs().is_empty() && store.wants_base());
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert!(store.epochs().is_empty());
    assert_eq!(write(&mut store, true, "f"), 6);
}

#[test]
fn an_epoch_that_is_dropped_leaves_nothing_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let long = vec![b'x'; 1 << 20];
    for is_base in [true, false, true] {
        let mut epoch = store.begin(is_base).unwrap();
        epoch.put(frame(FrameKind::Letters, "count", 0), &long).unwrap();
        drop(epoch);
        write(&mut store, is_base, "a");
    }
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(numbers(&store), [1, 2, 3]);
    assert_eq!(restored(&store, 2)[..2], ["base count/3/0 a", "changes count/3/0 a"]);
    let size: u64 = sizes(folder.path()).iter().sum();
    assert!(size < 2000, "{size}");
}

fn sizes(folder: &Path) -> Vec<u64> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect()
}

#[test]
fn segments_that_no_kept_epoch_needs_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    store.keep(2).unwrap();
    let names = || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let segments = || names().filter(|name| name.to_str().unwrap().ends_with(".epochs")).count();
    for (is_base, expected) in [(true, 1), (false, 1), (true, 2), (false, 1), (false, 1)] {
        write(&mut store, is_base, "a");
        store.keep(2).unwrap();
        assert_eq!(segments(), expected);
    }
    store.keep(0).unwrap();
    assert_eq!(numbers(&store), [5], "one is always kept");
}

#[test]
fn the_folder_and_its_files_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut store = Store::open(&path).unwrap();
    write(&mut store, true, "a");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let open = Store::open(&path).unwrap_err();
    assert!(open.to_string().ends_with("(mode 777)"), "{open}");
}

#[test]
fn a_folder_with_files_of_someone_else_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pipeline.toml"), "").unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(refused.to_string().ends_with("it contains \"pipeline.toml\""), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn only_checkpoints_of_a_run_that_ended_are_removed_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    assert!(matches!(Store::remove(&path, true), Err(StoreError::Absent { .. })));
    let mut store = Store::open(&path).unwrap();
    write(&mut store, true, "a");
    assert!(matches!(Store::remove(&path, true), Err(StoreError::InUse { .. })));
    drop(store);
    let refused = Store::remove(&path, false).unwrap_err();
    assert!(matches!(refused, StoreError::NotEnded { number: 1, .. }), "{refused}");
    Store::open(&path).unwrap().begin(false).unwrap().whole(b"", true).unwrap();
    fs::write(path.join("notes"), "not ours").unwrap();
    let removal = Store::remove(&path, false).unwrap();
    assert_eq!((removal.epochs, removal.folder_is_gone), (2, false));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "what is not a checkpoint stays");
    for force in [false, true] {
        assert!(matches!(Store::remove(&path, force), Err(StoreError::Absent { .. })));
    }
    fs::remove_file(path.join("notes")).unwrap();
    write(&mut Store::open(&path).unwrap(), true, "a");
    fs::write(path.join("CURRENT"), "damaged").unwrap();
    assert!(matches!(Store::remove(&path, false), Err(StoreError::Damaged(_))));
    assert!(Store::remove(&path, true).unwrap().folder_is_gone);
    assert!(!path.exists());
}

#[test]
fn frames_that_do_not_fit_are_refused_and_the_epoch_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let mut epoch = store.begin(true).unwrap();
    let changes = epoch.put(frame(FrameKind::Changes, "count", 0), b"a").unwrap_err();
    assert_eq!(changes.to_string(), "a frame of kind changes does not belong into an epoch of whole states");
    let name = "s".repeat(Frame::LONGEST_STAGE + 1);
    let long = epoch.put(frame(FrameKind::Base, &name, 0), b"a").unwrap_err();
    assert_eq!(long.to_string(), "the name of a stage has 1025 bytes, and at most 1024 are stored");
    epoch.put(frame(FrameKind::Base, &name[1..], 0), b"a").unwrap();
    epoch.whole(b"", true).unwrap();
    assert!(store.epochs()[0].ended);
    let base = store.begin(false).unwrap().put(frame(FrameKind::Base, "count", 0), b"a").unwrap_err();
    assert!(matches!(base, StoreError::Misplaced { kind: FrameKind::Base, is_base: false }));
    let stopped = store.restore(1, |_, _| Err("enough")).unwrap_err();
    assert!(matches!(stopped, RestoreError::Receiver("enough")), "{stopped}");
}
