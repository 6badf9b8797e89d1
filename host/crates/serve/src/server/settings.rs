use std::path::PathBuf;

/// What a server is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The state folder.
    pub state: PathBuf,
    /// The folder of the control sockets of jobs, with an absolute path.
    pub sockets: PathBuf,
    /// The host file of all jobs, with an absolute path.
    pub host_file: Option<PathBuf>,
    /// The program with the commands `job` and `check-job`.
    pub program: PathBuf,
    /// Most jobs that start at a time.
    pub starts: usize,
    /// Most bytes of a file that comes with a pipeline.
    pub largest_file: u64,
}

/// What becomes of running jobs when the server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopJobs {
    /// They go on, and the next server adopts them.
    Leave,
    /// They are drained, and the server waits for them.
    Drain,
}
