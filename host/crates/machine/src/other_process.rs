//! Runs this test program again as another process, for tests of interactions between processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, io};

use super::*;

/// This program as another process, which leases and claims on command.
pub(super) struct OtherProcess {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl OtherProcess {
    pub(super) fn start(folder: &LeaseFolder) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "other_process::the_other_process", "--ignored", "--nocapture"])
            .env(LeaseFolder::VARIABLE, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn tell(&mut self, command: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    /// The next answer. Lines of the test harness are skipped.
    pub(super) fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the other process ended");
            if let Some((_, answer)) = line.split_once("answer: ") {
                return answer.trim().to_owned();
            }
        }
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn whole_device(folder: &LeaseFolder) -> HeldClaim {
    let device = DeviceClaim {
        device: "cpu0".to_owned(),
        token: 7,
        operator: "embed".to_owned(),
        instance: 0,
        share: 10_000,
        memory: 100,
        cpus: CpuSet::default(),
        state: ShareState::Held,
    };
    let claim = Claim::here("test", "other", Amounts::default(), CpuSet::default());
    let claim = claim.with_devices(vec![device], std::time::Duration::from_secs(3600));
    folder.choose().unwrap().claim(claim).unwrap()
}

#[test]
#[ignore = "not a test of its own: the process that the tests beside it start"]
fn the_other_process() {
    let folder = LeaseFolder::open().unwrap();
    let mut leases = Vec::new();
    let mut claims = Vec::new();
    let mut drivers = Vec::new();
    let mut tables = Vec::new();
    for line in io::stdin().lines() {
        match line.unwrap().as_str() {
            "lease 2 of 3" => match folder.lease(2, &(0..3).collect(), 0, Holder::here("test", "other", 0)) {
                Ok(taken) => {
                    leases = taken;
                    println!("answer: leased {:?}", leases.iter().map(CpuLease::cpu).collect::<Vec<_>>());
                }
                Err(error) => println!("answer: {error}"),
            },
            // Acts like admission: reads, decides and claims under one lock.
            "claim 2 of 3" => {
                let ledger_lock = folder.choose().unwrap();
                let held = ledger_lock.taken().unwrap().sum(|claim| claim.amounts.memory);
                if held > 1 {
                    println!("answer: {held} of 3 are held");
                } else {
                    let amounts = Amounts { memory: 2, ..Amounts::default() };
                    claims.push(ledger_lock.claim(Claim::here("test", "other", amounts, CpuSet::default())).unwrap());
                    println!("answer: claimed 2");
                }
            }
            "token" => println!("answer: token {}", folder.choose().unwrap().tokens(1).unwrap()),
            "device" => {
                claims.push(whole_device(&folder));
                println!("answer: holds cpu0");
            }
            // Acts like a host whose device has a process of its own, which inherits the lock.
            "device with a process" => {
                claims.push(whole_device(&folder));
                let held = claims.last().unwrap().claim();
                let busy = folder.choose().unwrap().busy(held, &held.devices[0]).unwrap();
                let driver = Command::new("sleep").arg("60").stdin(busy.leave()).spawn().unwrap();
                println!("answer: holds cpu0 with {}", driver.id());
                drivers.push(driver);
            }
            "turns" => {
                tables.push(folder.join_turns("cpu0", 100).unwrap());
                println!("answer: has place {}", tables[0].place());
            }
            "drop" => {
                claims.clear();
                leases.clear();
                println!("answer: dropped");
            }
            other => panic!("told {other:?}"),
        }
    }
}
