use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::registry::watched;
use super::*;

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A reader that has sent `sent` and gives up after half a minute.
fn reader(address: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    stream
}

fn read(mut stream: &TcpStream) -> String {
    let mut answer = Vec::new();
    // The bytes before a cut are returned.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn ask(address: SocketAddr, line: &str) -> String {
    read(&reader(address, &format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
}

#[test]
fn metrics_are_served_with_their_content_type_and_nothing_else_is() {
    let registry = watched(&[("parse", "map", 1)]);
    registry.stages[0].instances[0].counters.records_in.add(12);
    let server = MetricsServer::bind(any_port(), Arc::clone(&registry)).unwrap();
    let answer = ask(server.address(), "GET /metrics?x=1");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(answer.contains(
        "\nsage_records_in_total{pipeline=\"p\",tenant=\"t\",operator=\"parse\",operator_instance=\"0\"} 12\n"
    ));
    registry.stages[0].instances[0].counters.records_in.add(1);
    assert!(ask(server.address(), "GET /metrics").contains("operator_instance=\"0\"} 13\n"));
    let expected = [("GET /", "404"), ("GET /metrics/x", "404"), ("POST /metrics", "405"), ("GET /healthz", "200")];
    for (line, status) in expected {
        let answer = ask(server.address(), line);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let taken = TcpListener::bind(any_port()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = MetricsServer::bind(address, watched(&[])).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot serve metrics at {address}: ")), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn dropping_it_frees_the_address_even_with_a_silent_connection_open() {
    let server = MetricsServer::bind(any_port(), watched(&[])).unwrap();
    let address = server.address();
    let silent = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Bounds::PARTING, "{:?}", begun.elapsed());
    TcpListener::bind(address).unwrap();
    drop(silent);
}

#[test]
fn a_head_without_end_is_refused_before_it_is_long() {
    let server = MetricsServer::bind(any_port(), watched(&[])).unwrap();
    let many: String = (0..100).map(|n| format!("x{n}: 1\r\n")).collect();
    for head in [many, format!("x: {}\r\n", "y".repeat(64 << 10))] {
        let mut stream = reader(server.address(), "GET /metrics HTTP/1.1\r\n");
        // The server may have closed the connection before all bytes were sent.
        let _ = stream.write_all(format!("{head}\r\n").as_bytes());
        let answer = read(&stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert!(ask(server.address(), "GET /healthz").ends_with("ok\n"));
}

#[test]
fn silent_and_slow_connections_keep_nobody_out() {
    let server = MetricsServer::bind(any_port(), watched(&[])).unwrap();
    let silent: Vec<TcpStream> = (0..200).map(|_| reader(server.address(), "GET /metrics HTTP/1.1\r\nx: ")).collect();
    assert!(ask(server.address(), "GET /healthz").ends_with("ok\n"));
    // The first connection was the first to be closed.
    assert_eq!(read(&silent[0]), "");
}

#[test]
fn a_connection_whose_request_does_not_come_is_closed() {
    let bounds = Bounds { head_time: Duration::from_millis(50), ..Bounds::default() };
    let server = MetricsServer::bind_within(any_port(), watched(&[]), bounds).unwrap();
    for sent in ["", "GET /metrics HTTP/1.1\r\nx: ", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let answer = read(&reader(server.address(), sent));
        assert_eq!(answer.ends_with("ok\n"), sent.ends_with("\r\n\r\n"), "{sent:?}: {answer}");
    }
}

#[test]
fn a_connection_has_its_time_whatever_is_done_with_it() {
    let bounds = Bounds { life: Duration::from_millis(50), head_time: Duration::from_secs(3600), ..Bounds::default() };
    let server = MetricsServer::bind_within(any_port(), watched(&[]), bounds).unwrap();
    let answer = read(&reader(server.address(), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[test]
fn a_server_that_is_out_of_descriptors_goes_on_when_there_are_some_again() {
    // Runs in a process of its own, because the limit applies to the whole process.
    const SHOWN: &str = "SAGE_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(SHOWN).is_none() {
        let name = "metrics_server::tests::a_server_that_is_out_of_descriptors_goes_on_when_there_are_some_again";
        let tried = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(SHOWN, "1")
            .output()
            .unwrap();
        assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stdout));
        return;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(64), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let server = MetricsServer::bind(any_port(), watched(&[])).unwrap();
    let client = TcpStream::connect(server.address()).unwrap();
    let held: Vec<std::fs::File> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    // The server has no descriptor for the next connection until one is freed.
    drop(client);
    let mut held = held;
    held.pop();
    let waiting = reader(server.address(), "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    drop(held);
    assert!(read(&waiting).ends_with("ok\n"));
}
