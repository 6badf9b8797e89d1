//! Many cases of one kind as tests of their own. A test program of trials has `harness = false` in its manifest and
//! the options of every other test program: names as filters, `--list`, `--test-threads`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::Need;
use crate::skip::{append, is_required, named, record};

/// Environment variable with the path of the file that lists the times of trials.
const TIMES: &str = "SAGE_TEST_TIMES";

/// A case: its name, its needs, and its test, which panics if the case fails.
pub struct Case {
    name: String,
    needs: Vec<Need>,
    run: Box<dyn FnOnce() + Send>,
}

impl Case {
    /// A case that can run everywhere.
    pub fn new(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Self {
        Self { name: name.into(), needs: Vec::new(), run: Box::new(run) }
    }

    /// The same case with needs. If the machine does not meet one of them, the case is ignored; if
    /// `SAGE_TEST_REQUIRE` names it, the case fails.
    pub fn with_needs(self, needs: Vec<Need>) -> Self {
        Self { needs, ..self }
    }
}

/// Runs the cases in parallel, as the options of the program say. Each case appends its time to the file of
/// `SAGE_TEST_TIMES`. `at_least` is the number of cases that must be there, so that a wrong folder is not a success.
pub fn run(at_least: usize, cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    assert!(cases.len() >= at_least, "{} cases, at least {at_least} were expected", cases.len());
    let trials = cases.into_iter().map(|case| trial(case, arguments.list)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: Case, only_listed: bool) -> Trial {
    let Case { name, needs, run } = case;
    let missing = needs.into_iter().find_map(|need| Some((need, need.missing()?)));
    if let Some((need, why)) = missing {
        if is_required(need) {
            return Trial::test(name, move || Err(Failed::from(format!("{need} is required, but {why}"))));
        }
        if !only_listed {
            record(need, &name, &why);
        }
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    let program = program_name();
    Trial::test(name.clone(), move || {
        let started = Instant::now();
        named(&name, run);
        append(TIMES, &format!("{:.3}\tcase {program}: {name}\n", started.elapsed().as_secs_f64()));
        Ok(())
    })
}

/// Name of this test program, without the hash that Cargo adds.
fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned())
}

/// The folders in a folder, sorted by name.
pub fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Name of a case's folder.
pub fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
