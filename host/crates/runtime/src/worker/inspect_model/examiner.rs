use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::Signal;

use super::reply;
use crate::worker::listen::{Ending, Heard, listen};
use sage_models::{ExamineElsewhere, ExamineLimits, Examined, ModelError, Trial};
use sage_process::sealed;
use sage_text::plain_text;

/// Examines each model in a one-shot process, which is killed at its timeout.
#[derive(Debug, Clone)]
pub struct OneShotInspector {
    program: PathBuf,
}

impl OneShotInspector {
    /// Makes the inspector. Processes are started as `program examine-model MEMORY CPU_SECONDS PARENT
    /// [--try-out]`, which must call [`examine_one`](super::examine_one). For `sage-host` itself, `program` is
    /// `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Starts a process. The same thread must wait for it, because the process dies with the thread that
    /// started it.
    fn start(&self, model: &[u8], trial: Trial, limits: ExamineLimits) -> io::Result<Child> {
        // The CPU limit is a guard behind the timeout on wall time. The process has one thread.
        let cpu_seconds = limits.timeout.as_secs() + 2;
        Command::new(&self.program)
            .arg("examine-model")
            .args([limits.memory, cpu_seconds, std::process::id().into()].map(|number| number.to_string()))
            .args((trial == Trial::Wanted).then_some("--try-out"))
            .env_clear()
            .current_dir("/")
            // Terminal signals are for the host, which decides about this process.
            .process_group(0)
            .stdin(Stdio::from(sealed("sage-model", model)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

impl ExamineElsewhere for OneShotInspector {
    fn examine(&self, model: &[u8], trial: Trial, limits: ExamineLimits) -> Result<Examined, ModelError> {
        let unavailable = |error: io::Error| ModelError::Unavailable(error.to_string());
        let until = Instant::now() + limits.timeout;
        let mut child = self.start(model, trial, limits).map_err(unavailable)?;
        let heard = listen(&mut child, until, reply::LONGEST);
        // A process that has ended is not affected; a process that still runs has used up its time.
        let _ = child.kill();
        let status = child.wait().map_err(unavailable)?;
        judge(&heard.map_err(unavailable)?, status, limits)
    }
}

fn judge(heard: &Heard, status: ExitStatus, limits: ExamineLimits) -> Result<Examined, ModelError> {
    let died = |how: &str| ModelError::Died(how.to_owned());
    match heard.ending {
        Ending::TimeUp => return Err(ModelError::TimedOut(limits.timeout)),
        Ending::TooMuch => {
            let most = reply::LONGEST;
            return Err(ModelError::Refused(format!("its names and metadata have more than {most} bytes")));
        }
        Ending::Ended => {}
    }
    if status.success() {
        let found = reply::read(&heard.reply).ok_or_else(|| died("sent an invalid reply"))?;
        return found.map_err(|reason| ModelError::Refused(plain_text(&reason).into_owned()));
    }
    let complaint = String::from_utf8_lossy(&heard.complaint);
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Err(ModelError::TimedOut(limits.timeout)),
        // Rust's allocator prints this message before it aborts.
        Some(_) if complaint.contains("memory allocation of ") => Err(ModelError::OutOfMemory(limits.memory)),
        Some(_) if complaint.contains("has overflowed its stack") => {
            Err(died("ran out of stack: it is nested too deep"))
        }
        Some(signal) if signal == Signal::KILL.as_raw() => Err(died("was killed by signal 9 (out of memory?)")),
        Some(signal) => Err(died(&format!("was ended by signal {signal}"))),
        None => {
            let said = plain_text(complaint.trim());
            Err(ModelError::Unavailable(said.trim_start_matches("error: ").to_owned()))
        }
    }
}
