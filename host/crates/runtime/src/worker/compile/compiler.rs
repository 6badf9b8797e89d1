use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use super::reply;
use crate::worker::one_shot_run::{OneShotFailure, OneShotRun};
use sage_sandbox::{CompileElsewhere, CompileError, CompileLimits, Compiled};

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
}

impl CompileElsewhere for OneShotCompiler {
    fn compile(&self, bytes: &[u8], limits: CompileLimits) -> Result<Compiled, CompileError> {
        let threads = available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        let run = OneShotRun {
            program: &self.program,
            subcommand: "compile",
            arguments: &[],
            environment: &[("RAYON_NUM_THREADS", threads.to_string())],
            memory: limits.memory,
            threads: threads as u64,
            timeout: limits.timeout,
            longest_reply: reply::longest(limits),
        };
        let reply = run.reply_to("sage-component", bytes).map_err(|failure| match failure {
            OneShotFailure::Unavailable(why) => CompileError::Unavailable(why),
            OneShotFailure::TimedOut => CompileError::TimedOut(limits.timeout),
            // The code was made in that memory.
            OneShotFailure::OutOfMemory | OneShotFailure::LongReply => CompileError::OutOfMemory(limits.memory),
            OneShotFailure::Died(how) => CompileError::Died(how),
        })?;
        let nonsense = || CompileError::Died("sent an invalid reply".to_owned());
        reply::read(reply, limits).unwrap_or_else(|| Err(nonsense()))
    }
}
