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

/// Compiles each component in a one-shot process, which is killed at its timeout.
#[derive(Debug, Clone)]
pub struct OneShotCompiler {
    program: PathBuf,
}

/// Maximum compile threads. More threads are not faster, because a component's largest functions decide. Each
/// takes 2 MiB of the process's memory.
const MOST_THREADS: usize = 8;

impl OneShotCompiler {
    /// Makes the compiler. Processes are started as `program compile MEMORY CPU_SECONDS PARENT`, which must
    /// call [`compile_one`](super::compile_one). For `sage-host` itself, `program` is `/proc/self/exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Starts a process. The same thread must wait for it, because the process dies with the thread that
    /// started it.
    fn start(&self, bytes: &[u8], limits: CompileLimits) -> io::Result<Child> {
        let threads = available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        // The CPU limit is a guard behind the timeout on wall time: a second more for each started second.
        let cpu_seconds = (limits.timeout.as_secs() + 2).saturating_mul(threads as u64);
        Command::new(&self.program)
            .arg("compile")
            .args([limits.memory, cpu_seconds, std::process::id().into()].map(|number| number.to_string()))
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            .current_dir("/")
            // Terminal signals are for the host, which decides about this process.
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
        // A process that has ended is not affected; a process that still runs has used up its time.
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
        let nonsense = || CompileError::Died("sent an invalid reply".to_owned());
        return reply::read(reply, limits).unwrap_or_else(|| Err(nonsense()));
    }
    let complaint = String::from_utf8_lossy(&complaint);
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Err(CompileError::TimedOut(limits.timeout)),
        // Rust's allocator prints this message before it aborts.
        Some(_) if complaint.contains("memory allocation of ") => Err(CompileError::OutOfMemory(limits.memory)),
        Some(signal) if signal == Signal::KILL.as_raw() => {
            Err(CompileError::Died("was killed by signal 9 (out of memory?)".to_owned()))
        }
        Some(signal) => Err(CompileError::Died(format!("was ended by signal {signal}"))),
        None => {
            let said = plain_text(complaint.trim());
            Err(CompileError::Unavailable(said.trim_start_matches("error: ").to_owned()))
        }
    }
}
