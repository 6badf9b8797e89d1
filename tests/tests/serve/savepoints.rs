use std::fs;
use std::process::Command;

use sage_tests::program;
use serde_json::{Value, json};

use super::serving::{Serving, text};

/// An endless pipeline with checkpoints, in a folder of its own.
const PIPELINE: &str = "\
[pipeline]
checkpoint = { folder = \"state\", interval = \"20ms\" }
[[source]]
name = \"in\"
generate = { rate = 20000, payload_bytes = 16 }
[[sink]]
name = \"out\"
input = \"in\"
file = { path = \"out-{part}.txt\", roll = { size = \"1GiB\" } }
";

/// The numbers of all records in published parts.
fn records(folder: &std::path::Path) -> Vec<u64> {
    let parts = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let parts = parts.filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let mut numbers: Vec<u64> = parts
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().map(|line| u64::from_str_radix(&line[..16], 16).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_savepoint_of_a_job_is_where_a_run_goes_on_and_a_job_stops_behind_one() {
    let serving = Serving::started();
    let pipeline = serving.file("p/pipeline.toml", PIPELINE);
    serving.done(&["submit", text(&pipeline), "--name", "endless", "--wait", "running"]);
    let folder = pipeline.parent().unwrap();
    let taken = serving.client().post::<Value>("/v1/jobs/endless/savepoint", &json!({ "name": "first" })).unwrap();
    let path = folder.join("state/savepoints/first");
    assert_eq!((taken["name"].as_str(), taken["path"].as_str()), (Some("first"), path.to_str()), "{taken}");
    assert!(taken["epoch"].as_u64().unwrap() > 0 && path.join("manifest.toml").exists());
    // The job goes on, and a name is used once.
    let again = serving.run(&["savepoint", "endless", "--name", "first"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is a savepoint"));
    assert_eq!(serving.detail("endless").row.state, "running");
    let said = serving.done(&["savepoint", "endless"]);
    assert!(said.starts_with("savepoint ") && said.contains("/state/savepoints/"), "{said}");

    let stopped = serving.run(&["stop", "endless", "--savepoint", "last"]);
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert!(said.contains("savepoint last in ") && folder.join("state/savepoints/last").exists(), "{said}");
    assert!(!serving.detail("endless").row.state.contains("running"));
    let before = records(folder);
    assert_eq!(before, (0..before.len() as u64).collect::<Vec<_>>(), "each record once");

    // A run that has an end goes on from the savepoint of the job.
    fs::write(&pipeline, PIPELINE.replace("rate = 20000", "count = 500000")).unwrap();
    let host = serving.path("host.toml");
    let from = folder.join("state/savepoints/last");
    let run = Command::new(program())
        .args(["run", "--quiet", text(&pipeline), "--host", text(&host), "--from", text(&from)])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(records(folder), (0..500_000).collect::<Vec<_>>());
    let ended = serving.run(&["savepoint", "endless"]);
    assert!(!ended.status.success(), "a job that has ended has no savepoint");
}
