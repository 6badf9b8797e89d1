use std::fs::{self, File};
use std::io::Write as _;

use rustix::process::Signal;
use sage_tests::Scenario;

use super::kills::{next, seeds};
use super::scene::CHECKPOINT;

fn pipeline(settings: &str) -> String {
    format!(
        "[pipeline]\n{settings}\n[[source]]\nname = \"log\"\nfile = {{ path = \"app*.log\", format = \"jsonl\", follow = true }}\n\
         [[sink]]\nname = \"out\"\ninput = \"log\"\n\
         file = {{ path = \"out-{{part}}.txt\", roll = {{ size = \"64KiB\", idle = \"20ms\" }} }}\n"
    )
}

/// The numbers in all published parts, sorted.
fn numbers(scenario: &Scenario) -> Vec<u64> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(scenario.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("out-") && name.ends_with(".txt") {
            numbers.extend(fs::read_to_string(&path).unwrap().lines().map(|line| line.parse::<u64>().unwrap()));
        }
    }
    numbers.sort_unstable();
    numbers
}

/// A program that writes numbers to a log, and rotates it.
struct Writer<'a> {
    scenario: &'a Scenario,
    log: File,
    written: u64,
    rotations: u64,
    /// The first number of the log.
    first: u64,
}

impl<'a> Writer<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, log: Self::open(scenario), written: 0, rotations: 0, first: 0 }
    }

    fn open(scenario: &Scenario) -> File {
        File::options().append(true).create(true).open(scenario.path().join("app.log")).unwrap()
    }

    /// Writes numbers, some of them in two pieces, and rotates the log now and then.
    fn write(&mut self, seed: &mut u64) {
        for _ in 0..next(seed) % 400 {
            let line = format!("{}\n", self.written);
            let (one, two) = line.split_at(next(seed) as usize % line.len());
            self.log.write_all(one.as_bytes()).unwrap();
            self.log.write_all(two.as_bytes()).unwrap();
            self.written += 1;
        }
        if next(seed).is_multiple_of(3) {
            self.rotations += 1;
            // Some old files match the pattern, and some do not. A file that no run has seen under a name of the source
            // is no file of the source.
            let was_seen = numbers(self.scenario).binary_search(&self.first).is_ok();
            let to = if was_seen && next(seed).is_multiple_of(2) { "old" } else { "app.old" };
            let to = format!("{to}-{}.log", self.rotations);
            fs::rename(self.scenario.path().join("app.log"), self.scenario.path().join(to)).unwrap();
            // The program learns of the rotation a little later.
            writeln!(self.log, "{}", self.written).unwrap();
            self.written += 1;
            self.first = self.written;
            self.log = Self::open(self.scenario);
        }
    }
}

#[test]
fn each_line_comes_once_however_often_a_run_is_killed_and_the_log_rotated() {
    for number in seeds() {
        let mut seed = number;
        let scenario = Scenario::new();
        scenario.pipeline(&pipeline(CHECKPOINT));
        let mut writer = Writer::new(&scenario);
        for _ in 0..3 {
            writer.write(&mut seed);
            let mut run = scenario.start();
            let goal = numbers(&scenario).len() as u64 + next(&mut seed) % 300;
            writer.write(&mut seed);
            let goal = goal.min(writer.written);
            run.until("its lines", |_| (numbers(&scenario).len() as u64 >= goal).then_some(()));
            writer.write(&mut seed);
            run.signal(Signal::KILL);
            run.gone();
            writer.write(&mut seed);
        }
        let mut run = scenario.start();
        run.until("all lines", |_| (numbers(&scenario).len() as u64 >= writer.written).then_some(()));
        run.signal(Signal::TERM);
        run.wait().expect_exit(130);
        let expected: Vec<u64> = (0..writer.written).collect();
        assert_eq!(numbers(&scenario), expected, "seed {number}, {} rotations", writer.rotations);
    }
}

#[test]
fn a_signal_drains_a_run_that_follows_without_checkpoints() {
    let scenario = Scenario::new();
    scenario.pipeline(&pipeline(""));
    let mut run = scenario.start();
    let mut writer = Writer::new(&scenario);
    while writer.written == 0 {
        writer.write(&mut 7);
    }
    run.until("all lines", |_| (numbers(&scenario).len() as u64 >= writer.written).then_some(()));
    run.signal(Signal::TERM);
    run.wait().expect_exit(0).expect_conservation();
    assert_eq!(numbers(&scenario), (0..writer.written).collect::<Vec<_>>());
}

#[test]
fn a_file_that_was_replaced_while_no_run_was_there_is_read_from_its_beginning_and_that_is_said() {
    let scenario = Scenario::new();
    scenario.pipeline(&pipeline(CHECKPOINT));
    scenario.file("app.log", "1\n2\n3\n");
    let mut run = scenario.start();
    run.until("its lines", |_| (numbers(&scenario).len() == 3).then_some(()));
    run.signal(Signal::TERM);
    run.wait().expect_exit(130);
    scenario.file("app.log", "4\n");
    let mut run = scenario.start();
    run.until("the other line", |_| (numbers(&scenario).len() == 4).then_some(()));
    run.signal(Signal::TERM);
    let outcome = run.wait();
    outcome.expect_exit(130).expect_stderr("is not the file of which 6 bytes had been read, and has 2 bytes");
    assert_eq!(numbers(&scenario), [1, 2, 3, 4]);
}

#[test]
fn a_run_that_goes_on_reads_no_plain_file_again() {
    let scenario = Scenario::new();
    scenario.file("in.txt", (0..30_000).map(|n| format!("{n}\n")).collect::<String>());
    let pipeline = "[pipeline]\ncheckpoint = { folder = \"state\", interval = \"10ms\" }\n[[source]]\nname = \"in\"\n\
                    file = { path = \"in.txt\" }\n[[source]]\nname = \"slow\"\n\
                    generate = { count = 100000, rate = 20000, payload_bytes = 8 }\n\
                    [[sink]]\nname = \"out\"\ninput = [\"in\"]\nfile = { path = \"out.txt\" }\n\
                    [[sink]]\nname = \"slowly\"\ninput = \"slow\"\nfile = { path = \"slow.txt\" }\n";
    scenario.pipeline(pipeline);
    let mut run = scenario.start();
    let partial = scenario.path().join("slow.txt.partial");
    run.until("some output", |_| fs::metadata(&partial).ok().filter(|file| file.len() >= 20_000));
    run.signal(Signal::TERM);
    run.wait().expect_exit(130);
    let second = scenario.run();
    second.expect_exit(0);
    assert_eq!(scenario.lines("out.txt").len(), 30_000);
}
