//! Runs of the program that hold shares of one device at the same time.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sage_tests::{Running, free_port, http_get};

use crate::told::Told;

const CALL: &str = "run slow x=f32[1,4]:1";
const RUN: Duration = Duration::from_millis(20);
const FOR_EVER: usize = 100_000;
type Device = fn() -> Told;
const DEVICES: [Device; 2] = [Told::on_a_device, Told::on_a_process];

/// A run of the program, and the port of its metrics.
struct Beside {
    told: Told,
    running: Running,
    port: u16,
}

impl Beside {
    /// Starts instances that each hold a share of a device and call it without end. The device runs one call
    /// at a time, each for a fixed time.
    fn start(device: Device, first: Option<&Self>, instances: usize, share: &str) -> Self {
        let told = match first {
            Some(first) => device().sharing_leases_of(&first.told),
            None => device(),
        };
        let told = told
            .resources(&format!("num_gpus = {share}, memory = \"32MiB\""))
            .model("slow", "input = \"f32[rows, 4]\"\nlatency_per_run = \"20ms\"");
        told.lay_out(&vec![CALL; FOR_EVER]);
        let text = told.scenario.read("pipeline.toml").unwrap();
        let text = text.replace("input = \"in\"\n", &format!("input = \"in\"\nparallelism = {instances}\n"));
        told.scenario.file("pipeline.toml", text);
        let port = free_port();
        let running = told.start(&["--metrics", &format!("127.0.0.1:{port}")]);
        Self { told, running, port }
    }

    /// Value of a metric.
    fn number(&self, family: &str) -> Option<f64> {
        let page = http_get(self.port, "/metrics")?;
        page.lines().find(|line| line.starts_with(family))?.rsplit_once(' ')?.1.parse().ok()
    }

    /// Number of runs of its model, as soon as there are at least `at_least`.
    fn ran(&mut self, at_least: u32) -> u32 {
        let port = self.port;
        self.running.until(&format!("its model had run {at_least} times"), |_| {
            let page = http_get(port, "/metrics")?;
            let line = page.lines().find(|line| line.starts_with("sage_model_runs_total"))?;
            line.rsplit_once(' ')?.1.parse().ok().filter(|runs| *runs >= at_least)
        })
    }

    /// Number of model runs of both programs and the time they took. The measurement begins when both have
    /// run, and ends after `times` more runs of the second program.
    fn both(&mut self, other: &mut Self, times: u32) -> (u32, u32, Duration) {
        other.ran(3);
        let from = Instant::now();
        let (first, second) = (self.ran(3), other.ran(3));
        let second = other.ran(second + times) - second;
        (self.ran(3) - first, second, from.elapsed())
    }

    fn kill(self) {
        self.running.signal(Signal::KILL);
        self.running.gone();
    }
}

/// Asserts that the time suffices for `runs` runs one after another. The device does not wait for a process
/// that got no CPU for a tenth of a second, so the bound has some slack.
fn ran_one_at_a_time(runs: u32, took: Duration) {
    let most = took.as_secs_f64() / RUN.as_secs_f64();
    assert!(f64::from(runs) <= most * 1.15 + 2.0, "{runs} runs in {took:?}");
}

#[test]
fn runs_that_share_a_device_have_its_time_by_their_shares_and_its_slots_together() {
    for device in DEVICES {
        let mut large = Beside::start(device, None, 3, "0.25");
        let mut small = Beside::start(device, Some(&large), 1, "0.25");
        let (of_large, of_small, took) = large.both(&mut small, 40);
        assert!((85..=155).contains(&of_large), "{of_large} beside {of_small}: it has three times as much");
        ran_one_at_a_time(of_large + of_small, took);
        let waited = small.number("sage_device_turn_wait_seconds_total").unwrap();
        assert!(waited > 0.0, "it waited for the other's turns");
        large.kill();
        small.kill();
    }
}

#[test]
fn a_run_waits_for_one_turn_of_another_that_floods_the_device_and_not_for_its_queue() {
    let mut flood = Beside::start(Told::on_a_device, None, 8, "0.03");
    let mut light = Beside::start(Told::on_a_device, Some(&flood), 1, "0.75");
    let (of_flood, of_light, took) = flood.both(&mut light, 50);
    // One run of the flood falls between two of the light run, never all eight that wait.
    assert!(of_flood <= of_light + of_light / 2 + 5, "{of_flood} beside {of_light}");
    ran_one_at_a_time(of_flood + of_light, took);
    flood.kill();
    light.kill();
}

#[test]
fn a_run_that_is_stopped_or_killed_does_not_keep_the_device_from_others() {
    for device in DEVICES {
        let mut first = Beside::start(device, None, 2, "0.25");
        let mut second = Beside::start(device, Some(&first), 1, "0.5");
        first.both(&mut second, 3);
        // The process is stopped at any point: while it has a run in flight, or while it waits.
        for times in 1..=4 {
            first.running.signal(Signal::STOP);
            let began = Instant::now();
            let before = second.ran(1);
            second.ran(before + 10 + times);
            assert!(began.elapsed() < Duration::from_secs(30), "the deadline of the stopped call is later than this");
            first.running.signal(Signal::CONT);
            let before = first.ran(1);
            first.ran(before + 2);
        }
        first.running.signal(Signal::KILL);
        let began = Instant::now();
        let before = second.ran(1);
        second.ran(before + 20);
        assert!(began.elapsed() < Duration::from_secs(30));
        // The run ends at once, not after all records that were read.
        second.running.signal(Signal::INT);
        second.running.signal(Signal::TERM);
        let outcome = second.running.wait();
        outcome.expect_exit(130).expect_conservation();
        // The killed run removed no files, and a run that stops at once may not either. The next run that
        // claims the device does.
        let next = device().sharing_leases_of(&first.told).resources("num_gpus = 0.25, memory = \"32MiB\"");
        let next = next.model("slow", "input = \"f32[rows, 4]\"");
        next.lay_out(&[CALL]);
        next.start(&[]).wait().expect_exit(0);
        let entries = std::fs::read_dir(first.told.scenario.leases()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = entries.filter(|name| name.to_str().unwrap().contains(".turn")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_run_that_cannot_take_turns_says_so_and_goes_on_without() {
    let told =
        Told::on_a_device().resources("num_gpus = 0.5, memory = \"32MiB\"").model("slow", "input = \"f32[rows, 4]\"");
    // A folder in place of the file, which the host cannot replace.
    let user = rustix::process::geteuid().as_raw();
    std::fs::create_dir_all(told.scenario.leases().join(format!("device-fake0-{user}.turns"))).unwrap();
    told.lay_out(&[CALL; 3]);
    let outcome = told.start(&[]).wait();
    outcome.expect_exit(0).expect_conservation();
    let says = "this run takes no turns with other runs on the device";
    assert_eq!(outcome.stderr.matches(says).count(), 1, "{outcome:?}");
    // A run that holds the whole device needs no turns.
    let whole = told.resources("num_gpus = 1, memory = \"32MiB\"");
    whole.lay_out(&[CALL; 3]);
    let outcome = whole.start(&[]).wait();
    outcome.expect_exit(0);
    assert!(!outcome.stderr.contains("turns"), "{outcome:?}");
}
