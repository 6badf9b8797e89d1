use std::fs;

use sage_jobs::{JobLog, JobOutcome, LogLevel, LogOrigin};

use super::scene::{Scene, bounded};

#[test]
fn the_log_has_messages_of_guests_and_of_the_host_over_all_attempts() {
    let mut scene = Scene::new(&bounded("map_logs"));
    scene.data("in.txt", "a\nb\n");
    for attempt in 1..=2 {
        assert_eq!(scene.run().attempt, attempt);
    }
    let log = scene.log();
    assert!(log.iter().zip(1..).all(|(line, seq)| line.seq == seq), "{log:#?}");
    for attempt in 1..=2 {
        let of_guest = log.iter().find(|line| line.attempt == attempt && line.origin == LogOrigin::Guest).unwrap();
        assert_eq!((of_guest.operator.as_deref(), of_guest.instance), (Some("parse"), Some(0)));
        let ended = log.iter().rfind(|line| line.attempt == attempt).unwrap();
        assert_eq!((ended.origin, ended.level), (LogOrigin::Host, LogLevel::Info));
        assert_eq!(ended.message, "the attempt has ended (completed)");
    }
}

#[test]
fn records_of_standard_output_go_to_the_log_with_harmless_text() {
    let text = bounded("map_logs").replace("file = { path = \"out.txt\" }", "stdout = {}");
    let mut scene = Scene::new(&text);
    fs::write(scene.path("data/in.txt"), "plain\n\x1b[2Jred\n").unwrap();
    let end = scene.run();
    assert_eq!(end.outcome, JobOutcome::Completed, "{:?}", end.error);
    let log = scene.log();
    let records: Vec<&str> =
        log.iter().filter(|line| line.origin == LogOrigin::Record).map(|line| line.message.as_str()).collect();
    assert_eq!(records, ["plain", "\\u{1b}[2Jred"]);
    let raw: String = fs::read_to_string(scene.folder.logs().join("0001.jsonl")).unwrap();
    assert!(!raw.contains('\x1b'));
}

#[test]
fn old_files_of_a_long_log_go_and_numbers_go_on() {
    let text = bounded("map_logs").replace("file = { path = \"out.txt\" }", "stdout = {}");
    let mut scene = Scene::new(&text);
    let line = "x".repeat(4000);
    scene.data("in.txt", &format!("{line}\n").repeat(3000));
    for _ in 0..2 {
        assert_eq!(scene.run().outcome, JobOutcome::Completed);
    }
    let log = scene.log();
    assert!(log.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    assert!(log.last().unwrap().seq > 6000, "every record has a number: {:?}", log.last());
    let files: Vec<u64> =
        fs::read_dir(scene.folder.logs()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert_eq!(files.len(), JobLog::FILES);
    assert!(files.iter().all(|bytes| *bytes <= JobLog::FILE_BYTES), "{files:?}");
}
