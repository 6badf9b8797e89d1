use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The value of a metric with these labels, of a run that serves metrics on `port`. The name is the start of the
/// metric's name. `None` if the run does not serve it (yet).
pub fn metric(port: u16, name: &str, labels: &str) -> Option<f64> {
    let text = http_get(port, "/metrics")?;
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(labels))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The body at `path` of a server on this machine; `None` if the server does not answer.
pub fn http_get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
