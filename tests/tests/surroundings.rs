//! The surroundings of a run: control groups above it with small or falling limits, and lease folders that
//! not all users share, or that are replaced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sage_test_support::{Need, skip};
use sage_tests::{Running, Scenario, Surroundings, WatGuest, allowed_cpus, free_port, metric, program, thread_cpus};
use serde_json::Value;

/// A pipeline that requests `resources`. The pipeline ends after `count` records, or never.
fn asking(resources: &str, count: Option<u32>) -> Scenario {
    let scenario = Scenario::new();
    scenario.file("echo.wasm", WatGuest::default().build());
    let count = count.map_or(String::new(), |count| format!(", count = {count}"));
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "surrounded"
        [[source]]
        name = "in"
        generate = {{ rate = 200{count} }}
        [[operator]]
        name = "echo"
        component = "echo.wasm"
        input = "in"
        resources = {{ {resources} }}
        [[sink]]
        name = "out"
        input = "echo"
        discard = {{}}
        "#
    ));
    scenario
}

/// The row of a resource in the enforcement report of `--explain`.
fn row<'l>(ledger: &'l Value, resource: &str) -> &'l Value {
    let rows = ledger["rows"].as_array().unwrap();
    rows.iter().find(|row| row["operator"] == "echo" && row["resource"] == resource).unwrap()
}

#[test]
fn a_whole_cpu_under_a_quota_that_gives_less_is_refused_and_under_one_that_can_be_used_up_it_is_not_hard() {
    let Some(group) = Surroundings::new("cpu", "quota") else { return };
    let scenario = asking("num_cpus = 1", Some(1));
    scenario.file("host.toml", "[reserve]\ncpus = 0\n");
    let mut command = scenario.command("run");
    command.args(["--host", "host.toml", "--explain", "--output", "json"]);
    group.set_quota(20);
    let refused = group.around(&command).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    let words = format!("the pipeline wants 1 CPUs of time, the control group {} gives 0.2", group.group().display());
    assert!(said.contains(&words), "{words} is not in\n{said}");

    group.set_quota(100);
    let granted = group.around(&command).output().unwrap();
    assert_eq!(granted.status.code(), Some(0), "{granted:?}");
    let ledger: Value = serde_json::from_slice(&granted.stdout).unwrap();
    if allowed_cpus().len() > 1 {
        assert_eq!(row(&ledger, "num_cpus")["tier"], "cooperative");
        assert!(row(&ledger, "num_cpus")["note"].as_str().unwrap().contains("gives 1 CPUs of time"), "{ledger}");
    }
    assert_eq!(ledger["totals"]["cpu_quota"]["amount"], 10_000);

    // The requests add up to 1.1 CPUs.
    let shares = asking("num_cpus = 0.1", Some(1));
    let text = std::fs::read_to_string(shares.path().join("pipeline.toml")).unwrap();
    shares.file("pipeline.toml", text.replace("input = \"in\"", "input = \"in\"\nparallelism = 11"));
    let mut command = shares.command("run");
    command.arg("--explain");
    let refused = group.around(&command).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
}

/// Waits until the only lane is alone on a CPU, and returns that CPU.
fn leased(running: &mut Running) -> u32 {
    running.until("its lane was on a CPU of its own", |process| {
        let mut lanes = thread_cpus(process).into_iter().filter(|((name, _), _)| name.starts_with("echo-"));
        lanes.next().filter(|(_, cpus)| cpus.len() == 1).and_then(|(_, cpus)| cpus.first().copied())
    })
}

/// Number of times that the run printed `words`.
fn said(outcome: &sage_tests::Outcome, words: &str) -> usize {
    outcome.stderr.matches(words).count()
}

/// The lost limits: resource, tier before, tier after.
fn lost(outcome: &sage_tests::Outcome) -> Vec<(String, String, String)> {
    let summary = outcome.summary();
    let lost = summary["limits_lost"].as_array().cloned().unwrap_or_default();
    let word = |lost: &Value, name: &str| lost[name].as_str().unwrap().to_owned();
    lost.iter().map(|lost| (word(lost, "resource"), word(lost, "was"), word(lost, "tier"))).collect()
}

/// A surrounding limit that falls, the request that it affects, and the expected report.
struct Fall {
    controller: &'static str,
    resources: &'static str,
    fall: fn(&Surroundings, u32),
    resource: &'static str,
    tier: (&'static str, f64),
    says: &'static str,
}

const FALLS: [Fall; 3] = [
    Fall {
        controller: "cpuset",
        resources: "num_cpus = 1",
        fall: |group, leased| {
            let left: Vec<String> =
                allowed_cpus().into_iter().filter(|cpu| *cpu != leased).map(|cpu| cpu.to_string()).collect();
            group.set_cpus(&left.join(","));
        },
        resource: "num_cpus",
        tier: ("none", 0.0),
        says: "its lane on leased CPU",
    },
    Fall {
        controller: "cpu",
        resources: "num_cpus = 1",
        fall: |group, _| group.set_quota(50),
        resource: "num_cpus",
        tier: ("none", 0.0),
        says: "gives 0.5 CPUs of time now, leases and shares come to 1",
    },
    Fall {
        controller: "memory",
        resources: "num_cpus = 1, memory = \"400MiB\"",
        fall: |group, _| group.set_memory(300 << 20),
        resource: "memory",
        tier: ("cooperative", 1.0),
        says: "give 300MiB of memory now, promises and reserves come to",
    },
];

/// Starts a run in a control group, with metrics; `None`, with a message, if that is not possible here.
fn surrounded(fall: &Fall, name: &str, more: &[&str]) -> Option<(Surroundings, Scenario, Running, u16)> {
    if allowed_cpus().len() < 2 {
        skip(Need::Cpus, "this process may use one CPU only");
        return None;
    }
    if sage_tests::in_processes() {
        // On cgroup v1 the kernel refuses to remove a CPU that a worker's group uses, and a worker is not a
        // thread of this process.
        skip(Need::Threads, "instances are workers");
        return None;
    }
    let group = Surroundings::new(fall.controller, name)?;
    let scenario = asking(fall.resources, None);
    scenario.file("host.toml", "[reserve]\ncpus = 0\nmemory = 0\n");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let words = ["--host", "host.toml", "--metrics", address.as_str()];
    let running = scenario.start_in(&group, words.iter().chain(more));
    Some((group, scenario, running, port))
}

#[test]
fn a_surrounding_limit_that_falls_is_told_once_in_warning_metrics_and_summary() {
    for (number, fall) in FALLS.iter().enumerate() {
        let Some((group, _scenario, mut running, port)) = surrounded(fall, &format!("falls-{number}"), &[]) else {
            return;
        };
        let cpu = leased(&mut running);
        let labels = format!("operator=\"echo\",resource=\"{}\"", fall.resource);
        let tier = || metric(port, "sage_limit_tier", &labels);
        let before = running.until("its metrics were served", |_| tier());
        assert!(before > fall.tier.1, "{} was {before} already", fall.resource);
        (fall.fall)(&group, cpu);
        let fell = Instant::now();
        running.until("the fall was noticed", |_| tier().filter(|tier| *tier == fall.tier.1));
        // The host checks five times a second; the rest of the time is for a machine that is busy with other
        // tests.
        assert!(fell.elapsed() < Duration::from_secs(10), "{:?}", fell.elapsed());
        assert_eq!(running.until("it was counted", |_| metric(port, "sage_limits_lost_total", "")), 1.0);
        running.signal(Signal::INT);
        let outcome = running.wait();
        outcome.expect_exit(0);
        assert_eq!(said(&outcome, fall.says), 1, "said once: {outcome:?}");
        let was = if before > 1.5 { "hard" } else { "cooperative" };
        let expected = (fall.resource.to_owned(), was.to_owned(), fall.tier.0.to_owned());
        assert_eq!(lost(&outcome), [expected], "{outcome:?}");
    }
}

#[test]
fn a_strict_run_fails_when_a_limit_falls_and_does_not_start_where_one_is_not_hard() {
    if !rustix::process::geteuid().is_root() {
        return skip(Need::Root, "only root's own lease folder is hard");
    }
    for (number, fall) in FALLS.iter().enumerate() {
        let Some((group, _scenario, mut running, port)) = surrounded(fall, &format!("strict-{number}"), &["--strict"])
        else {
            return;
        };
        let cpu = leased(&mut running);
        // Waits until the run has started, because a lane that loses its CPU while it is being pinned is
        // refused.
        running.until("its metrics were served", |_| metric(port, "sage_limits_lost_total", ""));
        (fall.fall)(&group, cpu);
        let outcome = running.wait();
        outcome.expect_exit(4);
        assert_eq!(outcome.error()["code"], "limit-lost", "{outcome:?}");
        assert!(outcome.error()["message"].as_str().unwrap().contains(fall.says), "{outcome:?}");
    }
    let scenario = asking("num_cpus = 1", Some(1));
    std::fs::create_dir(scenario.leases()).unwrap();
    std::fs::set_permissions(scenario.leases(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    scenario.file("host.toml", "[reserve]\ncpus = 0\n");
    let refused = scenario.command("run").args(["--host", "host.toml", "--strict"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("is cooperative, by CPU lease, and a strict run takes hard limits only"), "{words}");
}

#[test]
fn a_lease_folder_that_is_replaced_under_a_run_has_its_leases_again_within_moments() {
    if allowed_cpus().len() < 2 {
        return skip(Need::Cpus, "this process may use one CPU only");
    }
    for replaced in [false, true] {
        let scenario = asking("num_cpus = 1, memory = \"100MiB\"", None);
        scenario.file("host.toml", "[reserve]\ncpus = 0\n");
        let mut running = scenario.start_with(["--host", "host.toml"]);
        let files = |folder: &std::path::Path| -> Vec<String> {
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            names.retain(|name| name.starts_with("run-") || name.starts_with("cpu-"));
            names.sort();
            names
        };
        // The claim is written after the leases.
        let run = |names: &[String]| names.iter().any(|name| name.starts_with("run-"));
        running.until("it was admitted", |_| Some(files(scenario.leases())).filter(|names| run(names)));
        let away = scenario.path().join("away");
        std::fs::rename(scenario.leases(), &away).unwrap();
        if replaced {
            std::fs::create_dir(scenario.leases()).unwrap();
        }
        running.until("its leases were there again", |_| Some(files(scenario.leases())).filter(|names| run(names)));
        // A second run is refused the resources that this run holds.
        let all = allowed_cpus().len();
        let second = asking(&format!("num_cpus = {all}"), Some(1)).sharing_leases_of(&scenario);
        second.file("host.toml", "[reserve]\ncpus = 0\n");
        let refused = second.command("run").args(["--host", "host.toml"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains(&format!("is leased by process {} (pipeline \"surrounded\"", running.id())), "{words}");
        running.signal(Signal::INT);
        let outcome = running.wait();
        outcome.expect_exit(0);
        assert_eq!(
            said(&outcome, "the lease folder was deleted or replaced while this run holds leases there"),
            1,
            "{outcome:?}"
        );
        assert_eq!(lost(&outcome), [], "every lease was restored");
        assert!(!run(&files(scenario.leases())), "the ledger has no entry of an ended run");
    }
}

#[test]
fn what_other_users_put_into_the_lease_folder_leaves_out_a_cpu_and_keeps_nobody_from_running() {
    let last = *allowed_cpus().last().unwrap();
    for what in ["folder", "link", "pipe", "file"] {
        let scenario = asking("", Some(5));
        scenario.file("host.toml", "[reserve]\ncpus = 0\n");
        scenario.file("precious", "precious");
        std::fs::create_dir(scenario.leases()).unwrap();
        std::fs::set_permissions(scenario.leases(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        for name in [format!("cpu-{last}.lock"), "ledger_lock.lock".to_owned(), "run-1-0.lock".to_owned()] {
            let path = scenario.leases().join(name);
            match what {
                "folder" => std::fs::create_dir(path).unwrap(),
                "link" => std::os::unix::fs::symlink(scenario.path().join("precious"), path).unwrap(),
                "pipe" => assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
                _ => std::fs::hard_link(scenario.path().join("precious"), path).unwrap(),
            }
        }
        scenario.run_with(["--host", "host.toml"]).expect_exit(0);
        let all = allowed_cpus().len();
        let wants_all = asking(&format!("num_cpus = {all}"), Some(5)).sharing_leases_of(&scenario);
        wants_all.file("host.toml", "[reserve]\ncpus = 0\n");
        let refused = wants_all.command("run").args(["--host", "host.toml"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            words.contains(&format!("CPU {last} is left out: a ")) && words.contains("of user "),
            "{what}: {words}"
        );
        if all > 1 {
            let wants_one = asking("num_cpus = 1", Some(5)).sharing_leases_of(&scenario);
            wants_one.file("host.toml", "[reserve]\ncpus = 0\n");
            wants_one.run_with(["--host", "host.toml"]).expect_exit(0);
        }
        assert_eq!(scenario.read("precious").as_deref(), Some("precious"), "{what}");
    }
}

/// Lease folder of user 65534, a user without rights, if there is no folder for all users.
const OWN: &str = "/tmp/sage-host-65534";

#[test]
fn two_users_are_not_leased_one_cpu_whoever_comes_first_and_what_each_sees_is_told() {
    if !rustix::process::geteuid().is_root() {
        return skip(Need::Root, "this user is not root");
    }
    if allowed_cpus().len() != 2 {
        return skip(Need::TwoCpus, format_args!("this process may use {} CPUs", allowed_cpus().len()));
    }
    let scenario = asking("num_cpus = 1", None);
    let anybody = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    anybody(scenario.path(), 0o777);
    scenario.file("readme.toml", "lease_folder = \"/run/lock/sage-host\"\n");
    let copied =
        std::process::Command::new("cp").arg(program()).arg(scenario.path().join("sage-host")).status().unwrap();
    assert!(copied.success());
    // Each case has a mount namespace with a /run/lock of its own, as after a boot.
    let script = r#"
        mount -t tmpfs -o mode=1777 tmpfs /run/lock || exit 9
        rm -rf "$OWN"
        sage="./sage-host run pipeline.toml --cache-folder /proc/none"
        nobody="setpriv --reuid 65534 --regid 65534 --clear-groups --"
        holds() { until ls "$1"/run-*.lock > /dev/null 2>&1; do kill -0 $! || exit 8; sleep 0.01; done; }
        if [ "$1" = root ]; then
            $sage --host readme.toml -q 2> first & holds /run/lock/sage-host
            $nobody $sage -q 2> second; echo $? > code
        else
            $nobody $sage -q 2> first & holds "$OWN"
            $nobody $sage --explain --overcommit > explained 2> second
            $sage -q 2> second; echo $? > code
        fi
        kill -TERM $!; wait; rm -rf "$OWN"
    "#;
    for first in ["root", "user"] {
        let mut shell = std::process::Command::new("unshare");
        shell.args(["-m", "sh", "-c", script, "sh", first]).current_dir(scenario.path());
        shell.env("OWN", OWN).env_remove("SAGE_HOST_LEASE_FOLDER");
        let ran = shell.output();
        if !ran.as_ref().is_ok_and(|ran| !String::from_utf8_lossy(&ran.stderr).contains("unshare failed")) {
            return skip(Need::Mount, format_args!("unshare failed: {ran:?}"));
        }
        let (code, words) = (scenario.read("code"), scenario.read("second").unwrap_or_default());
        assert_eq!(code.as_deref().map(str::trim), Some("3"), "{first} first: {words}\n{ran:?}");
        assert!(words.contains("wants 1 CPU") && words.contains("is leased by process"), "{first} first: {words}");
        let _ = std::fs::remove_file(scenario.path().join("code"));
    }
    let explained = scenario.read("explained").unwrap();
    assert!(explained.contains("/tmp/sage-host-65534, seen by this user only (cooperative: "), "{explained}");
}
