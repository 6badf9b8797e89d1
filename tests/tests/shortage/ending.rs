use std::fs::File;
use std::io::Write as _;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::ioctl_fionread;
use rustix::process::Signal;
use sage_tests::{Running, Scenario};

use super::shell::pipeline;

/// Starts a run between a pipe and `out.txt`. Waits until one record has passed and the next one, whose call
/// never returns, has been read. The pipe stays open as long as the returned file.
fn in_flight(scenario: &Scenario, guest: &str, arguments: &[&str]) -> (Running, File) {
    let pipe = scenario.path().join("in.pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    pipeline(
        scenario,
        guest,
        "limits = { cpu_time_per_call = \"20s\", call_timeout = \"1h\" }",
        "file = { path = \"out.txt\" }",
    );
    let text = scenario.read("pipeline.toml").unwrap();
    scenario.file("pipeline.toml", text.replace("in.txt", "in.pipe"));
    let mut run = scenario.start_with(arguments);
    // Opening the pipe waits for its reader.
    let mut input = File::options().write(true).open(&pipe).unwrap();
    input.write_all(b"a\n").unwrap();
    run.until("a record came through", |_| (scenario.read("out.txt.partial")? == "a\n").then_some(()));
    input.write_all(b"poison\n").unwrap();
    run.until("the next one was read", |_| (ioctl_fionread(&input).unwrap() == 0).then_some(()));
    (run, input)
}

/// SIGHUP, or another signal if this test was started with SIGHUP ignored: the program would inherit that.
fn hangup() -> Signal {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1;
    if ignored { Signal::TERM } else { Signal::HUP }
}

#[test]
fn two_signals_end_a_run_whose_guest_does_not_with_a_summary_that_adds_up() {
    for guest in ["map_sleeps", "map_loops_for_ever"] {
        // The kernel may merge two signals of the same kind.
        for signals in [[Signal::INT, Signal::TERM], [Signal::TERM, hangup()]] {
            let scenario = Scenario::new();
            let (run, _input) = in_flight(&scenario, guest, &[]);
            for signal in signals {
                run.signal(signal);
            }
            let outcome = run.wait();
            outcome.expect_exit(130).expect_conservation();
            assert_eq!(outcome.summary()["outcome"], "interrupted", "{guest}");
            let stage = outcome.stage("guest");
            assert_eq!((stage.count("handled"), stage.count("unfinished")), (1, 1), "{guest}");
            assert_eq!(scenario.lines("out.txt.partial"), ["a"], "an incomplete output does not get its final name");
        }
    }
}

#[test]
fn one_signal_ends_it_when_the_drain_has_had_its_time() {
    for guest in ["map_sleeps", "map_loops_for_ever"] {
        let scenario = Scenario::new();
        let (run, _input) = in_flight(&scenario, guest, &["--drain-timeout", "100ms"]);
        run.signal(Signal::TERM);
        let outcome = run.wait();
        outcome.expect_exit(130).expect_conservation().expect_stderr("the drain has taken 100ms");
        assert_eq!(outcome.stage("guest").count("unfinished"), 1, "{guest}");
    }
}
