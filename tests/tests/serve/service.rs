use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::serving::{ENDLESS, Serving, generating, text};

/// The socket at which systemd listens.
struct Manager(UnixDatagram);

impl Manager {
    fn listening(serving: &Serving) -> Self {
        let socket = UnixDatagram::bind(serving.path("notify.sock")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    /// The next datagram, as names and values.
    fn next(&self) -> BTreeMap<String, String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("the server tells something within a minute");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        text.lines().filter_map(|line| line.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// The next datagram with this name.
    fn until(&self, name: &str) -> BTreeMap<String, String> {
        loop {
            let told = self.next();
            if told.contains_key(name) {
                return told;
            }
        }
    }
}

fn start(serving: &mut Serving, manager: &Manager, watchdog: &str) {
    let words = serving.command();
    let _ = manager;
    let socket = serving.path("notify.sock");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", watchdog);
    serving.start_as(&mut command);
}

#[test]
fn the_service_manager_hears_when_the_server_is_ready_works_and_ends() {
    let mut serving = Serving::with_host("");
    let manager = Manager::listening(&serving);
    start(&mut serving, &manager, "200000");
    assert_eq!(manager.until("READY")["READY"], "1");
    let pipeline = serving.file("e.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "runs", "--wait", "running"]);
    let told = (0..200).map(|_| manager.until("WATCHDOG")).find(|told| told["STATUS"].starts_with("1 running"));
    assert!(told.is_some(), "the status has the jobs");
    // The beats come from the thread that does the work: one that is stopped gives none.
    let server = Pid::from_raw(i32::try_from(serving.pid()).unwrap()).unwrap();
    kill_process(server, Signal::STOP).unwrap();
    let stopped = Instant::now();
    manager.0.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let mut bytes = [0; 4096];
    while manager.0.recv(&mut bytes).is_ok() {
        assert!(stopped.elapsed() < Duration::from_secs(10), "a stopped server still beats");
    }
    kill_process(server, Signal::CONT).unwrap();
    manager.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    manager.until("WATCHDOG");
    assert!(serving.stop().success());
    let told = manager.until("STOPPING");
    assert_eq!((told["STOPPING"].as_str(), told["STATUS"].as_str()), ("1", "ends, jobs go on"));
    // The next server says READY after it has adopted the job.
    let (socket, words) = (serving.path("notify.sock"), serving.command());
    let mut command = Command::new(&words[0]);
    let ready = serving.start_as(command.args(&words[1..]).env("NOTIFY_SOCKET", &socket));
    assert_eq!(ready.adopted, 1);
    manager.until("READY");
    assert_eq!(manager.until("WATCHDOG")["STATUS"], "1 running, 0 waiting");
}

#[test]
fn a_stop_of_the_service_drains_jobs_if_the_host_file_says_so() {
    let mut serving = Serving::with_host("[serve]\nstop_jobs = \"drain\"\n");
    let manager = Manager::listening(&serving);
    start(&mut serving, &manager, "0");
    manager.until("READY");
    let pipeline = serving.file("p.toml", generating(1_000_000, 1000, "out.txt"));
    serving.done(&["submit", text(&pipeline), "--name", "drained", "--wait", "running"]);
    assert!(serving.stop().success());
    assert_eq!(manager.until("STOPPING")["STATUS"], "ends, after its jobs");
    assert_eq!(serving.start().adopted, 0);
    assert_eq!(serving.detail("drained").row.state, "stopped");
    // The option is stronger than the file.
    serving.done(&["start", "drained"]);
    serving.until("drained", "running");
    assert!(serving.stop().success());
    serving.start();
    let mut words = serving.command();
    words.extend(["--stop-jobs", "leave"].map(str::to_owned));
    serving.done(&["start", "drained"]);
    serving.until("drained", "running");
    serving.kill();
    let adopted = serving.start_as(Command::new(&words[0]).args(&words[1..])).adopted;
    assert_eq!(adopted, 1);
    assert!(serving.stop().success());
    assert_eq!(serving.start().adopted, 1);
}

#[test]
fn a_notify_socket_that_is_none_is_refused_or_said_and_the_abstract_one_is_told() {
    let mut serving = Serving::with_host("");
    let words = serving.command();
    let output = Command::new("timeout").arg("20").args(&words).env("NOTIFY_SOCKET", "x".repeat(200)).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("NOTIFY_SOCKET"));
    // Nobody listens: the server serves all the same.
    let socket = serving.path("nobody.sock");
    serving.start_as(Command::new(&words[0]).args(&words[1..]).env("NOTIFY_SOCKET", socket));
    serving.done(&["ps"]);
    sage_test_support::wait_until("the server says so", || {
        serving.log().contains("the service manager was not told").then_some(())
    });
}
