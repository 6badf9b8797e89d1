//! Damage of what was synced is refused, or changes nothing. It never leaves older epochs in silence.

use crate::disk::Disk;
use crate::error::StoreError;
use crate::lying_disk::{Coins, LyingDisk};
use crate::plain_model::{Action, PlainEpoch, Run, SMALL, contents, open};
use crate::segment::segment_number;
use crate::store::{OnDamage, Store};

fn epoch(is_base: bool, bytes: usize) -> Action {
    Action::Epoch { is_base, bytes }
}

/// The bytes that were written to a disk.
struct Written {
    disk: LyingDisk,
    /// The epochs that are restored.
    kept: Vec<PlainEpoch>,
    /// All whole epochs that were not dropped.
    whole: Vec<PlainEpoch>,
    /// The name of the segment that grows.
    growing: String,
}

/// A disk with three bases, some segments, and the rest of an epoch that did not become whole if `is_torn`.
fn written(is_torn: bool) -> Written {
    let mut run = Run::new();
    let actions = [
        Action::Reopen,
        Action::Keep(6),
        epoch(true, 60),
        epoch(false, 30),
        epoch(true, 30),
        epoch(false, 20),
        epoch(false, 10),
        Action::GoOnFrom(1),
        epoch(false, 4),
        epoch(true, 20),
        epoch(false, 6),
        epoch(false, 8),
    ];
    for action in actions {
        run.act(action).unwrap();
    }
    if is_torn {
        let store = run.store.as_mut().unwrap();
        let mut epoch = store.begin(false).unwrap();
        let frame = crate::Frame { kind: crate::FrameKind::Letters, stage: "stage", instance: 7, lane: 0 };
        epoch.put(frame, &[b'l'; 800]).unwrap();
        drop(epoch);
    }
    let kept = contents(run.store.as_ref().unwrap());
    drop(run.store.take());
    let growing =
        run.disk.lengths().into_iter().rev().map(|(name, _)| name).find(|name| segment_number(name).is_some()).unwrap();
    Written { disk: run.disk, kept, whole: run.plain.whole, growing }
}

fn in_spite_of_damage(disk: &LyingDisk) -> Result<Store, StoreError> {
    Store::open_disk(Box::new(disk.clone()) as Box<dyn Disk>, SMALL, OnDamage::KeepWhole)
}

/// Checks what becomes of a damaged disk. Returns whether it was refused.
fn judge(disk: &LyingDisk, written: &Written, what: &str) -> bool {
    let before = (disk.lengths(), disk.operations());
    match open(disk) {
        Ok(store) => {
            assert_eq!(contents(&store), written.kept, "{what}: other epochs, in silence");
            false
        }
        Err(StoreError::Damaged(damage)) => {
            assert_eq!((disk.lengths(), disk.operations()), before, "{what}: a refused folder was changed");
            let store = in_spite_of_damage(disk).unwrap();
            let whole = contents(&store);
            assert!(whole.iter().all(|epoch| written.whole.contains(epoch)), "{what}: an epoch is wrong");
            let numbers: Vec<_> = whole.iter().map(|epoch| epoch.number).collect();
            assert_eq!(damage.whole, numbers, "{what}");
            true
        }
        Err(StoreError::Newer { .. }) => true,
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    for is_torn in [false, true] {
        let written = written(is_torn);
        let disk = &written.disk;
        assert_eq!(written.kept.len(), 6);
        let (mut refused, mut harmless) = (0, 0);
        for (name, length) in disk.lengths() {
            // A torn end makes another file, and the same decisions: a bit of each byte will do.
            for bit in (0..length * 8).step_by(if is_torn { 9 } else { 1 }) {
                let flipped = disk.changed(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                let is_refused = judge(&flipped, &written, &format!("{name} bit {bit}"));
                *(if is_refused { &mut refused } else { &mut harmless }) += 1;
            }
        }
        // Only the last proof and what was never whole may change, and what is behind the end of a sealed segment.
        // Only the proof may change, and what was never whole.
        let spare = if is_torn { 32 + 900 } else { 32 };
        assert!(harmless <= spare * 8 && refused > 2000, "{harmless} harmless, {refused} refused");
    }
}

#[test]
fn a_file_that_is_cut_or_missing_is_refused_or_changes_nothing() {
    let written = written(false);
    let disk = &written.disk;
    for (name, length) in disk.lengths() {
        let is_refused = judge(&disk.without(&name), &written, &format!("no {name}"));
        assert_eq!(is_refused, name != "synced", "no {name}");
        for kept in 0..length {
            let what = format!("{kept} bytes of {name}");
            let cut = disk.changed(&name, |bytes| bytes.truncate(kept));
            judge(&cut, &written, &what);
        }
    }
}

#[test]
fn sectors_of_zeros_and_of_noise_are_refused_or_change_nothing() {
    let written = written(false);
    let disk = &written.disk;
    let mut coins = Coins(7);
    for (name, length) in disk.lengths() {
        for start in (0..length).step_by(64) {
            let zeros = disk.changed(&name, |bytes| bytes[start..length.min(start + 64)].fill(0));
            judge(&zeros, &written, &format!("zeros at {start} of {name}"));
            let noise = disk.changed(&name, |bytes| {
                let part = &mut bytes[start..length.min(start + 64)];
                part.fill_with(|| u8::try_from(coins.number() % 256).unwrap());
            });
            judge(&noise, &written, &format!("noise at {start} of {name}"));
        }
    }
}

#[test]
fn damage_is_told_with_its_place_and_a_run_goes_on_from_a_whole_epoch() {
    let Written { disk, kept, .. } = written(false);
    let segment = disk.lengths()[1].0.clone();
    // The first segment has epochs 1 and 2; the second begins with the base 3.
    let damaged = disk.changed(&segment, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let damaged = damaged.changed(&segment, |bytes| bytes[400] ^= 1);
    let error = open(&damaged).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("/lying/{segment} is damaged at byte ")), "{text}");
    assert!(text.ends_with("whole epochs: 1, 3 to 4, 6 to 9") || text.contains("whole epochs: "), "{text}");
    let mut store = in_spite_of_damage(&damaged).unwrap();
    assert!(matches!(store.begin(true).unwrap_err(), StoreError::Undecided { .. }));
    let last = kept.last().unwrap().number;
    store.go_on_from(Some(last)).unwrap();
    let number = store.begin(false).unwrap().whole(b"", false).unwrap();
    assert!(number > last);
    drop(store);
    let store = open(&damaged).unwrap();
    assert_eq!(store.epochs().last().unwrap().number, number, "the damaged part is dropped");
}

#[test]
fn without_the_list_of_segments_a_run_starts_afresh_under_new_numbers() {
    let Written { disk, kept, .. } = written(false);
    let lost = disk.without("CURRENT");
    let error = open(&lost).unwrap_err();
    assert_eq!(error.to_string(), "/lying/CURRENT is damaged at byte 0: the file is missing; whole epochs: none");
    assert_eq!(error.hint(), Some("start afresh with --from none"));
    let mut store = in_spite_of_damage(&lost).unwrap();
    assert!(store.epochs().is_empty());
    store.go_on_from(None).unwrap();
    let number = store.begin(true).unwrap().whole(b"", false).unwrap();
    assert!(number > kept.last().unwrap().number, "{number}");
    drop(store);
    assert_eq!(open(&lost).unwrap().epochs().len(), 1);
    assert_eq!(lost.lengths().len(), 3, "the old segments are gone");
}

#[test]
fn damage_after_the_folder_was_opened_stops_the_restore() {
    let Written { disk, growing: segment, .. } = written(false);
    let store = open(&disk).unwrap();
    let length = disk.lengths().into_iter().find(|(name, _)| *name == segment).unwrap().1;
    let file = disk.open(&segment).unwrap();
    let at = u64::try_from(length / 2).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 1], at).unwrap();
    let last = store.epochs().last().unwrap().number;
    let error = store.restore::<std::convert::Infallible>(last, |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains(&format!("{segment} is damaged at byte ")), "{error}");
}
