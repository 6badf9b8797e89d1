//! The findings of `doctor` on the machine that runs the tests, as the current user and as a user without
//! rights.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sage_machine::cgroup::{Cgroups, Controls};
use sage_test_support::{Need, skip};
use serde_json::Value;

use crate::program::{Ran, command, sage_host};

/// Names of the examinations, in order.
const NAMES: [&str; 12] = [
    "memory",
    "CPU quota",
    "CPU pinning",
    "pids",
    "system calls",
    "device access",
    "shared memory",
    "worker process",
    "lease folder",
    "component cache",
    "devices",
    "wasm target",
];

/// Id of a user without any rights.
const NOBODY: &str = "65534";

fn report(ran: &Ran) -> Value {
    let last = ran.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", ran.transcript()))
}

/// Name, tier and hint of each examination.
fn found(report: &Value) -> Vec<(&str, &str, Option<&str>)> {
    report["examinations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["found"].as_str().unwrap(), one["hint"].as_str()))
        .collect()
}

fn all_there(controls: &Controls) -> bool {
    controls.memory.available && controls.cpu.available && controls.pids.available && controls.cpuset.available
}

/// Replaces numbers, times and places of this machine in snapshots.
fn filtered(assert: impl FnOnce()) {
    let filters = [
        (r"\([0-9.]+ (ms|µs)\)", "(TIME)"),
        (r"in [0-9.]+ (ms|µs)", "in TIME"),
        (r"[0-9]+ of [0-9]+ periods", "N of M periods"),
        (r"each of [0-9]+ CPUs?", "each of N CPUs"),
        ("there is one CPU only, so there was nothing to break", "a process could not leave the CPU that it was given"),
        (r"with [0-9.]+[KM]iB at its peak", "with SOME at its peak"),
        (r"landlock [0-9]+", "landlock N"),
        (r"libraries in .*", "libraries in FOLDER"),
        (r"(flock in|folder) /\S+ *", "$1 FOLDER  "),
        (r"cgroup v[12] [a-z_.]+ *", "cgroup FILE  "),
        (r"control groups: .*", "control groups: SOME"),
        (r"observation *", "observation"),
        (r"mechanism +observation", "mechanism  observation"),
        (
            r"(seccomp, no_new_privs, no capabilities|sealed memfd, eventfd|sage-host worker|syscall filter|wasm32-wasip2) +",
            "$1  ",
        ),
    ];
    let mut settings = insta::Settings::clone_current();
    for (pattern, shown) in filters {
        settings.add_filter(pattern, shown);
    }
    settings.bind(assert);
}

#[test]
fn where_everything_works_each_limit_is_hard_and_is_seen_to_be() {
    let cgroups = Cgroups::detect(None);
    if !all_there(cgroups.controls()) {
        let why = format!("not every control group is here: {:?}", cgroups.controls());
        return skip(Need::Cgroup, why);
    }
    drop(cgroups);
    let folder = tempfile::tempdir().unwrap();
    let ran = sage_host(folder.path(), &["doctor"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.transcript());
    // The WebAssembly target and the devices depend on the machine, so the snapshot leaves them out.
    let of_machine = ["wasm target", "hint: wasm target", "devices", "hint: devices"];
    let text: String = ran
        .stdout
        .lines()
        .filter(|line| !of_machine.iter().any(|begin| line.starts_with(begin)))
        .map(|line| format!("{line}\n"))
        .collect();
    filtered(|| insta::assert_snapshot!("doctor", text));
    expect_nothing_left(folder.path());
}

#[test]
fn as_json_it_is_one_object_with_an_entry_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let ran = sage_host(folder.path(), &["doctor", "--output", "json"]);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.transcript());
    let report = report(&ran);
    assert_eq!(found(&report).iter().map(|(name, ..)| *name).collect::<Vec<_>>(), NAMES);
    let short = |one: &Value| one["needed"] == "hard" && one["found"] != "hard";
    let sufficient = !report["examinations"].as_array().unwrap().iter().any(short);
    assert_eq!(report["sufficient"], sufficient);
    assert_eq!(ran.code, Some(if sufficient { 0 } else { 3 }), "{}", ran.transcript());
    for one in report["examinations"].as_array().unwrap() {
        for key in ["found", "needed", "mechanism", "detail"] {
            assert!(one[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {one}");
        }
    }
    assert!(report["cgroups"].is_string() && report.get("slice").is_some());
}

#[test]
fn without_rights_it_says_what_is_left_of_each_limit_and_what_to_do_and_leaves_nothing() {
    let Some((folder, program)) = for_nobody() else { return };
    let ran = as_nobody(folder.path(), &program, &["doctor", "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.transcript());
    assert!(!ran.stderr.contains("panic") && ran.stderr.starts_with("error: not all that"), "{}", ran.transcript());
    let report = report(&ran);
    assert_eq!(report["sufficient"], false);
    for (name, tier, hint) in found(&report) {
        match name {
            "memory" | "CPU quota" | "pids" => {
                assert_eq!(tier, "cooperative", "{name}: {}", ran.transcript());
                assert!(hint.is_some_and(|hint| hint.contains("root")), "{name}: {hint:?}");
            }
            "CPU pinning" => assert!(tier == "hard" && hint.is_some(), "{}", ran.transcript()),
            "lease folder" | "devices" | "wasm target" => {}
            name => assert_eq!(tier, "hard", "{name}: {}", ran.transcript()),
        }
    }
    let text = as_nobody(folder.path(), &program, &["doctor"]);
    assert_eq!(text.code, Some(3), "{}", text.transcript());
    assert!(text.stdout.contains("memory, CPU quota, pids only cooperative"), "{}", text.transcript());
    assert!(text.stdout.contains("hint: memory, "), "{}", text.transcript());
    expect_nothing_left(folder.path());
}

#[test]
fn a_folder_that_cannot_be_used_is_nothing_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(&open, folder.path().join("link")).unwrap();
    let unusable = [("--cache-folder", "open", "component cache"), ("--lease-folder", "link", "lease folder")];
    for (option, path, name) in unusable {
        let ran = sage_host(folder.path(), &["doctor", "--output", "json", option, path]);
        assert_eq!(ran.code, Some(3), "{}", ran.transcript());
        let report = report(&ran);
        let of = |wanted: &str| found(&report).into_iter().find(|(name, ..)| *name == wanted).unwrap();
        assert_eq!(of(name).1, "none", "{}", ran.transcript());
        assert!(of(name).2.is_some(), "{}", ran.transcript());
    }
}

#[test]
fn a_lease_folder_in_which_others_replace_files_is_cooperative() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let ran = sage_host(folder.path(), &["doctor", "--output", "json", "--lease-folder", "open"]);
    let report = report(&ran);
    let (_, tier, _) = found(&report).into_iter().find(|(name, ..)| *name == "lease folder").unwrap();
    assert_eq!(tier, "cooperative", "{}", ran.transcript());
    assert!(ran.stdout.contains("replace its files"), "{}", ran.transcript());
}

/// A copy of the program in a folder that every user may use, because other users may not read the build
/// folder. The result is `None`, with a message, if this test cannot become another user.
fn for_nobody() -> Option<(tempfile::TempDir, PathBuf)> {
    let becomes =
        Command::new("setpriv").args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "true"]).output();
    if !becomes.is_ok_and(|output| output.status.success()) {
        skip(Need::Root, "setpriv cannot become another user");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("sage-host");
    fs::copy(env!("CARGO_BIN_EXE_sage-host"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Some((folder, program))
}

fn as_nobody(folder: &Path, program: &Path, words: &[&str]) -> Ran {
    let like = command(folder, words);
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).arg(program).args(words);
    setpriv.current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    for (name, value) in like.get_envs().filter(|(name, _)| *name != "XDG_CACHE_HOME") {
        match value {
            Some(value) => setpriv.env(name, value),
            None => setpriv.env_remove(name),
        };
    }
    Ran::of(setpriv.output().unwrap())
}

/// Asserts that `doctor` left no process, no control group and no file, except files of folders that stay.
fn expect_nothing_left(folder: &Path) {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(group) = folders.pop() {
        let name = group.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(name != "doctor" && !name.starts_with("doctor~"), "left behind: {}", group.display());
        folders.extend(
            fs::read_dir(&group).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()),
        );
    }
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(
                !name.starts_with("doctor-") && !name.starts_with("run-"),
                "left behind: {}",
                entry.path().display()
            );
            if entry.path().is_dir() {
                left.push(entry.path());
            }
        }
    }
}
