use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sage_jobs::{AliveLock, ControlRequest, JobIsolation, JobOutcome, JobState, write_json};
use sage_test_support::wait_until;
use sage_tests::{groups_named, has_control, program, workers_of};

use super::scene::{Scene, endless, try_ask};

fn lives(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie has ended: only its parent does not know yet.
    !stat.is_empty() && !stat.rsplit(") ").next().unwrap().starts_with('Z')
}

#[test]
fn a_job_goes_on_when_its_parent_is_killed_with_the_pipes_that_it_gave() {
    let mut scene = Scene::new(&endless(1000, "stdout = {}"));
    let order = scene.order();
    write_json(&scene.folder.order(), &order).unwrap();
    // A server in a process group and with pipes of its own.
    let mut server = Command::new("sh");
    server.args(["-c", "\"$0\" job \"$1\" & echo $!; wait"]).arg(program()).arg(scene.folder.path());
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut server = server.spawn().unwrap();
    let mut job = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.as_mut().unwrap()), &mut job).unwrap();
    let job: u32 = job.trim().parse().unwrap();
    wait_until("the job runs", || scene.status().filter(|status| status.state == JobState::Running));

    kill_process(Pid::from_child(&server), Signal::KILL).unwrap();
    server.wait().unwrap();
    drop(server);
    let sent = |scene: &Scene| scene.status().map_or(0, |status| status.stages[0].records_out);
    let before = sent(&scene);
    wait_until("more records flow", || (sent(&scene) > before).then_some(()));
    assert!(AliveLock::is_held(&scene.folder.alive_lock()).unwrap());
    assert!(lives(job));
    assert!(try_ask(&scene.path("s"), &ControlRequest::Drain { timeout: None }).is_some());
    AliveLock::wait(&scene.folder.alive_lock()).unwrap();
    assert_eq!(scene.end().map(|end| end.outcome), Some(JobOutcome::Drained));
}

#[test]
fn a_signal_to_the_group_of_the_parent_does_not_reach_the_job() {
    let mut scene = Scene::new(&endless(1000, "discard = {}"));
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let session = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned()
    };
    assert_eq!(session(job.id()), job.id().to_string(), "the job leads a session of its own");
    for stream in 0..=2 {
        let target = fs::read_link(format!("/proc/{}/fd/{stream}", job.id())).unwrap();
        let expected = if stream == 2 { job.scene.folder.stderr() } else { "/dev/null".into() };
        assert_eq!(target, expected.canonicalize().unwrap_or(expected));
    }
}

#[test]
fn a_killed_job_frees_its_lock_its_leases_its_groups_and_its_workers() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    let text = format!("[pipeline]\nname = \"killed-job-{}\"\n{}", std::process::id(), endless(1000, "discard = {}"))
        .replace(
            "component =",
            "resources = { num_cpus = 0.1, memory = \"32MiB\", resources = { licence = 1 } }\ncomponent =",
        );
    let mut scene = Scene::new(&text);
    scene.host_file("resources = { licence = 1 }");
    scene.isolation = JobIsolation::Process;
    let mut job = scene.start();
    job.until_records("out", 10);
    let workers = workers_of(job.id());
    assert_eq!(workers.len(), 1);
    job.signal(Signal::KILL);
    job.gone();
    assert!(job.scene.end().is_none(), "a killed job has no end");
    assert!(!AliveLock::is_held(&job.scene.folder.alive_lock()).unwrap());
    wait_until("the worker ends", || (!lives(workers[0])).then_some(()));
    drop(job);

    // The licence is free again, and the groups that were left are removed by the next attempt.
    let mut again = scene.start();
    again.until_records("out", 10);
    let id = again.scene.id.clone();
    let groups = groups_named(&id);
    again.signal(Signal::TERM);
    assert_eq!(again.wait().1.outcome, JobOutcome::Drained);
    assert!(!groups.is_empty(), "the group of a job has the job's id");
    assert_eq!(groups_named(&id), Vec::<String>::new());
}

#[test]
fn workers_die_with_their_job_whichever_signal_ends_it() {
    let mut scene = Scene::new(&endless(1000, "discard = {}"));
    scene.isolation = JobIsolation::Process;
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    for signal in [Signal::KILL, Signal::ABORT] {
        let mut job = scene.start();
        job.until_records("out", 10);
        let workers = workers_of(job.id());
        job.signal(signal);
        job.gone();
        wait_until("the workers end", || workers.iter().all(|worker| !lives(*worker)).then_some(()));
        assert!(workers.iter().all(|worker| {
            let worker = Pid::from_raw(i32::try_from(*worker).unwrap()).unwrap();
            test_kill_process(worker).is_err() || !lives(worker.as_raw_nonzero().get().unsigned_abs())
        }));
    }
}

#[test]
fn an_attempt_goes_on_from_the_last_epoch_of_the_one_that_was_killed_or_drained() {
    let pipeline = "[pipeline]\ncheckpoint = { folder = \"state\", interval = \"20ms\" }\n[[source]]\nname = \"in\"\n\
                    generate = { count = 30000, rate = 30000, payload_bytes = 16 }\n[[sink]]\nname = \"out\"\n\
                    input = \"in\"\nfile = { path = \"out.txt\" }\n";
    let mut scene = Scene::new(pipeline);
    let mut first = scene.start();
    first.until_records("out", 3000);
    first.signal(Signal::KILL);
    first.gone();
    drop(first);
    let mut second = scene.start();
    second.until_records("out", 1000);
    second.ask_ok(&ControlRequest::Drain { timeout: None });
    let (_, end) = second.wait();
    assert_eq!(end.outcome, JobOutcome::Drained, "{end:?}");
    assert!(scene.read("out.txt").is_none());
    assert_eq!(scene.run().outcome, JobOutcome::Completed);
    let text = scene.read("out.txt").unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), text.lines().count()), (30_000, 30_000));
}
