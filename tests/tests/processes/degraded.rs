//! Runs without control groups, as a user without rights: they work, report weaker limits, or are refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use sage_test_support::{Need, skip};
use sage_tests::{Scenario, groups_named, guest, program};

/// Id of a user without any rights.
const NOBODY: &str = "65534";
const BECOME: [&str; 6] = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"];

/// A pipeline in a folder that every user may use, with copies of the program and the component, because
/// other users may not read the build folder.
struct Degraded {
    scenario: Scenario,
    program: PathBuf,
}

impl Degraded {
    /// `None`, with a message, if this test cannot become another user.
    fn new(name: &str, resources: &str) -> Option<Self> {
        let becomes = Command::new("setpriv").args(BECOME).arg("true").output();
        if !becomes.is_ok_and(|output| output.status.success()) {
            skip(Need::Root, "setpriv cannot become another user");
            return None;
        }
        let scenario = Scenario::new();
        let lines: Vec<String> = (0..500).map(|number| format!("record {number}")).collect();
        scenario.file("in.txt", lines.join("\n"));
        scenario.file("shout.wasm", std::fs::read(guest("map_shouts")).unwrap());
        scenario.pipeline(&format!(
            r#"
            [pipeline]
            name = "{name}"
            [[source]]
            name = "in"
            file = {{ path = "in.txt", format = "lines" }}
            [[operator]]
            name = "shout"
            component = "shout.wasm"
            input = "in"
            resources = {{ {resources} }}
            [[sink]]
            name = "out"
            input = "shout"
            file = {{ path = "out.txt" }}
            "#
        ));
        // Another process makes the copy. A file that this process has open for writing cannot be executed,
        // and a child that another test starts at that moment may have inherited the descriptor.
        let copy = scenario.path().join("sage-host");
        assert!(Command::new("cp").arg(program()).arg(&copy).status().unwrap().success());
        let anybody = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        anybody(&copy, 0o755);
        anybody(scenario.path(), 0o777);
        Some(Self { scenario, program: copy })
    }

    fn run(&self, more: &[&str]) -> Output {
        let folder = self.scenario.path();
        let mut setpriv = Command::new("setpriv");
        setpriv.args(BECOME).arg(&self.program).args(["run", "pipeline.toml", "--isolation", "process"]).args(more);
        setpriv.arg("--lease-folder").arg(folder.join("nobodys-leases"));
        setpriv.arg("--cache-folder").arg(folder.join("nobodys-cache"));
        setpriv.current_dir(folder).env("NO_COLOR", "1").env_remove("RUST_LOG");
        setpriv.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_pipeline_runs_with_the_same_output_as_with_groups() {
    let Some(degraded) = Degraded::new("degraded", "memory = \"64MiB\"") else { return };
    let ran = degraded.run(&["--quiet"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let without = degraded.scenario.lines("out.txt");
    std::fs::remove_file(degraded.scenario.path().join("out.txt")).unwrap();
    degraded.scenario.run_with(["--isolation", "process"]).expect_exit(0).expect_conservation();
    assert_eq!(without.len(), 500);
    assert_eq!(without, degraded.scenario.lines("out.txt"));
    assert_eq!(groups_named("degraded"), Vec::<String>::new());
}

#[test]
fn the_ledger_says_which_limits_hold_only_while_operators_behave() {
    let Some(degraded) = Degraded::new("degraded-ledger", "memory = \"64MiB\", num_cpus = 0.5") else { return };
    let explained = degraded.run(&["--explain", "--output", "json"]);
    assert!(explained.status.success(), "{}", text(&explained.stderr));
    let ledger: serde_json::Value = serde_json::from_slice(&explained.stdout).unwrap();
    let of = |resource: &str| {
        let rows = ledger["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["operator"] == "shout" && row["resource"] == resource).unwrap();
        (row["mechanism"].as_str().unwrap(), row["tier"].as_str().unwrap(), row["note"].as_str().unwrap_or_default())
    };
    let (mechanism, tier, note) = of("memory");
    assert_eq!((mechanism, tier), ("memory-limiter", "cooperative"));
    assert!(note.contains("no memory limit of the kernel here"), "{note}");
    assert_eq!((of("pids").0, of("pids").1), ("syscall-filter", "cooperative"));
    let (mechanism, tier, note) = of("num_cpus");
    assert_eq!((mechanism, tier), ("duty-cycle", "cooperative"));
    assert!(note.contains("no quota of the kernel here"), "{note}");
}

#[test]
fn what_nothing_can_enforce_is_refused_unless_it_is_allowed_and_then_said() {
    let Some(degraded) = Degraded::new("degraded-refused", "num_gpus = 1") else { return };
    let refused = degraded.run(&["--quiet"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("num_gpus"), "{}", text(&refused.stderr));
    assert!(degraded.scenario.read("out.txt").is_none(), "nothing has run");
    let explained = text(&degraded.run(&["--explain", "--allow-unenforced"]).stdout);
    let row = explained.lines().find(|line| line.contains("num_gpus")).unwrap_or_default();
    assert!(row.trim_end().ends_with("none"), "{explained}");
    let allowed = degraded.run(&["--quiet", "--allow-unenforced"]);
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));
    assert_eq!(degraded.scenario.lines("out.txt").len(), 500);
}
