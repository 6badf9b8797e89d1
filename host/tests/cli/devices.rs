//! The output of `devices` and of `devices revoke`. No GPU is needed: the NVML library here is a file that is
//! no library.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sage_machine::{Amounts, Claim, CpuSet, DeviceClaim, LeaseFolder, ShareState};
use sage_models::{HeldDevices, InstanceLease, LeaseState};
use sage_plan::StageId;

use crate::program::{Ran, command};

const HOST: &str = r#"
[[device]]
name = "cpu0"
kind = "cpu"
threads = 2
memory = "2GiB"
counts_as_gpu = true

[[device]]
name = "spare"
kind = "cpu"

[[device]]
name = "gpu0"
kind = "cuda"
uuid = "GPU-5fd4e0a2-0000"
memory = "40GiB"

[[device]]
name = "pretend"
kind = "fake"
counts_as_gpu = true
"#;

fn devices(folder: &Path, words: &[&str]) -> Ran {
    fs::write(folder.join("host.toml"), HOST).unwrap();
    fs::write(folder.join("broken.so"), "no library").unwrap();
    let words: Vec<&str> =
        ["devices"].into_iter().chain(words.iter().copied()).chain(["--host", "host.toml"]).collect();
    let mut command: Command = command(folder, &words);
    Ran::of(command.env("SAGE_HOST_NVML", "./broken.so").output().unwrap())
}

/// Claims a quarter of a device for each of `instances` instances, as a run does.
fn held(folder: &Path, instances: u32) -> HeldDevices {
    let folder = LeaseFolder::at(&folder.join("leases")).unwrap();
    let ledger_lock = folder.choose().unwrap();
    let first = ledger_lock.tokens(instances.into()).unwrap();
    let of = |instance: u32| DeviceClaim {
        device: "cpu0".to_owned(),
        token: first + u64::from(instance),
        operator: "embed".to_owned(),
        instance,
        share: 2_500,
        memory: 260 << 20,
        cpus: CpuSet::default(),
        state: ShareState::Held,
    };
    let claims: Vec<DeviceClaim> = (0..instances).map(of).collect();
    let claim = Claim::here("flights", "blue", Amounts::default(), CpuSet::default());
    let claim = ledger_lock.claim(claim.with_devices(claims.clone(), Duration::from_secs(3600))).unwrap();
    drop(ledger_lock);
    let leases =
        claims.into_iter().map(|claim| InstanceLease { stage: StageId(1), claim, models: Vec::new() }).collect();
    HeldDevices::keep(Arc::new(claim), leases).unwrap()
}

fn snapshot(name: &str, text: String) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"process [0-9]+", "process PID");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn devices_are_listed_with_who_holds_what_and_why_nvml_knows_none() {
    let folder = tempfile::tempdir().unwrap();
    snapshot("devices_idle", devices(folder.path(), &[]).transcript());
    let _held = held(folder.path(), 2);
    snapshot("devices_held", devices(folder.path(), &[]).transcript());
}

#[test]
fn as_json_it_is_one_object_with_every_device_and_every_lease() {
    let folder = tempfile::tempdir().unwrap();
    let _held = held(folder.path(), 1);
    let ran = devices(folder.path(), &["--output", "json"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{}", ran.transcript());
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let ids: Vec<_> =
        report["devices"].as_array().unwrap().iter().map(|device| device["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["cpu0", "spare", "gpu0", "pretend"]);
    let cpu0 = &report["devices"][0];
    assert_eq!((&cpu0["shares_held_ten_thousandths"], &cpu0["memory_held"]), (&2_500.into(), &(260 << 20).into()));
    assert_eq!((&cpu0["tier"], &cpu0["serves_num_gpus"]), (&"shared".into(), &true.into()));
    let gpu0 = &report["devices"][2];
    assert_eq!((&gpu0["uuid"], &gpu0["serves_num_gpus"]), (&"GPU-5fd4e0a2-0000".into(), &false.into()));
    let lease = &report["leases"][0];
    assert_eq!((&lease["token"], &lease["state"], &lease["pipeline"]), (&1.into(), &"held".into(), &"flights".into()));
    assert_eq!(report["nvml"]["outcome"], "unusable");
    assert_eq!(report["nvml"]["library"], "./broken.so");
}

#[test]
fn a_lease_that_is_taken_away_is_said_to_be_free_and_its_holder_knows() {
    let folder = tempfile::tempdir().unwrap();
    let held = held(folder.path(), 2);
    let state = |instance| held.of(StageId(1), instance)[0].state();
    let ran = devices(folder.path(), &["revoke", "2", "--grace", "0s"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "lease 2 is given up, its share is free\n"),
        "{}",
        ran.transcript()
    );
    assert_eq!([state(0), state(1)], [LeaseState::Held, LeaseState::Revoked]);
    let again = devices(folder.path(), &["revoke", "2", "--output", "json"]);
    assert_eq!((again.code, again.error()["exit_code"].as_u64()), (Some(2), Some(2)), "{}", again.transcript());
    snapshot("revoke_unknown", devices(folder.path(), &["revoke", "2"]).transcript());
}

#[test]
fn a_lease_whose_device_stays_busy_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let held = held(folder.path(), 1);
    let run = held.of(StageId(1), 0)[0].enter().unwrap();
    snapshot("revoke_busy", devices(folder.path(), &["revoke", "1", "--grace", "0s"]).transcript());
    assert!(run.still_good().is_err(), "its answer is stale");
}
