//! Components that attack the compiler. They are compiled in a one-shot process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sage_runtime::worker::compile::OneShotCompiler;
use sage_sandbox::{CompileElsewhere, CompileError, CompileLimits, Compiled, LoadError, Sandbox, SandboxOptions};
use sage_tests::poison::{TIGHT, beside_a_neighbour};
use sage_tests::{Scenario, WatGuest, guest, program};

/// A function with `variables` variables that are alive across `branches` branches. The compiler's memory
/// grows with the product of the two, although the text is small.
fn bomb(variables: usize, branches: usize) -> Vec<u8> {
    let locals = "(local i32)".repeat(variables);
    let grow: String = (0..branches)
        .map(|i| {
            let local = 1 + i % variables;
            format!("(if (local.get 0) (then (local.set {local} (i32.add (local.get {local}) (i32.const {i})))))\n")
        })
        .collect();
    let add: String =
        (1..=variables).map(|local| format!("(local.set 0 (i32.add (local.get 0) (local.get {local})))\n")).collect();
    let main = format!(
        "(func $bomb (param i32) (result i32) {locals} (loop $again {grow} {add} \
        (br_if $again (local.get 0))) (local.get 0))"
    );
    WatGuest { main, ..WatGuest::default() }.build()
}

fn refused_under(limits: &str, component: &[u8], said: &str, hint: &str) {
    let here = Scenario::new();
    let component = here.file("bomb.wasm", component);
    let host = here.file("host.toml", limits);
    let scenario = beside_a_neighbour(&component, TIGHT);
    let outcome = scenario.run_with([Path::new("--host"), &host]);
    outcome.expect_exit(2);
    for part in ["bomb.wasm", said, hint] {
        assert!(outcome.stdout.contains(part), "nothing says {part:?}\n{outcome:?}");
    }
    assert_eq!((scenario.read("out.txt"), scenario.read("calm-out.txt")), (None, None), "no data flowed");
}

#[test]
fn one_that_compiles_without_end_is_stopped_when_its_time_is_up() {
    refused_under("compile_timeout = '300ms'", &bomb(4000, 20_000), "is not compiled after 300ms", "compile_timeout");
}

#[test]
fn one_that_wants_all_memory_is_refused_it() {
    refused_under(
        "compile_memory = '64MiB'",
        &bomb(4000, 20_000),
        "is not compiled with 64MiB of memory",
        "compile_memory",
    );
}

/// A compiler that counts its compilations.
#[derive(Debug)]
struct Counting {
    compiler: OneShotCompiler,
    compiled: AtomicUsize,
}

impl CompileElsewhere for Counting {
    fn compile(&self, bytes: &[u8], limits: CompileLimits) -> Result<Compiled, CompileError> {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        self.compiler.compile(bytes, limits)
    }
}

fn counting() -> Arc<Counting> {
    Arc::new(Counting { compiler: OneShotCompiler::new(program()), compiled: AtomicUsize::new(0) })
}

fn sandbox(compiler: &Arc<Counting>, cache_folder: Option<PathBuf>) -> Sandbox {
    let compiler: Arc<dyn CompileElsewhere> = Arc::<Counting>::clone(compiler);
    Sandbox::new(SandboxOptions { cache_folder, compiler: Some(compiler), ..SandboxOptions::default() }).unwrap()
}

#[test]
fn what_is_cached_needs_no_process_and_is_not_asked_again_for_its_side_outputs() {
    let here = Scenario::new();
    let cache = here.path().join("cache");
    let compiler = counting();
    let component = guest("process_splits_late");
    let mut seen = Vec::new();
    for compiled in [1, 1, 1] {
        let sandbox = sandbox(&compiler, Some(cache.clone()));
        seen.push(sandbox.load(&component).unwrap().facts().clone());
        assert_eq!(sandbox.facts(&component).unwrap(), seen[0]);
        assert_eq!(compiler.compiled.load(Ordering::Relaxed), compiled);
    }
    assert_eq!(seen[0].ports, ["late", "unused"]);
    assert!(seen.iter().all(|facts| *facts == seen[0]));

    // A sandbox without a one-shot process caches a component of another kind without an answer about side outputs.
    // Then the component would have to run in this process, so it is compiled again in the one-shot process.
    let component = guest("map_shouts");
    let here = SandboxOptions { cache_folder: Some(cache.clone()), ..SandboxOptions::default() };
    let facts = Sandbox::new(here).unwrap().facts(&component).unwrap();
    for compiled in [2, 2] {
        assert_eq!(sandbox(&compiler, Some(cache.clone())).facts(&component).unwrap(), facts);
        assert_eq!(compiler.compiled.load(Ordering::Relaxed), compiled);
    }
}

#[test]
fn what_it_does_when_asked_for_its_side_outputs_is_told_as_if_it_were_here() {
    for name in ["process_panics_in_ports", "process_loops_in_ports", "process_declares_a_bad_port"] {
        let component = guest(name);
        let there = sandbox(&counting(), None).facts(&component).unwrap_err();
        let here = Sandbox::new(SandboxOptions::default()).unwrap().facts(&component).unwrap_err();
        assert_eq!(there.to_string(), here.to_string());
        if let (LoadError::Start { failure: there, .. }, LoadError::Start { failure: here, .. }) = (&there, &here) {
            assert_eq!((there.code, &there.message), (here.code, &here.message));
        }
    }
}

#[test]
fn a_process_that_cannot_be_started_or_answers_nonsense_is_an_error() {
    let component = std::fs::read(guest("map_shouts")).unwrap();
    let limits = CompileLimits { timeout: Duration::from_millis(300), ..CompileLimits::default() };
    let by = |program: &str| OneShotCompiler::new(program).compile(&component, limits).unwrap_err();
    assert!(matches!(by("/nowhere"), CompileError::Unavailable(_)));
    assert!(matches!(by("/bin/true"), CompileError::Died(_)));
    assert!(matches!(by("/bin/false"), CompileError::Unavailable(_)));
    let here = Scenario::new();
    for (script, error) in [
        ("exec sleep 60", CompileError::TimedOut(limits.timeout)),
        ("kill -SEGV $$", CompileError::Died("was ended by signal 11".to_owned())),
        ("kill -XCPU $$", CompileError::TimedOut(limits.timeout)),
        ("cat /dev/zero", CompileError::OutOfMemory(1 << 20)),
    ] {
        let limits = if script.starts_with("cat") {
            CompileLimits { timeout: Duration::from_secs(60), memory: 1 << 20 }
        } else {
            limits
        };
        let program = here.file("compiler.sh", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(OneShotCompiler::new(&program).compile(&component, limits).unwrap_err(), error, "{script}");
    }
}

#[test]
fn a_compiling_process_ends_with_the_host_that_was_killed() {
    let here = Scenario::new();
    let component = here.file("bomb.wasm", bomb(4000, 20_000));
    let scenario = beside_a_neighbour(&component, TIGHT);
    let mut host = scenario.command("run").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let compiling = loop {
        assert!(Instant::now() < deadline, "nothing compiles");
        // Waits until the process is locked down, because giving up rights could clear the kernel's setting
        // that ends it with its parent.
        if let Some(found) = child_of(host.id()).filter(|child| is_filtered(*child)) {
            break found;
        }
        std::thread::yield_now();
    };
    host.kill().unwrap();
    host.wait().unwrap();
    // The kernel ends the process: it is gone or a zombie.
    while std::fs::read_to_string(format!("/proc/{compiling}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "process {compiling} outlives its host");
        std::thread::yield_now();
    }
}

/// Id of a compiling process that `parent` started.
fn child_of(parent: u32) -> Option<u32> {
    let marked = "\0compile\0";
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let words = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (words.contains(marked) && words.ends_with(&format!("\0{parent}\0"))).then_some(process)
    })
}

fn is_filtered(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2'))
}
