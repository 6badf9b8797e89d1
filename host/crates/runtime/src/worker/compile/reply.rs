use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use sage_plan::Description;
use sage_sandbox::{CompileError, CompileLimits, Compiled, Failure, FailureCode, Ports};

/// The reply of the process: the length of a head (4 bytes, little endian), the head as JSON, and after a
/// success the code.
#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
enum Head {
    Compiled { ports: Told, description: Option<Description> },
    Invalid { reason: String },
    OutOfMemory,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Told {
    NotAsked,
    Ports(Vec<String>),
    Failed { code: String, message: String, backtrace: Option<String> },
}

/// Maximum bytes of the head: twice the bytes that a guest may return from one call.
const LONGEST_HEAD: usize = 32 << 20;

/// Maximum bytes of a reply under these limits. The code was made in that memory.
pub(super) fn longest(limits: CompileLimits) -> usize {
    usize::try_from(limits.memory).unwrap_or(usize::MAX).saturating_add(LONGEST_HEAD)
}

/// Writes the result of a compilation. Only faults of the component are written; any other error ends the
/// process.
pub(super) fn write(to: &mut impl Write, outcome: Result<Compiled, CompileError>) -> io::Result<()> {
    let (head, code) = match outcome {
        Ok(Compiled { code, ports, description }) => (Head::Compiled { ports: Told::of(ports), description }, code),
        Err(CompileError::Invalid(reason)) => (Head::Invalid { reason }, Vec::new()),
        Err(CompileError::OutOfMemory(_)) => (Head::OutOfMemory, Vec::new()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let head = serde_json::to_vec(&head)?;
    let length = u32::try_from(head.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&head)?;
    to.write_all(&code)?;
    to.flush()
}

/// Reads a reply; `None` if it does not have the format of [`write`].
pub(super) fn read(mut reply: Vec<u8>, limits: CompileLimits) -> Option<Result<Compiled, CompileError>> {
    let (length, rest) = reply.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST_HEAD)?;
    let head = serde_json::from_slice(rest.get(..length)?).ok()?;
    let code_at = length + 4;
    match head {
        Head::Compiled { ports, description } => {
            let ports = ports.into_ports()?;
            reply.drain(..code_at);
            Some(Ok(Compiled { code: reply, ports, description }))
        }
        _ if reply.len() != code_at => None,
        Head::Invalid { reason } => Some(Err(CompileError::Invalid(reason))),
        Head::OutOfMemory => Some(Err(CompileError::OutOfMemory(limits.memory))),
    }
}

impl Told {
    fn of(ports: Ports) -> Self {
        match ports {
            Ports::NotAsked => Self::NotAsked,
            Ports::Told(ports) => Self::Ports(ports),
            Ports::Failed(Failure { code, message, backtrace, .. }) => {
                Self::Failed { code: code.name().to_owned(), message, backtrace }
            }
        }
    }

    fn into_ports(self) -> Option<Ports> {
        Some(match self {
            Self::NotAsked => Ports::NotAsked,
            Self::Ports(ports) => Ports::Told(ports),
            Self::Failed { code, message, backtrace } => {
                let failure = Failure::new(FailureCode::named(&code)?, message);
                Ports::Failed(Failure { backtrace, ..failure })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CompileLimits = CompileLimits { timeout: std::time::Duration::from_secs(1), memory: 1 << 20 };

    fn through(outcome: Result<Compiled, CompileError>) -> Option<Result<Compiled, CompileError>> {
        let mut wire = Vec::new();
        write(&mut wire, outcome).unwrap();
        read(wire, LIMITS)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let failed = Failure { backtrace: Some("0: f".to_owned()), ..Failure::new(FailureCode::Panic, "no") };
        for ports in [Ports::NotAsked, Ports::Told(vec!["late".to_owned()]), Ports::Failed(failed)] {
            let description = Some(Description { docs: "Keeps.".to_owned(), ..Description::default() });
            let compiled = Compiled { code: b"code".to_vec(), ports, description };
            assert_eq!(through(Ok(compiled.clone())), Some(Ok(compiled)));
        }
        let invalid = CompileError::Invalid("bad".to_owned());
        assert_eq!(through(Err(invalid.clone())), Some(Err(invalid)));
        let memory = CompileError::OutOfMemory(0);
        assert_eq!(through(Err(memory)), Some(Err(CompileError::OutOfMemory(1 << 20))), "the reader knows the limit");
    }

    #[test]
    fn nonsense_is_no_reply() {
        let mut wire = Vec::new();
        write(&mut wire, Err(CompileError::Invalid("bad".to_owned()))).unwrap();
        let longer = [wire.as_slice(), b"more"].concat();
        let huge = [&[0xff; 4], &wire[4..]].concat();
        let unknown = br#"....{"outcome":"compiled","ports":{"failed":{"code":"odd","message":"","backtrace":null}}}"#;
        let mut unknown = unknown.to_vec();
        let length = u32::try_from(unknown.len() - 4).unwrap();
        unknown[..4].copy_from_slice(&length.to_le_bytes());
        for reply in [&[][..], &wire[..3], &wire[..wire.len() - 1], &longer, &huge, &unknown, b"\0\0\0\0"] {
            assert_eq!(read(reply.to_vec(), LIMITS), None, "{:?}", String::from_utf8_lossy(reply));
        }
    }
}
