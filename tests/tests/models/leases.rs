use std::process::Command;

use rustix::process::Signal;
use sage_tests::{Running, program};
use serde_json::Value;

use crate::told::Told;

/// On a device whose model takes its time, with so many calls that a run lasts until it is ended.
fn slow(share: &str, calls: usize) -> Told {
    let told = Told::on_a_device()
        .resources(&format!("num_gpus = {share}, memory = \"32MiB\""))
        .model("slow", "input = \"f32[rows, 4]\"\nlatency_per_run = \"20ms\"");
    told.lay_out(&vec!["run slow x=f32[1,4]:1"; calls]);
    told
}

const FOR_EVER: usize = 100_000;

/// `sage-host devices`, with what this scenario's runs hold.
fn devices(told: &Told, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(program());
    command.current_dir(told.scenario.path()).arg("devices").args(["--lease-folder"]).arg(told.scenario.leases());
    command.args(arguments).env("NO_COLOR", "1").output().unwrap()
}

/// The tokens of leases that count.
fn held(told: &Told) -> Vec<u64> {
    let output = devices(told, &["--host", "host.toml", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let leases = report["leases"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    leases.iter().filter(|lease| lease["state"] != "expired").map(|lease| lease["token"].as_u64().unwrap()).collect()
}

fn until_it_holds(running: &mut Running, told: &Told, count: usize) -> Vec<u64> {
    running.until("it held its leases", |_| Some(held(told)).filter(|tokens| tokens.len() == count))
}

#[test]
fn four_quarters_fit_and_a_fifth_is_refused_with_who_holds_them_or_waits_for_them() {
    let holder = slow("0.25", 100);
    holder.scenario.file("pipeline.toml", parallel(&holder, 4));
    let mut running = holder.start(&[]);
    until_it_holds(&mut running, &holder, 4);

    let fifth = slow("0.25", 1).sharing_leases_of(&holder);
    let refused = fifth.run(&["run slow x=f32[1,4]:1"]);
    refused.expect_exit(3).expect_stderr("wants 0.25").expect_stderr("told");
    let outcome = fifth.start(&["--wait", "60s"]).wait();
    outcome.expect_exit(0);
    let waited = outcome.stage("infers").value["inference"]["lease_wait_seconds"].as_f64();
    assert!(waited > Some(0.0), "{waited:?}");
    running.wait().expect_exit(0);
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
    // Somewhere in the middle of its calls.
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

#[test]
fn a_holder_that_stood_still_too_long_has_lost_its_lease_and_knows_it() {
    let told = slow("1", 400);
    told.scenario.file(
        "host.toml",
        told.scenario.read("host.toml").unwrap().replace("discover", "lease_ttl = \"1s\"\ndiscover"),
    );
    let mut running = told.start(&[]);
    until_it_holds(&mut running, &told, 1);
    running.signal(Signal::STOP);
    running.until("its lease expired", |_| held(&told).is_empty().then_some(()));
    // Somebody else has the device by now.
    slow("1", 1).sharing_leases_of(&told).start(&[]).wait().expect_exit(0);
    running.signal(Signal::CONT);
    running.wait().expect_exit(0).expect_conservation();
    let answers = told.scenario.lines("out.txt");
    let served = answers.iter().take_while(|answer| answer.starts_with("y f32")).count();
    assert!(answers.len() == 400 && served < 400, "{served} of {}", answers.len());
    assert!(answers[served..].iter().all(|answer| answer == "lease-lost expired"), "{:?}", &answers[served..]);
}

#[test]
fn a_device_that_is_no_gpu_serves_nobody_who_asks_for_one() {
    let told = Told::on("[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\n").resources("num_gpus = 1, memory = \"32MiB\"");
    let outcome = told.run(&["acquire 1"]);
    outcome.expect_exit(3).expect_stderr("does not count as a GPU").expect_stderr("counts_as_gpu");
}
