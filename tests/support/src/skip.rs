use std::cell::RefCell;
use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::panic::Location;

/// Environment variable with the words of all needs that this machine must meet.
const REQUIRE: &str = "SAGE_TEST_REQUIRE";

/// Environment variable with the path of the file that lists skipped tests.
const SKIPS: &str = "SAGE_TEST_SKIPS";

macro_rules! needs {
    ($($(#[$doc:meta])* $need:ident = $word:literal,)*) => {
        /// A property of a machine without which some tests cannot run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Need {
            $($(#[$doc])* $need,)*
        }

        impl Need {
            /// Every need.
            pub const ALL: &[Self] = &[$(Self::$need),*];

            /// The word of this need in `SAGE_TEST_REQUIRE`.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$need => $word,)*
                }
            }
        }
    };
}

needs! {
    /// File systems with access control lists.
    AccessLists = "access-lists",
    /// Chromium, Node.js, puppeteer-core and axe-core, from `make browser`.
    Browser = "browser",
    /// Control groups of every kind, which this process may create.
    Cgroup = "cgroup",
    /// Control groups of version 2.
    Cgroup2 = "cgroup2",
    /// Two CPUs or more.
    Cpus = "cpus",
    /// File systems in user space (`/dev/fuse`), which this process may mount.
    Fuse = "fuse",
    /// The Python package jsonschema, from `make jsonschema`.
    Jsonschema = "jsonschema",
    /// A kernel with landlock.
    Landlock = "landlock",
    /// Namespaces of mounts.
    Mount = "mount",
    /// A Rust toolchain of the nightly channel.
    Nightly = "nightly",
    /// A library of ONNX Runtime without CUDA.
    NoCuda = "no-cuda",
    /// The file of ONNX's node tests, from `make onnx-node-tests`.
    OnnxNodeTests = "onnx-node-tests",
    /// A build with ONNX Runtime, and its library, from `make onnxruntime`.
    Onnxruntime = "onnxruntime",
    /// The Python package pandas, from `make pandas`.
    Pandas = "pandas",
    /// Prometheus and promtool, from `make prometheus`.
    Prometheus = "prometheus",
    /// Python 3.
    Python = "python",
    /// Python with pytest, mypy and componentize-py, from `make python-tools`.
    PythonTools = "python-tools",
    /// The emulator QEMU, and a kernel for it.
    Qemu = "qemu",
    /// A machine whose CPUs are not needed by others during the test.
    Quiet = "quiet",
    /// The rights of root, and setpriv(1) to give them up.
    Root = "root",
    /// A kernel that counts the CPU time of each thread in nanoseconds (`/proc/PID/schedstat`).
    Schedstat = "schedstat",
    /// The program script(1), which makes terminals.
    Script = "script",
    /// The program ssh-keygen(1), from `make ssh-keygen`.
    SshKeygen = "ssh-keygen",
    /// The program strace(1).
    Strace = "strace",
    /// The kernel's folder `/sys`.
    Sysfs = "sysfs",
    /// Instances in threads of the host, without `SAGE_TEST_ISOLATION=process`.
    Threads = "threads",
    /// Exactly two CPUs.
    TwoCpus = "two-cpus",
    /// A user without the rights of root.
    Unprivileged = "unprivileged",
}

impl Need {
    /// The need with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|need| need.word() == word)
    }

    /// The reason why this machine does not meet the need; `None` if it does. Panics for a need that only a test
    /// itself can examine.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Cpus => {
                let there = std::thread::available_parallelism().map_or(1, usize::from);
                (there < 2).then(|| "this process may use one CPU only".to_owned())
            }
            Self::Onnxruntime => std::env::var_os("ORT_DYLIB_PATH")
                .is_none()
                .then(|| "ORT_DYLIB_PATH names no library (make onnxruntime)".to_owned()),
            Self::Root => {
                let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
                (ids.split_whitespace().nth(1) != Some("0")).then(|| "this user is not root".to_owned())
            }
            other => panic!("a case cannot name the need {other}"),
        }
    }
}

impl Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Reports that the test, or a part of it, cannot run here. The caller returns afterwards. Panics if
/// `SAGE_TEST_REQUIRE` names the need.
///
/// The report is a line on standard error, and a line in the file of `SAGE_TEST_SKIPS`.
#[track_caller]
pub fn skip(need: Need, why: impl Display) {
    let place = Location::caller();
    let test = match current_test() {
        Some(test) => format!("{test} ({})", place.file()),
        None => format!("{}:{}", place.file(), place.line()),
    };
    assert!(!is_required(need), "{REQUIRE} requires {need}, but {why}");
    eprintln!("skipped: {why}");
    record(need, &test, &why.to_string());
}

/// Appends a skipped test to the file of `SAGE_TEST_SKIPS`.
pub(crate) fn record(need: Need, test: &str, why: &str) {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    append(SKIPS, &format!("{need}\t{test}\t{why}\n"));
}

/// Appends a line to the file that an environment variable names, if it names one. One write appends the whole
/// line, because other test programs append to the same file.
pub(crate) fn append(variable: &str, line: &str) {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else { return };
    let file: std::io::Result<File> = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{variable}: {}: {error}", path.display()));
}

pub(crate) fn is_required(need: Need) -> bool {
    let words = std::env::var(REQUIRE).unwrap_or_default();
    required(&words).unwrap_or_else(|error| panic!("{error}")).contains(&need)
}

/// The needs that `words` lists.
fn required(words: &str) -> Result<Vec<Need>, String> {
    let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            Need::from_word(word).ok_or_else(|| {
                let known: Vec<&str> = Need::ALL.iter().map(|need| need.word()).collect();
                format!("{REQUIRE}: {word:?} is not one of {}", known.join(", "))
            })
        })
        .collect()
}

thread_local! {
    static TRIAL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a trial under its name, which [`skip`] reports.
pub(crate) fn named<T>(trial: &str, run: impl FnOnce() -> T) -> T {
    TRIAL.set(Some(trial.to_owned()));
    let result = run();
    TRIAL.set(None);
    result
}

/// The name of the trial on this thread, or of the thread, which is that of a test.
fn current_test() -> Option<String> {
    let trial = TRIAL.with_borrow(Option::clone);
    trial.or_else(|| std::thread::current().name().filter(|name| *name != "main").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_this_run_requires_is_known() {
        required(&std::env::var(REQUIRE).unwrap_or_default()).unwrap();
    }

    #[test]
    fn words_are_read_and_an_unknown_one_is_an_error() {
        assert_eq!(required("").unwrap(), []);
        assert_eq!(required("cgroup, root,,").unwrap(), [Need::Cgroup, Need::Root]);
        let error = required("root,rooot").unwrap_err();
        assert!(error.starts_with("SAGE_TEST_REQUIRE: \"rooot\" is not one of access-lists, browser,"), "{error}");
    }

    #[test]
    fn every_need_has_a_word_of_its_own() {
        for need in Need::ALL {
            assert_eq!(Need::from_word(need.word()), Some(*need));
        }
    }
}
