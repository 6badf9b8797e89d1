//! Any bytes as the files of a job's folder: a server that finds them refuses the folder or has a job that any event
//! leads on, and a file that can be read is written as one that says the same.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sage_jobs::{FileSignature, JobCheck, JobEnd, JobOrder, JobOutcome, JobStatus, LogLine, RestartClass};
use sage_serve::state::{Event, Job, StopMode, next};
use sage_serve::store::{AuditEntry, JobEvent, JobSpec, Revision};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    which: u8,
    events: Vec<(u8, u32, u32)>,
    bytes: &'a [u8],
}

fn same<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&value).expect("it can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("it reads back"), value);
    Some(value)
}

fn event(kind: u8, attempt: u32) -> Event {
    let outcome = [JobOutcome::Completed, JobOutcome::Drained, JobOutcome::Failed, JobOutcome::NoRoom];
    let message = || "why".to_owned();
    match kind % 12 {
        0 => Event::Checked { class: RestartClass::Idempotent },
        1 => Event::Objected { exit_code: 2, message: message() },
        2 => Event::CheckBroke { message: message() },
        3 => Event::Chosen,
        4 => Event::Runs { attempt },
        5 => Event::Ended { attempt, outcome: outcome[usize::from(kind / 12) % 4], exit_code: 0, message: None },
        6 => Event::Crashed { attempt, message: message() },
        7 => Event::Restored,
        8 => Event::Stop { mode: StopMode::Drain, timeout: Some(u64::from(attempt)) },
        9 => Event::Start,
        10 => Event::RollOut { to: attempt, watch: 5 },
        _ => Event::Tick,
    }
}

fuzz_target!(|input: Input| {
    let bytes = input.bytes;
    match input.which % 10 {
        0 => drop(same::<JobStatus>(bytes)),
        1 => drop(same::<JobEnd>(bytes)),
        2 => drop(same::<JobCheck>(bytes)),
        3 => drop(same::<JobOrder>(bytes)),
        4 => drop(same::<JobSpec>(bytes)),
        5 => drop(same::<Revision>(bytes)),
        6 => drop(same::<JobEvent>(bytes)),
        7 => drop(same::<AuditEntry>(bytes)),
        8 => drop((same::<LogLine>(bytes), same::<FileSignature>(bytes))),
        _ => {
            let Some(mut job) = same::<Job>(bytes) else { return };
            let mut now = 1_000_000;
            for (kind, attempt, pause) in input.events {
                let attempt = if kind % 2 == 0 { job.attempt } else { attempt };
                now += u64::from(pause);
                job = next(&job, event(kind, attempt), now).0;
            }
        }
    }
});
