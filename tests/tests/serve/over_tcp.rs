use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::serving::Serving;
use sage_tests::program;

/// An answer over TCP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        let object = self.body.find('{').and_then(|begin| self.body.rfind('}').map(|end| &self.body[begin..=end]));
        serde_json::from_str(object.unwrap_or("null")).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable word of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Sends a request over TCP with these headers, and reads the answer.
pub(crate) fn ask(serving: &Serving, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(serving.tcp()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let host = if headers.iter().any(|(name, _)| *name == "host") { "" } else { "host: localhost\r\n" };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The same with a token.
pub(crate) fn ask_as(serving: &Serving, token: &str, method: &str, path: &str, body: &str) -> Answer {
    ask(serving, method, path, &[("authorization", &format!("Bearer {token}"))], body)
}

/// A new token, made by the owner on the socket.
pub(crate) fn token(serving: &Serving, options: &[&str]) -> String {
    serving.done(&[&["token", "new"], options].concat()).trim().to_owned()
}

/// Runs a command of the program over TCP with a token.
pub(crate) fn run_as(serving: &Serving, token: &str, words: &[&str]) -> Output {
    let server = format!("http://{}", serving.tcp());
    Command::new(program()).args(words).args(["--server", &server]).env("SAGE_HOST_TOKEN", token).output().unwrap()
}

/// The same for a command that must succeed; returns its standard output.
pub(crate) fn done_as(serving: &Serving, token: &str, words: &[&str]) -> String {
    let output = run_as(serving, token, words);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words:?}: {out}{err}{}", serving.log());
    out.into_owned()
}
