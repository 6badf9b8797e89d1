use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sage_tests::{Running, program, thread_cpus};
use serde_json::Value;

use crate::told::Told;

/// A pipeline on a device with a slow model, and with so many calls that the run lasts until it is stopped.
fn slow(share: &str, calls: usize) -> Told {
    slow_on(Told::on_a_device(), share, calls)
}

fn slow_on(told: Told, share: &str, calls: usize) -> Told {
    let told = told
        .resources(&format!("num_gpus = {share}, memory = \"32MiB\""))
        .model("slow", "input = \"f32[rows, 4]\"\nlatency_per_run = \"20ms\"");
    told.lay_out(&vec!["run slow x=f32[1,4]:1"; calls]);
    told
}

const FOR_EVER: usize = 100_000;

/// Runs `sage-host devices` on the lease folder of this scenario.
fn devices(told: &Told, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(program());
    command.current_dir(told.scenario.path()).arg("devices").args(["--lease-folder"]).arg(told.scenario.leases());
    command.args(arguments).env("NO_COLOR", "1").output().unwrap()
}

/// Tokens of the valid leases.
fn held(told: &Told) -> Vec<u64> {
    let output = devices(told, &["--host", "host.toml", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let leases = report["leases"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    leases
        .iter()
        .filter(|lease| lease["state"] == "held" || lease["state"] == "busy" || lease["state"] == "draining")
        .map(|lease| lease["token"].as_u64().unwrap())
        .collect()
}

fn until_it_holds(running: &mut Running, told: &Told, count: usize) -> Vec<u64> {
    running.until("it held its leases", |_| Some(held(told)).filter(|tokens| tokens.len() == count))
}

#[test]
fn four_quarters_fit_and_a_fifth_is_refused_with_who_holds_them_or_waits_for_them() {
    let holder = slow("0.25", FOR_EVER);
    holder.scenario.file("pipeline.toml", parallel(&holder, 4));
    let mut running = holder.start(&[]);
    until_it_holds(&mut running, &holder, 4);

    let fifth = slow("0.25", 1).sharing_leases_of(&holder);
    let refused = fifth.run(&["run slow x=f32[1,4]:1"]);
    refused.expect_exit(3).expect_stderr("wants 0.25").expect_stderr("told");
    let mut waiting = fifth.start(&["--wait", "60s"]);
    waiting.until("it waited", |host| thread_cpus(host).keys().any(|(name, _)| name == "waiting").then_some(()));
    running.signal(Signal::KILL);
    running.gone();
    let outcome = waiting.wait();
    outcome.expect_exit(0);
    let waited = outcome.stage("infers").value["inference"]["lease_wait_seconds"].as_f64();
    assert!(waited > Some(0.0), "{waited:?}");
}

/// The pipeline with more instances.
fn parallel(told: &Told, instances: u32) -> String {
    let text = told.scenario.read("pipeline.toml").unwrap();
    text.replace("input = \"in\"\n", &format!("input = \"in\"\nparallelism = {instances}\n"))
}

#[test]
fn shares_that_ray_would_not_take_are_errors_of_the_file() {
    for share in ["1.5", "0.00001"] {
        let outcome = slow(share, 1).start(&[]).wait();
        outcome.expect_exit(2).expect_stderr(&format!("num_gpus of operator \"infers\" is {share}"));
    }
}

#[test]
fn a_lease_that_is_revoked_ends_in_the_guest_and_its_share_is_free() {
    let told = slow("1", 400);
    let mut running = told.start(&[]);
    let tokens = until_it_holds(&mut running, &told, 1);
    // At any point among its calls.
    let revoked = devices(&told, &["revoke", &tokens[0].to_string(), "--grace", "1s"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert_eq!(held(&told), [] as [u64; 0], "its share is free");

    let next = slow("1", 1).sharing_leases_of(&told);
    next.start(&[]).wait().expect_exit(0);

    running.wait().expect_exit(0).expect_conservation();
    let answers = told.scenario.lines("out.txt");
    assert_eq!(answers.len(), 400);
    let served = answers.iter().take_while(|answer| answer.starts_with("y f32")).count();
    assert!(served < 400, "it was revoked before the last call");
    let lost = ["lease-lost draining", "lease-lost revoked"];
    assert!(answers[served..].iter().all(|answer| lost.contains(&answer.as_str())), "{:?}", &answers[served..]);
}

#[test]
fn a_token_that_nobody_holds_cannot_be_revoked() {
    let told = slow("1", 1);
    let output = devices(&told, &["revoke", "77"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("77"), "{said}");
}

#[test]
fn a_killed_holder_frees_its_device_within_a_second() {
    let told = slow("1", FOR_EVER);
    let mut running = told.start(&[]);
    until_it_holds(&mut running, &told, 1);
    running.signal(Signal::KILL);
    running.gone();
    slow("1", 1).sharing_leases_of(&told).start(&["--wait", "1s"]).wait().expect_exit(0);
}

/// Sets the time after which a lease expires without a heartbeat.
fn with_ttl(told: Told, ttl: &str) -> Told {
    let host = told.scenario.read("host.toml").unwrap();
    told.scenario.file("host.toml", format!("lease_ttl = \"{ttl}\"\n{host}"));
    told
}

/// Splits the answers into those of served calls and the rest.
fn served(answers: &[String]) -> (&[String], &[String]) {
    answers.split_at(answers.iter().take_while(|answer| answer.starts_with("y f32")).count())
}

#[test]
fn a_holder_that_stood_still_too_long_has_lost_its_lease_and_knows_it() {
    for device in [Told::on_a_device, Told::on_a_process] {
        let told = with_ttl(slow_on(device(), "1", 400), "2s");
        let mut running = told.start(&[]);
        until_it_runs(&mut running, &told);
        running.stop_without_the_lock_of(told.scenario.leases());
        // The lease is still valid just after the stop, so a later loss has the stop as its cause.
        assert_eq!(held(&told).len(), 1, "it was held when it was stopped");
        // Another run receives the device, although the first run, or its device process, is stopped.
        slow("1", 1).sharing_leases_of(&told).start(&["--wait", "30s"]).wait().expect_exit(0);
        assert_eq!(held(&told), [] as [u64; 0], "and it is free again");
        running.signal(Signal::CONT);
        running.wait().expect_exit(0).expect_conservation();
        let answers = told.scenario.lines("out.txt");
        let (served, lost) = served(&answers);
        assert!(answers.len() == 400 && !lost.is_empty(), "{} of {}", served.len(), answers.len());
        // The call in flight may see the end of the device process first.
        let rest = if lost[0].starts_with("device-lost") { &lost[1..] } else { lost };
        assert!(rest.iter().all(|answer| answer == "lease-lost expired"), "{lost:?}");
    }
}

/// Waits until the operator's threads exist; by then its models are loaded.
fn until_it_runs(running: &mut Running, told: &Told) {
    until_it_holds(running, told, 1);
    running.until("its operator ran", |host| {
        thread_cpus(host).keys().any(|(name, _)| name.starts_with("infers")).then_some(())
    });
}

/// Device processes that `host` has started.
fn device_processes(host: u32) -> Vec<u32> {
    let is_one = |process: &u32| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
        let stat = read("stat");
        let mut words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let is_alive = words.next().is_some_and(|state| state != "Z");
        is_alive && words.next() == Some(&host.to_string()) && read("cmdline").contains("\0device\0")
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}

#[test]
fn a_revoked_share_is_free_when_the_devices_process_is_gone() {
    let told = slow_on(Told::on_a_process(), "1", 400);
    let mut running = told.start(&[]);
    let tokens = until_it_holds(&mut running, &told, 1);
    until_it_runs(&mut running, &told);
    let process = device_processes(running.id())[0];
    let revoked = devices(&told, &["revoke", &tokens[0].to_string(), "--grace", "1s"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert!(!device_processes(running.id()).contains(&process), "a released device has no process");
    let next = slow_on(Told::on_a_process(), "1", 1).sharing_leases_of(&told);
    next.start(&[]).wait().expect_exit(0);

    running.wait().expect_exit(0).expect_conservation();
    let answers = told.scenario.lines("out.txt");
    let (served, lost) = served(&answers);
    assert!(answers.len() == 400 && !lost.is_empty(), "{} of {}", served.len(), answers.len());
    assert!(lost.iter().all(|answer| answer.starts_with("lease-lost ")), "{lost:?}");
}

/// Memory limit of a process in bytes, by its control group or by its own resource limit.
fn memory_limit(process: u32) -> u64 {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();
    let limits = read("limits");
    let data = limits.lines().find_map(|line| line.strip_prefix("Max data size")).unwrap();
    if let Ok(bytes) = data.split_whitespace().next().unwrap().parse() {
        return bytes;
    }
    let groups = read("cgroup");
    let files = groups.lines().flat_map(|line| {
        let path = line.splitn(3, ':').nth(2).unwrap();
        [format!("/sys/fs/cgroup{path}/memory.max"), format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")]
    });
    let limits = files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.min().expect("a group with a limit")
}

#[test]
fn a_devices_process_may_take_what_its_leases_have_and_not_what_its_device_has() {
    let told = slow_on(Told::on_a_process(), "1", FOR_EVER);
    let mut running = told.start(&[]);
    until_it_runs(&mut running, &told);
    // The megabyte of the model, and the needs of the process itself; the device has 512 MiB.
    let limit = memory_limit(device_processes(running.id())[0]);
    assert!((97 << 20..100 << 20).contains(&limit), "{limit}");
    running.signal(Signal::KILL);
    running.gone();
}

#[test]
fn a_process_goes_on_for_the_leases_of_its_run_that_are_not_revoked() {
    let told = slow_on(Told::on_a_process(), "0.25", FOR_EVER);
    told.scenario.file("pipeline.toml", parallel(&told, 2));
    let mut running = told.start(&[]);
    let tokens = until_it_holds(&mut running, &told, 2);
    let processes = running.until("its device had a process", |host| {
        Some(device_processes(host)).filter(|processes| !processes.is_empty())
    });
    let revoked = devices(&told, &["revoke", &tokens[0].to_string(), "--grace", "1s"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert_eq!((held(&told), device_processes(running.id())), (vec![tokens[1]], processes));
    let next = slow_on(Told::on_a_process(), "0.75", 1).sharing_leases_of(&told);
    next.start(&[]).wait().expect_exit(0);
    assert_eq!(held(&told), [tokens[1]]);
    running.signal(Signal::KILL);
    running.gone();
}

#[test]
fn a_run_that_hangs_keeps_a_revoked_lease_no_longer_than_its_grace() {
    let told = Told::on_a_process()
        .resources("num_gpus = 1, memory = \"32MiB\"")
        .model("hangs", "input = \"f32[rows, 4]\"\nhang_after = 0");
    told.lay_out(&["run hangs x=f32[1,4]:1"; 3]);
    let mut running = told.start(&[]);
    let tokens = until_it_holds(&mut running, &told, 1);
    until_it_runs(&mut running, &told);
    let began = Instant::now();
    let revoked = devices(&told, &["revoke", &tokens[0].to_string(), "--grace", "1s"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert!(began.elapsed() < Duration::from_secs(30), "the call's own deadline is a minute away");
    assert_eq!(held(&told), [] as [u64; 0]);
    running.wait().expect_exit(0);
    let answers = told.scenario.lines("out.txt");
    assert!(answers.iter().all(|answer| answer.starts_with("lease-lost ")), "{answers:?}");
}

#[test]
fn a_device_that_only_crashes_is_lost_for_its_leases_and_told_as_that() {
    let told = Told::on_a_process()
        .resources("num_gpus = 1, memory = \"32MiB\"")
        .model("crashes", "input = \"f32[rows, 4]\"\ncrash_after = 0");
    let call = "run crashes x=f32[1,4]:1";
    told.lay_out(&vec![call; FOR_EVER]);
    let mut running = told.start(&[]);
    let state = running.until("its device was lost", |_| {
        let output = devices(&told, &["--host", "host.toml", "--output", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let state = report["leases"][0]["state"].as_str()?.to_owned();
        (state != "held").then_some((state, report["devices"][0]["shares_held_ten_thousandths"].clone()))
    });
    assert_eq!(state, ("device-lost".to_owned(), Value::from(0)), "the device is not held any more");
    running.signal(Signal::KILL);
    running.gone();
}

#[test]
fn a_device_that_is_no_gpu_serves_nobody_who_asks_for_one() {
    let told = Told::on("[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\n").resources("num_gpus = 1, memory = \"32MiB\"");
    let outcome = told.run(&["acquire 1"]);
    outcome.expect_exit(3).expect_stderr("does not count as a GPU").expect_stderr("counts_as_gpu");
}
