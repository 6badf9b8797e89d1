//! Tests of the turn table of runs that share a device: presence, places and corrupt entries.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::other_process::OtherProcess;
use super::*;

fn folder() -> (tempfile::TempDir, LeaseFolder) {
    let place = tempfile::tempdir().unwrap();
    let folder = LeaseFolder::at(&place.path().join("leases")).unwrap();
    (place, folder)
}

/// The files of turns with this suffix.
fn files(folder: &LeaseFolder, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

fn entry(number: u64) -> TurnEntry {
    TurnEntry { running: 1, waiting: 2, used: number, start: 3, seen: TurnTable::now(), until: 4 }
}

/// Overwrites the table with these bytes, except for the head's layout number.
fn spoil(table: &Path, byte: u8) {
    let file = std::fs::File::options().write(true).open(table).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![byte; usize::try_from(length).unwrap() - 8], 8).unwrap();
}

#[test]
fn who_has_a_place_sees_what_the_others_say_and_who_leaves_is_not_seen_any_more() {
    let (_place, folder) = folder();
    let first = folder.join_turns("cpu0", 1).unwrap();
    assert!(first.is_alone());
    let second = folder.join_turns("cpu0", 2).unwrap();
    let elsewhere = folder.join_turns("cpu0-1", 3).unwrap();
    assert!(elsewhere.is_alone() && !first.is_alone() && !second.is_alone());
    let (one, two) = (entry(7), entry(8));
    first.publish(&one);
    second.publish(&two);
    assert_eq!((first.others(), second.others()), (vec![(1, two)], vec![(0, one)]));
    drop(first);
    assert!(second.is_alone());
    assert_eq!(folder.join_turns("cpu0", 4).unwrap().place(), 0, "a place that is free is given again");
    drop((second, elsewhere));
    assert_eq!((files(&folder, ".turns"), files(&folder, ".turn")), (vec![], vec![]), "nothing is left behind");
}

#[test]
fn nobody_else_may_open_what_is_mapped() {
    let (_place, folder) = folder();
    let _table = folder.join_turns("cpu0", 1).unwrap();
    for file in files(&folder, ".turns").iter().chain(&files(&folder, ".turn")) {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn the_place_of_a_process_that_died_is_anothers_and_its_files_are_taken_away() {
    let (_place, folder) = folder();
    let here = folder.join_turns("cpu0", 1).unwrap();
    let mut other = OtherProcess::start(&folder);
    other.tell("turns");
    assert_eq!(other.answer(), "has place 1");
    here.forget_dead(u64::MAX);
    assert!(!here.is_alone(), "it lives, however long ago it looked");
    other.kill();
    here.forget_dead(0);
    assert!(!here.is_alone(), "no place was checked");
    here.forget_dead(u64::MAX);
    assert!(here.is_alone());
    assert_eq!(folder.join_turns("cpu0", 2).unwrap().place(), 1);
    drop(here);
    assert_eq!((files(&folder, ".turns"), files(&folder, ".turn")), (vec![], vec![]));
}

#[test]
fn whoever_claims_next_takes_away_what_the_last_one_left_of_its_turns() {
    let (_place, folder) = folder();
    let mut other = OtherProcess::start(&folder);
    other.tell("turns");
    assert_eq!(other.answer(), "has place 0");
    let elsewhere = folder.join_turns("cpu1", 1).unwrap();
    let claim = || {
        let claim = Claim::here("test", "blue", Amounts::default(), CpuSet::default());
        let held = folder.choose().unwrap().claim(claim).unwrap();
        drop(held);
    };
    claim();
    assert_eq!((files(&folder, ".turns").len(), files(&folder, ".turn").len()), (2, 2), "both live");
    other.kill();
    claim();
    assert_eq!((files(&folder, ".turns").len(), files(&folder, ".turn").len()), (1, 1));
    drop(elsewhere);
    assert_eq!((files(&folder, ".turns"), files(&folder, ".turn")), (vec![], vec![]));
}

#[test]
fn there_are_sixty_four_places() {
    let (_place, folder) = folder();
    let mut tables: Vec<_> = (1..=64).map(|token| folder.join_turns("cpu0", token).unwrap()).collect();
    let error = folder.join_turns("cpu0", 65).unwrap_err();
    assert!(error.to_string().ends_with(".turns: all of its 64 places are taken"), "{error}");
    drop(tables.remove(10));
    assert_eq!(folder.join_turns("cpu0", 66).unwrap().place(), 10);
}

#[test]
fn what_is_spoilt_is_as_if_it_were_not_there_until_its_owner_writes_it_anew() {
    let (_place, folder) = folder();
    let (first, second) = (folder.join_turns("cpu0", 1).unwrap(), folder.join_turns("cpu0", 2).unwrap());
    for byte in [0, 0xff, 0x55] {
        second.publish(&entry(8));
        spoil(&files(&folder, ".turns")[0], byte);
        assert_eq!(first.others(), [], "filled with {byte:#x}");
        first.forget_dead(u64::MAX);
        drop(first.exclusively());
        first.wait(first.doorbell(), Duration::from_millis(1));
        let again = entry(9);
        second.publish(&again);
        assert_eq!(first.others(), [(1, again)], "filled with {byte:#x}");
        // A third run gets neither run's place.
        first.publish(&entry(7));
        assert_eq!(folder.join_turns("cpu0", 3).unwrap().place(), 2);
    }
}

#[test]
fn who_comes_first_makes_the_file_anew_and_who_comes_to_another_is_told() {
    let (_place, folder) = folder();
    let table = folder.join_turns("cpu0", 1).unwrap();
    let path = files(&folder, ".turns").remove(0);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"another!", 0).unwrap();
    let error = folder.join_turns("cpu0", 2).unwrap_err();
    assert!(error.to_string().ends_with("another version of sage-host has written it"), "{error}");
    assert_eq!(files(&folder, ".turn").len(), 1, "a run without a place leaves nothing");
    drop(table);
    for left_behind in [b"".as_slice(), &[0xff; 100_000]] {
        std::fs::write(&path, left_behind).unwrap();
        assert_eq!(folder.join_turns("cpu0", 3).unwrap().others(), []);
    }
    std::fs::create_dir(&path).unwrap();
    assert!(folder.join_turns("cpu0", 4).is_err());
}

#[test]
fn a_lock_that_somebody_keeps_is_taken_from_them_and_they_do_not_let_go_of_anothers() {
    let (_place, folder) = folder();
    let tables = [1, 2, 3].map(|token| folder.join_turns("cpu0", token).unwrap());
    let kept = tables[0].exclusively().expect("the lock is free");
    let taken = tables[1].exclusively().expect("the lock is taken from its holder");
    drop(kept);
    let again = tables[2].exclusively().expect("and again");
    drop((taken, again));
    assert!(tables[0].exclusively().is_some());
}

#[test]
fn the_bell_wakes_who_waits_and_one_that_was_rung_before_is_not_waited_for() {
    let (_place, folder) = folder();
    let (first, second) = (folder.join_turns("cpu0", 1).unwrap(), folder.join_turns("cpu0", 2).unwrap());
    let said = first.doorbell();
    second.ring();
    first.wait(said, Duration::from_millis(900));
    let first = &first;
    std::thread::scope(|scope| {
        let said = first.doorbell();
        let waiting = scope.spawn(move || first.wait(said, Duration::from_millis(900)));
        while !waiting.is_finished() {
            second.ring();
        }
    });
}
