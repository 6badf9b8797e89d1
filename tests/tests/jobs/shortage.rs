use std::fs;
use std::process::Command;

use sage_jobs::{JobEnd, JobOutcome, read_json, write_json};
use sage_test_support::{Need, skip};

use super::scene::{Scene, bounded};

/// Whether this process can mount a file system in a mount namespace of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=4k none /mnt";
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn a_full_disk_below_the_folder_of_the_job_loses_lines_of_its_log_and_not_its_end() {
    if !can_mount() {
        return skip(Need::Mount, "no file system can be mounted here");
    }
    // The records go to the log, which is far too large for the disk, and to a file on another disk.
    let text = format!("{}[[sink]]\nname = \"log\"\ninput = \"parse\"\nstdout = {{}}\n", bounded("map_logs"));
    let mut scene = Scene::new(&text);
    let line = "x".repeat(2000);
    scene.data("in.txt", &format!("{line}\n").repeat(1000));
    let order = scene.order();
    let folder = scene.folder.path().to_owned();
    write_json(&scene.folder.order(), &order).unwrap();
    // The pipeline is no part of the full disk. The folder is copied from there when the job has ended.
    let (disk, copy) = (scene.path("disk"), scene.path("copy"));
    fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs -o size=512k none \"$2\" && cp \"$1/order.json\" \"$2\" && \
                  \"$0\" job \"$2\"; rc=$?; cp -r \"$2\" \"$3\"; exit $rc";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command.arg(sage_tests::program()).args([&folder, &disk, &copy]);
    let output = command.output().unwrap();
    let end: JobEnd = read_json(&copy.join("end.json")).unwrap_or_else(|error| panic!("{error} {output:?}"));
    assert_eq!((end.outcome, end.exit_code), (JobOutcome::Completed, 0), "{:?}", end.error);
    assert_eq!(scene.read("out.txt").map(|text| text.lines().count()), Some(1000), "the job noticed nothing");
    let log = fs::read_to_string(copy.join("logs/0001.jsonl")).unwrap();
    assert!(log.len() < 512 << 10, "{}", log.len());
    assert!(log.lines().all(|line| serde_json::from_str::<sage_jobs::LogLine>(line).is_ok()), "no line is torn");
}
