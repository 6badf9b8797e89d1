use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::canary_report::{ANSWER, CALL, CanaryReport, CanarySetup};
use sage_batch::wire::{WireError, WireReader, WireWriter};
use sage_process::Link;
use sage_process::{Launch, Spawner, Started};
use sage_text::plain_text;

/// The results of a canary.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) report: CanaryReport,
    /// Time from a byte in the ring to the answer in it. Doorbells wake both sides.
    pub(super) round_trip: Duration,
}

/// Time limit for a canary. It starts in milliseconds; the limit is for a very busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a process that locks itself down like a worker and tries forbidden actions. `Err` is the reason why
/// there are no results. The process is gone when this function returns.
pub(super) fn send(program: &Path) -> Result<Heard, String> {
    let spawner = Spawner::start().map_err(|error| format!("cannot start a thread that starts processes: {error}"))?;
    let (mut link, far) = Link::pair().map_err(|error| format!("cannot make shared memory: {error}"))?;
    let descriptors = [&far.own, &far.peer, &far.doorbell, &far.peer_doorbell].map(AsRawFd::as_raw_fd);
    let [own, peer, doorbell, peer_doorbell] = descriptors;
    let host = rustix::process::getpid().as_raw_nonzero().get();
    let order =
        serde_json::to_vec(&CanarySetup { host, own, peer, doorbell, peer_doorbell }).map_err(|e| e.to_string())?;
    let launch = Launch {
        program: program.to_owned(),
        subcommand: "canary",
        order,
        environment: Vec::new(),
        inherited: descriptors.into(),
        cpus: None,
        enter: None,
    };
    let Started { mut child, process, last_words } =
        spawner.launch(launch).map_err(|error| format!("cannot start a process: {error}"))?;
    let process = Arc::new(process);
    link.watch(Arc::clone(&process));
    link.set_timeout(Some(TIMEOUT));
    let called = called(&mut link);
    let ended = if called.is_ok() { wait(&process) } else { Ok(()) };
    // A failed kill means that the process has ended already.
    let _ = child.kill();
    let status = child.wait().map_err(|error| error.to_string())?;
    let said = words(&last_words);
    match (called, ended) {
        (Ok(round_trip), Ok(())) if status.success() => serde_json::from_slice(&said)
            .map(|report| Heard { report, round_trip })
            .map_err(|error| format!("its report is invalid: {error}")),
        (Err(WireError::Gone) | Ok(_), Ok(())) => Err(end_of(status, &said)),
        (Err(error), _) => Err(format!("{error}; {}", end_of(status, &said))),
        (Ok(_), Err(error)) => Err(format!("it did not end: {error}")),
    }
}

/// Waits for the canary's call, answers it, and waits for its next call. The time between them is the round
/// trip.
fn called(link: &mut Link) -> Result<Duration, WireError> {
    let hear = |link: &mut Link| {
        let mut call = [0; CALL.len()];
        link.get(&mut call)?;
        link.taken();
        if call == *CALL { Ok(()) } else { Err(WireError::broken("an unexpected call")) }
    };
    hear(link)?;
    let started = Instant::now();
    link.put(ANSWER)?;
    link.send();
    hear(link)?;
    Ok(started.elapsed())
}

fn wait(process: &OwnedFd) -> io::Result<()> {
    let timeout = Timespec { tv_sec: i64::try_from(TIMEOUT.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

fn words(file: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; 16 << 10];
    let read = rustix::io::pread(file, &mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn end_of(status: ExitStatus, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let text = text.trim();
    let text = plain_text(text.strip_prefix("error: ").unwrap_or(text)).into_owned();
    if text.is_empty() { format!("it ended with {status}") } else { text }
}
