use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sage_jobs::{JobIsolation, JobOutcome, JobState};
use sage_test_support::{Need, skip};
use sage_tests::{groups_named, has_control, thread_times};

use super::scene::{Scene, endless};

/// The groups of a process, one for each hierarchy of the kernel.
fn groups(process: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    text.lines().map(|line| line.splitn(3, ':').nth(2).unwrap().to_owned()).collect()
}

fn cpu_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let threads = threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse().unwrap());
    threads.filter_map(|thread| thread_times(process, thread)).map(|times| times.used).sum()
}

#[test]
fn the_process_of_a_job_is_held_to_the_cpus_of_its_tenant() {
    if !has_control(|controls| controls.cpu.available && controls.memory.available) {
        return;
    }
    if fs::metadata("/proc/self/schedstat").is_err() {
        return skip(Need::Schedstat, "there is no /proc/self/schedstat");
    }
    // The source is in the process of the job, and takes all CPU time that it gets.
    let hot = "[[source]]\nname = \"gen\"\ngenerate = {}\n[[sink]]\nname = \"out\"\ninput = \"gen\"\ndiscard = {}\n";
    let mut scene = Scene::new(hot);
    scene.isolation = JobIsolation::Process;
    scene.tenant = Some("blue");
    scene.host_file("[tenant.blue]\ncpus = 0.1\nmemory = \"512MiB\"");
    let id = scene.id.clone();
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let of_job = groups(job.id());
    assert!(of_job.iter().any(|group| group.ends_with(&format!("/blue/{id}/host"))), "{of_job:?}");
    let (began, before) = (Instant::now(), cpu_time(job.id()));
    std::thread::sleep(Duration::from_secs(3));
    let used = (cpu_time(job.id()) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    // 1.1 CPUs without the group. The kernel gives a period of the quota at a time.
    assert!(used <= 0.15, "{used} CPUs");
    job.signal(Signal::TERM);
    let end = job.wait().1;
    assert_eq!(end.outcome, JobOutcome::Drained, "{:?}", end.error);
    let summary = end.summary.unwrap();
    assert_eq!(summary.get("limits_lost"), None, "the tenant's quota is no limit from outside: {summary:#}");
    assert_eq!(groups_named(&id), Vec::<String>::new());
}

#[test]
fn a_process_in_the_groups_of_a_job_may_not_control_it() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    let mut scene = Scene::new(&endless(10, "discard = {}"));
    scene.isolation = JobIsolation::Process;
    let mut job = scene.start();
    job.until_it_is(JobState::Running);
    let script = "import socket,sys\nsys.stdin.readline()\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  print(s.makefile().readline())";
    let mut inside = Command::new("python3");
    inside.args(["-c", script]).arg(job.scene.path("s")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut inside) = inside.spawn() else { return skip(Need::Python, "python3 cannot be started") };
    for group in groups_named(&job.scene.id) {
        fs::write(PathBuf::from(group).join("host/cgroup.procs"), inside.id().to_string()).unwrap();
    }
    inside.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut said = String::new();
    inside.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    inside.wait().unwrap();
    assert!(said.contains("a process in the control groups of this job may not control it"), "{said}");
    job.signal(Signal::TERM);
    assert_eq!(job.wait().1.outcome, JobOutcome::Drained);
}
