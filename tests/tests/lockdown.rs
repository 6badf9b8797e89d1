//! Rights that a process still has after its lockdown, tried by a process that locked itself down
//! (`src/bin/locked_down`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use sage_test_support::{Need, skip};
use sage_tests::{Scenario, guest};
use serde_json::{Value, json};

fn locked_down(order: &Value) -> Output {
    Command::new(env!("CARGO_BIN_EXE_locked-down")).arg(order.to_string()).output().unwrap()
}

/// Output lines of the process, which must succeed.
fn lines(order: &Value) -> Vec<String> {
    let output = locked_down(order);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

/// Output of the process as operation and result.
fn outcomes(order: &Value) -> BTreeMap<String, String> {
    lines(order).iter().map(|line| line.split_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// This kernel's landlock version, so that a test can report that it cannot run here.
fn landlock() -> u32 {
    outcomes(&json!({ "probe": "calls" }))["landlock"].parse().unwrap()
}

#[test]
fn nothing_that_a_guest_does_not_need_is_allowed() {
    let mut outcomes = outcomes(&json!({ "probe": "calls" }));
    let version: u32 = outcomes.remove("landlock").unwrap().parse().unwrap();
    assert_eq!(outcomes.remove("missing").unwrap() == "0", version >= 6, "missing protections are reported");
    assert_eq!(outcomes.remove("leaked-descriptor").as_deref(), Some("EBADF"));
    assert_eq!(outcomes.remove("clone3").as_deref(), Some("ENOSYS"), "libc then uses clone");
    assert!(outcomes.len() > 40);
    outcomes.retain(|_, outcome| outcome != "EPERM");
    assert!(outcomes.is_empty(), "not refused: {outcomes:?}");
}

#[test]
fn who_compiles_may_make_code_but_nothing_else() {
    let mut outcomes = outcomes(&json!({ "probe": "calls", "compiles": true }));
    for allowed in ["mmap-executable", "mprotect-executable"] {
        assert_eq!(outcomes.remove(allowed).as_deref(), Some("ok"));
    }
    for other in ["landlock", "missing", "leaked-descriptor", "clone3", "seccomp"] {
        outcomes.remove(other);
    }
    // All other calls are refused, as in a process that runs guests.
    outcomes.retain(|_, outcome| outcome != "EPERM");
    assert!(outcomes.is_empty(), "not refused: {outcomes:?}");
}

#[test]
fn threads_made_before_and_after_are_covered() {
    // The system call filter acts before landlock does.
    let refused = "open EPERM socket EPERM executable EPERM";
    assert_eq!(lines(&json!({ "probe": "threads" })), [format!("between {refused}"), format!("after {refused}")]);
}

#[test]
fn a_process_with_threads_is_told_that_it_is_too_late() {
    assert_eq!(lines(&json!({ "probe": "too-late" })), ["the process has 2 threads before its lockdown, 1 is allowed"]);
}

#[test]
fn granted_folders_can_be_used_and_their_neighbours_cannot() {
    if landlock() == 0 {
        return skip(Need::Landlock, "this kernel has no landlock");
    }
    let here = Scenario::new();
    let files = ["read/a.txt", "write/a.txt", "neighbour/a.txt"].map(|name| here.file(name, "text"));
    let folder = |name: &str, write: bool| json!([here.path().join(name), name, write]);
    let order = |folders: Value| json!({ "probe": "files", "paths": files, "folders": folders });
    let read_only = lines(&order(json!([folder("read", false)])));
    assert_eq!(read_only, ["read ok", "write EACCES", "read EACCES", "write EACCES", "read EACCES", "write EACCES"]);
    let both = lines(&order(json!([folder("read", false), folder("write", true)])));
    assert_eq!(both, ["read ok", "write EACCES", "read ok", "write ok", "read EACCES", "write EACCES"]);
    assert_eq!(here.read("neighbour/a.txt").as_deref(), Some("text"));
    assert_eq!(here.read("read/a.txt").as_deref(), Some("text"));
}

#[test]
fn a_file_beyond_the_limit_ends_the_process() {
    let output = locked_down(&json!({ "probe": "file-too-large" }));
    assert_eq!(output.status.signal(), Some(25), "SIGXFSZ: {output:?}");
    assert!(!output.status.core_dumped());
}

#[test]
fn guests_start_run_trap_and_start_again() {
    let order = |name: &str, batches: Value| json!({ "probe": "guest", "paths": [guest(name)], "batches": batches });
    let traps = lines(&order("map_traps", json!([["a", "b"], ["poison"], ["c"]])));
    assert_eq!(traps[..2], ["a", "b"]);
    assert!(traps[2].starts_with("trap: "), "{traps:?}");
    assert_eq!(traps[3..], ["c", "closed"]);
    let panics = lines(&order("map_panics", json!([["a"], ["poison"], ["b"]])));
    assert!(panics[1].starts_with("panic: panicked at"), "{panics:?}");
    assert_eq!(panics.last().unwrap(), "closed");
    let recurses = lines(&order("map_recurses", json!([["poison"], ["a"]])));
    assert!(recurses[0].starts_with("stack-overflow: "), "{recurses:?}");
    assert_eq!(recurses[1..], ["a", "closed"]);
    let hoards = lines(&order("map_hoards_memory", json!([["poison"], ["a"]])));
    assert!(hoards[0].starts_with("memory: "), "{hoards:?}");
    assert_eq!(hoards[1..], ["a", "closed"]);
    let spins = lines(&order("map_loops_for_ever", json!([["poison"], ["a"]])));
    assert!(spins[0].starts_with("cpu-time: "), "{spins:?}");
    assert_eq!(spins[1..], ["a", "closed"]);
}

#[test]
fn guests_that_wait_have_the_threads_that_waiting_needs() {
    let order = json!({ "probe": "guest", "paths": [guest("map_sleeps")], "batches": [["a"], ["poison"], ["b"]] });
    let told = lines(&order);
    assert_eq!(told[0], "a");
    assert!(told[1].starts_with("timeout: "), "{told:?}");
    assert_eq!(told[2..], ["b", "closed"]);
}

#[test]
fn guests_use_what_they_are_granted() {
    let here = Scenario::new();
    std::fs::create_dir(here.path().join("out")).unwrap();
    let folders = json!([[here.path().join("out"), "/out", true]]);
    let sink = guest("sink_writes_a_file");
    let order = json!({ "probe": "guest", "paths": [sink], "folders": folders, "batches": [["a", "b"], ["c"]] });
    assert_eq!(lines(&order), ["closed"]);
    assert_eq!(here.read("out/written.txt").as_deref(), Some("a\nb\nc\n"));
    assert_eq!(here.read("out/closed.txt").as_deref(), Some("yes"));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let granted = listener.local_addr().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let requests = [format!("connect {granted}"), format!("connect {other}"), "udp 127.0.0.1:0".to_owned()];
    let order = json!({ "probe": "guest", "paths": [guest("map_dials")], "connect": [granted], "batches": [requests] });
    let answers = [format!("connect {granted}: yes"), format!("connect {other}: no"), "udp 127.0.0.1:0: no".to_owned()];
    assert_eq!(lines(&order)[..3], answers);
}
