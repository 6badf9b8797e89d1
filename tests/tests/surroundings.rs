//! What surrounds a run: control groups above it whose limits are small or fall, a folder of leases that is not all users', or that is replaced.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use sage_tests::{Scenario, Surroundings, WatGuest, allowed_cpus};
use serde_json::Value;

/// A pipeline that asks for `resources`, and ends when `count` records have come, or never.
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

/// The row of a resource in what `--explain` says.
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

    // Eleven tenths of one CPU.
    let shares = asking("num_cpus = 0.1", Some(1));
    let text = std::fs::read_to_string(shares.path().join("pipeline.toml")).unwrap();
    shares.file("pipeline.toml", text.replace("input = \"in\"", "input = \"in\"\nparallelism = 11"));
    let mut command = shares.command("run");
    command.arg("--explain");
    let refused = group.around(&command).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
}
