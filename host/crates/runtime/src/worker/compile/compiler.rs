use std::io;
use std::num::NonZero;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::available_parallelism;
use std::time::Instant;

use rustix::process::Signal;

use super::reply;
use crate::worker::listen::{Ending, Heard, listen};
use sage_process::sealed;
use sage_sandbox::{CompileElsewhere, CompileError, CompileLimits, Compiled};
use sage_text::plain_text;

/// Compiles each component in a process of its own, which is ended when its time is up.
#[derive(Debug, Clone)]
pub struct OneShotCompiler {
    program: PathBuf,
}

/// More threads compile no faster, since a component's largest functions decide; each takes 2 MiB of the process's memory.
const MOST_THREADS: usize = 8;

impl OneShotCompiler {
    /// Processes are started as `program compile MEMORY CPU_SECONDS PARENT`, which must come to [`compile_one`](super::compile_one). For
    /// `sage-host` itself that is `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// The thread that starts it must be the one that waits for it: the process dies with that thread.
    fn start(&self, bytes: &[u8], limits: CompileLimits) -> io::Result<Child> {
        let threads = available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        // A second for each that begins: the clock on the wall is the limit, and this the guard behind it.
        let cpu_seconds = (limits.timeout.as_secs() + 2).saturating_mul(threads as u64);
        Command::new(&self.program)
            .arg("compile")
            .args([limits.memory, cpu_seconds, std::process::id().into()].map(|number| number.to_string()))
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            .current_dir("/")
            // A terminal's signals are for the host, which decides what becomes of this.
            .process_group(0)
            .stdin(Stdio::from(sealed("sage-component", bytes)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

impl CompileElsewhere for OneShotCompiler {
    fn compile(&self, bytes: &[u8], limits: CompileLimits) -> Result<Compiled, CompileError> {
        let unavailable = |error: io::Error| CompileError::Unavailable(error.to_string());
        let until = Instant::now() + limits.timeout;
        let mut child = self.start(bytes, limits).map_err(unavailable)?;
        let heard = listen(&mut child, until, reply::longest(limits));
        // Where it has ended this does nothing; where it has not, it is time.
        let _ = child.kill();
        let status = child.wait().map_err(unavailable)?;
        judge(heard.map_err(unavailable)?, status, limits)
    }
}

fn judge(heard: Heard, status: ExitStatus, limits: CompileLimits) -> Result<Compiled, CompileError> {
    let Heard { reply, complaint, ending } = heard;
    match ending {
        Ending::TimeUp => return Err(CompileError::TimedOut(limits.timeout)),
        Ending::TooMuch => return Err(CompileError::OutOfMemory(limits.memory)),
        Ending::Ended => {}
    }
    if status.success() {
        let nonsense = || CompileError::Died("answered nonsense".to_owned());
        return reply::read(reply, limits).unwrap_or_else(|| Err(nonsense()));
    }
    let complaint = String::from_utf8_lossy(&complaint);
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Err(CompileError::TimedOut(limits.timeout)),
        // What Rust's allocator says before it aborts.
        Some(_) if complaint.contains("memory allocation of ") => Err(CompileError::OutOfMemory(limits.memory)),
        Some(signal) if signal == Signal::KILL.as_raw() => {
            Err(CompileError::Died("was killed, for want of memory perhaps".to_owned()))
        }
        Some(signal) => Err(CompileError::Died(format!("was ended by signal {signal}"))),
        None => {
            let said = plain_text(complaint.trim());
            Err(CompileError::Unavailable(said.trim_start_matches("error: ").to_owned()))
        }
    }
}
