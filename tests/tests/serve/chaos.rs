use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sage_jobs::{AliveLock, JobFolder};
use sage_serve::server::{JobDetail, JobPage};
use sage_serve::store::Digest;
use sage_test_support::wait_until;
use sage_tests::program;
use serde_json::{Value, json};

use super::serving::{Serving, generating, text};

/// Environment variable for the long form: `make chaos`.
const LONG: &str = "SAGE_TEST_CHAOS";

struct Form {
    jobs: usize,
    kills: usize,
    records: u64,
    adoption: Duration,
}

fn form() -> Form {
    if std::env::var_os(LONG).is_some() {
        return Form { jobs: 20, kills: 200, records: 4000, adoption: Duration::from_secs(1) };
    }
    // Other tests use the CPUs too, so the time of an adoption says little here.
    Form { jobs: 6, kills: 12, records: 1000, adoption: Duration::from_secs(20) }
}

/// A generator of numbers that look random and are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Tries to submit a job. The answer may be lost with the server: the key makes a second try harmless.
fn try_submit(serving: &Serving, pipeline: &PathBuf, number: usize) -> bool {
    let body =
        json!({ "name": format!("job-{number}"), "pipeline": fs::read_to_string(pipeline).unwrap(), "path": pipeline });
    let key = format!("key-{number}");
    let headers = [("idempotency-key", key.as_str())];
    serving.client().json::<Value>("POST", "/v1/jobs", &headers, body.to_string().into_bytes()).is_ok()
}

/// Folders of jobs whose locks are held.
fn alive(serving: &Serving) -> usize {
    let jobs = fs::read_dir(serving.path("state/jobs")).into_iter().flatten().flatten();
    jobs.filter(|job| AliveLock::is_held(&JobFolder::new(job.path()).alive_lock()).unwrap_or(false)).count()
}

#[test]
fn kills_of_the_server_at_any_instant_lose_no_job_and_run_none_twice() {
    let Form { jobs, kills, records, adoption } = form();
    let mut serving = Serving::with_host("");
    let pipelines: Vec<PathBuf> = (0..jobs)
        .map(|number| serving.file(&format!("{number}/p.toml"), generating(records, 1000, "out.txt")))
        .collect();
    let undisturbed = serving.file("alone/p.toml", generating(records, 0, "out.txt").replace("rate = 0, ", ""));
    let host = serving.path("host.toml");
    let run =
        Command::new(program()).args(["run", "--quiet", text(&undisturbed), "--host", text(&host)]).status().unwrap();
    assert!(run.success());
    let expected = Digest::of(&fs::read(serving.path("alone/out.txt")).unwrap());

    let mut random = Random(0x5eed);
    let mut submitted = 0;
    let mut longest = Duration::ZERO;
    for kill in 0..kills {
        let before = alive(&serving);
        let begun = Instant::now();
        let ready = serving.start();
        longest = longest.max(begun.elapsed());
        let after = alive(&serving);
        // A job may end meanwhile, and the server may have started one.
        assert!(ready.adopted as usize <= before && before - ready.adopted as usize <= jobs, "{ready:?} of {before}");
        assert!(ready.jobs as usize >= after.min(submitted), "{ready:?}, {after} live");
        let wanted = (kill + 1) * jobs / kills;
        let until = Instant::now() + Duration::from_micros(random.below(150_000));
        while Instant::now() < until {
            if submitted < wanted && try_submit(&serving, &pipelines[submitted], submitted) {
                submitted += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        serving.kill();
    }
    assert!(longest < adoption, "a server took {longest:?} to adopt its jobs");
    println!("{kills} kills, the longest start took {longest:?}");

    serving.start();
    while submitted < jobs {
        assert!(try_submit(&serving, &pipelines[submitted], submitted));
        submitted += 1;
    }
    let mut attempts = BTreeMap::new();
    for number in 0..jobs {
        let name = format!("job-{number}");
        let job: JobDetail = wait_until(&format!("{name} has ended"), || {
            Some(serving.detail(&name)).filter(|job| job.row.exit_code.is_some())
        });
        assert_eq!(job.row.state, "completed", "{name}: {:?} {:?}", job.row, serving.events(&name));
        let out = fs::read(serving.path(&format!("{number}/out.txt"))).unwrap();
        assert_eq!(Digest::of(&out), expected, "{name}");
        // An attempt that a kill kept from beginning leaves its number only.
        let ends =
            serving.job_log(&name).iter().filter(|line| line.message.starts_with("the attempt has ended")).count();
        assert_eq!(ends, 1, "{name} ran {ends} times");
        attempts.insert(name, job.row.attempt);
    }
    let page: JobPage = serving.client().get("/v1/jobs?limit=200").unwrap();
    assert_eq!(page.jobs.len(), jobs, "each submission made one job");
    assert_eq!(alive(&serving), 0);
    println!("attempts: {attempts:?}");
}
