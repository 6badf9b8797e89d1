//! Tests that missing controllers of a v2 group are detected: in such a group every write succeeds and no
//! limit holds.

use std::fs;
use std::path::{Path, PathBuf};

use sage_test_support::{Need, skip};

use super::branch::Branch;
use super::live_tests::{FOR_EVER, cgroups, end, memory, number, start};
use super::mounts::{Hierarchy, Version};
use super::*;

/// A slice on v2 in which a test can prepare a broken group.
fn on_v2(test: &str) -> Option<(Cgroups, PathBuf)> {
    let cgroups = cgroups(test, &[Controller::Memory, Controller::Cpu])?;
    match cgroups.composition() {
        Composition::Unified | Composition::Delegated => {
            let slice = cgroups.slices().remove(0);
            Some((cgroups, slice))
        }
        other => {
            skip(Need::Cgroup2, format_args!("this is {other}; `make test-cgroup2` brings a machine with cgroup v2"));
            None
        }
    }
}

/// The result of a detection by a process in this group.
fn detected_in(group: &Path) -> Cgroups {
    let hierarchy = Hierarchy {
        version: Version::V2,
        controllers: Vec::new(),
        line: "0::".to_owned(),
        mount: PathBuf::from("/sys/fs/cgroup"),
        own: group.to_owned(),
    };
    Cgroups::try_out(vec![Branch::new(hierarchy, Some("inner"))])
}

/// A folder that looks like a v2 group with the controllers cpu, memory and pids. The controllers that are
/// handed down are in a file of their own.
fn make_believe(handed_down: Option<&str>) -> tempfile::TempDir {
    let group = tempfile::tempdir().unwrap();
    fs::write(group.path().join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
    fs::write(group.path().join("cgroup.events"), "populated 1\n").unwrap();
    let orders = group.path().join("cgroup.subtree_control");
    match handed_down {
        Some(controllers) => fs::write(orders, controllers).unwrap(),
        None => std::os::unix::fs::symlink("/dev/null", orders).unwrap(),
    }
    group
}

#[test]
fn an_order_to_hand_down_that_is_taken_and_not_followed_is_found_out() {
    let group = make_believe(None);
    let found = detected_in(group.path());
    let why = found.controls().memory.why_not.clone().unwrap();
    let path = group.path().display();
    assert_eq!(
        why,
        format!("{path} does not hand memory down to the groups in it: the kernel accepted the command and ignored it")
    );
    assert_eq!(found.composition(), Composition::None);
}

#[test]
fn a_group_that_has_no_file_for_a_limit_is_found_out_and_no_file_is_made() {
    let group = make_believe(Some("cpu memory pids\n"));
    let found = detected_in(group.path());
    for controller in [Controller::Memory, Controller::Cpu, Controller::Pids] {
        let why = found.controls().of(controller).why_not.clone().unwrap();
        assert!(why.starts_with("cannot write") && why.contains("no such file"), "{why}");
    }
    let cpuset = found.controls().cpuset.why_not.clone().unwrap();
    assert_eq!(cpuset, format!("the cgroup {} was not given the controller cpuset", group.path().display()));
}

#[test]
fn a_controller_that_the_group_above_keeps_is_found_out_and_its_limit_refused() {
    let Some((_cgroups, place)) = on_v2("kept") else { return };
    let above = place.join("above");
    let own = above.join("own");
    fs::create_dir(&above).unwrap();
    knob::write(&above.join("cgroup.subtree_control"), "+cpu").unwrap();
    fs::create_dir(&own).unwrap();

    let poor = detected_in(&own);
    let control = poor.controls().memory.clone();
    assert!(!control.available, "{control:?}");
    let why = control.why_not.unwrap();
    assert_eq!(why, format!("the cgroup {} was not given the controller memory", own.display()));
    assert!(control.hint.unwrap().contains("cgroup.subtree_control"));
    assert!(poor.controls().cpu.available, "{:?}", poor.controls().cpu);

    let error = poor.tenant("t", &memory(64)).unwrap_err();
    assert_eq!(error.to_string(), format!("t cannot be given a limit of memory: {why}"));
    let tenant = poor.tenant("t", &GroupLimits { cpu_quota: Some(5_000), ..GroupLimits::default() }).unwrap();
    assert!(tenant.reading().periods.is_some());
    drop((tenant, poor));
    empty::remove_trees(&[above]).unwrap();
}

#[test]
fn a_group_in_which_others_are_hands_nothing_down_and_it_is_said_who() {
    let Some((cgroups, place)) = on_v2("crowded") else { return };
    let tenant = cgroups.tenant("t", &GroupLimits::default()).unwrap();
    let pipeline = tenant.pipeline("p", &GroupLimits::default()).unwrap();
    let crowded = pipeline.instance("w", 0, &GroupLimits::default()).unwrap();
    let other = start(&crowded, FOR_EVER);

    let found = detected_in(&place.join(crowded.path()));
    for controller in Controller::ALL {
        let control = found.controls().of(controller);
        let why = control.why_not.clone().unwrap();
        assert!(why.contains(&format!("process {} is in it", number(&other))), "{control:?}");
        assert!(control.hint.as_ref().unwrap().contains("Delegate=yes"), "{control:?}");
    }
    assert_eq!(found.composition(), Composition::None);
    drop(found);
    drop(crowded);
    end(other);
}
