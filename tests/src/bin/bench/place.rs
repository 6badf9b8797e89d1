use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use sage_runtime::engine::JobOptions;
use sage_runtime::worker::ProcessIsolation;
use tempfile::TempDir;

use crate::figure::Problem;

/// Paths: components beside their sources, the program beside this one, results in the target folder.
pub(crate) struct Place {
    repository: PathBuf,
    programs: PathBuf,
    results: PathBuf,
    scratch: TempDir,
}

impl Place {
    /// Finds the paths from the path of this program, and makes the folder for results.
    pub(crate) fn find() -> Result<Self, Problem> {
        let program = std::env::current_exe()?;
        let programs = program.parent().ok_or("this program lies nowhere")?.to_owned();
        let results = programs.parent().ok_or("this program is in no target folder")?.join("bench");
        std::fs::create_dir_all(&results)?;
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the package is in no repository")?;
        let scratch = tempfile::Builder::new().prefix("scratch").tempdir_in(&results)?;
        Ok(Self { repository: repository.to_owned(), programs, results, scratch })
    }

    /// Path of a sample operator.
    pub(crate) fn operator(&self, name: &str) -> Result<PathBuf, Problem> {
        self.built(&format!("operators/target/wasm32-wasip2/release/{name}.wasm"), "make operators")
    }

    /// Path of a test guest.
    pub(crate) fn guest(&self, name: &str) -> Result<PathBuf, Problem> {
        self.built(&format!("tests/guests/target/wasm32-wasip2/release/examples/{name}.wasm"), "make guests")
    }

    /// Root of the repository, with models and examples.
    pub(crate) fn repository(&self) -> &Path {
        &self.repository
    }

    /// Path of the `sage-host` program, which is built with the same profile as this one.
    pub(crate) fn program(&self) -> Result<PathBuf, Problem> {
        let program = self.programs.join("sage-host");
        if program.exists() {
            Ok(program)
        } else {
            Err("the sage-host program is not built: make host-inference".into())
        }
    }

    /// Starts the program on a pipeline file, without progress output, with folders of its own.
    pub(crate) fn run_program(&self, pipeline: &Path, output: Stdio) -> Result<Child, Problem> {
        let child = Command::new(self.program()?)
            .arg("run")
            .arg(pipeline)
            .arg("--quiet")
            .args(["--cache-folder".as_ref(), self.scratch("cache").as_os_str()])
            .args(["--lease-folder".as_ref(), self.scratch("leases").as_os_str()])
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(child)
    }

    /// Folder of the results.
    pub(crate) fn results(&self) -> &Path {
        &self.results
    }

    /// Path of a file that is removed after the run. The file is on the file system of the results, because
    /// a file in memory would not be a real file.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Options of runs: those of the program, but with folders of their own.
    pub(crate) fn job_options(&self) -> JobOptions {
        JobOptions {
            cache_folder: Some(self.scratch("cache")),
            lease_folder: Some(self.scratch("leases")),
            ..JobOptions::default()
        }
    }

    /// The same options with each instance in a worker process.
    pub(crate) fn process_options(&self) -> Result<JobOptions, Problem> {
        let launcher = ProcessIsolation::new(self.program()?);
        Ok(JobOptions { launcher: Some(Arc::new(launcher)), ..self.job_options() })
    }

    fn built(&self, path: &str, how: &str) -> Result<PathBuf, Problem> {
        let file = self.repository.join(path);
        if file.exists() { Ok(file) } else { Err(format!("{path} is not built: {how}").into()) }
    }
}

/// Waits for the end of the program. A failure becomes a problem with the program's own message.
pub(crate) fn require_success(child: Child) -> Result<(), Problem> {
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("sage-host ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
