//! The cache of compiled components holds native code that a run loads into its own process. Here the cache
//! is damaged, too large, or unusable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sage_tests::{Scenario, WatGuest, program};
use serde_json::Value;

const PAGE: usize = 4096;

fn echoing() -> Scenario {
    let scenario = Scenario::new();
    scenario.file("echo.wasm", WatGuest::default().build());
    scenario.file("in.txt", "a\nb\nc\n");
    scenario.pipeline(
        r#"
        [[source]]
        name = "in"
        file = { path = "in.txt", format = "lines" }
        [[operator]]
        name = "echo"
        component = "echo.wasm"
        input = "in"
        [[operator]]
        name = "again"
        component = "echo.wasm"
        input = "echo"
        [[sink]]
        name = "out"
        input = "again"
        file = { path = "out.txt" }
        "#,
    );
    scenario
}

/// The program, with a cache of its own.
fn sage_host(scenario: &Scenario, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(words).current_dir(scenario.path()).stdin(Stdio::null());
    command.env("NO_COLOR", "1").env_remove("RUST_LOG").env("XDG_CACHE_HOME", scenario.path().join("home"));
    command.env("SAGE_HOST_LEASE_FOLDER", scenario.leases());
    command
}

fn run(scenario: &Scenario) -> Output {
    let _ = fs::remove_file(scenario.path().join("out.txt"));
    let ran = sage_host(scenario, &["run", "pipeline.toml", "--quiet"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(scenario.lines("out.txt"), ["a", "b", "c"]);
    ran
}

fn said(ran: &Output, words: &str) -> usize {
    String::from_utf8_lossy(&ran.stderr).matches(words).count()
}

fn kept(scenario: &Scenario) -> Vec<PathBuf> {
    let folder = scenario.path().join("home/sage-host/components");
    let mut kept: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    kept.retain(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    kept.sort();
    kept
}

#[test]
fn a_compiled_component_with_a_lost_page_is_compiled_anew() {
    let scenario = echoing();
    assert_eq!(said(&run(&scenario), "compiling anew"), 0);
    let [file] = kept(&scenario).try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    assert!(whole.len() > 3 * PAGE, "{} bytes are too few to lose a page of", whole.len());
    // Clears each page in turn: the first ones hold the header, others hold code, tables and the engine's
    // metadata.
    for start in (0..whole.len()).step_by(PAGE) {
        let end = whole.len().min(start + PAGE);
        if whole[start..end].iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut damaged = whole.clone();
        damaged[start..end].fill(0);
        fs::write(&file, &damaged).unwrap();
        assert_eq!(said(&run(&scenario), "compiling anew"), 1, "bytes {start} to {end}");
        assert_eq!(said(&run(&scenario), "compiling anew"), 0, "the cache entry was repaired");
    }
}

#[test]
fn without_a_place_for_the_cache_a_run_says_so_once_and_goes_on() {
    let scenario = echoing();
    scenario.file("file", "");
    for home in [Path::new("/proc/nowhere"), &scenario.path().join("file")] {
        let ran = sage_host(&scenario, &["run", "pipeline.toml", "--quiet"]).env("XDG_CACHE_HOME", home).output();
        let ran = ran.unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        assert_eq!(said(&ran, "compiled components are not cached"), 1, "{ran:?}");
    }
}

#[test]
fn the_cache_keeps_to_its_bound_is_listed_and_can_be_cleared() {
    let scenario = echoing();
    scenario.file("host.toml", "max_cache_bytes = '1GiB'\n");
    for build in 0..6 {
        let main = format!("(global $build i32 (i32.const {build}))");
        scenario.file("echo.wasm", WatGuest { main, ..WatGuest::default() }.build());
        run(&scenario);
    }
    assert_eq!(kept(&scenario).len(), 4, "four builds of one file are kept");
    let json = |words: &[&str]| -> Value {
        let ran = sage_host(&scenario, words).args(["--host", "host.toml", "--output", "json"]).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let listed = json(&["cache", "list"]);
    let components = listed["components"].as_array().unwrap();
    assert_eq!(components.len(), 4);
    let file = fs::canonicalize(scenario.path().join("echo.wasm")).unwrap();
    assert!(components.iter().all(|one| one["component"] == file.to_str().unwrap()), "{listed}");
    assert_eq!(json(&["cache", "size"])["bytes"], listed["bytes"]);

    // Space for one and a half components.
    let one = listed["bytes"].as_u64().unwrap() / 4;
    scenario.file("host.toml", format!("max_cache_bytes = {}\n", one + one / 2));
    scenario.file("echo.wasm", WatGuest { main: "(global i32 (i32.const 77))".into(), ..WatGuest::default() }.build());
    let ran = sage_host(&scenario, &["run", "pipeline.toml", "--quiet", "--host", "host.toml"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(kept(&scenario).len(), 1);

    assert_eq!(json(&["cache", "clear"])["removed_components"], 1);
    assert!(kept(&scenario).is_empty());
    assert_eq!(json(&["cache", "size"])["components"], 0);
    run(&scenario);
}
