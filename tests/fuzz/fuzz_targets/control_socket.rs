//! Any bytes, in any pieces, on the control socket of a job: each line is a request or an error, and the reader keeps
//! no more than a request. The same bytes as signatures and lists of signers.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sage_jobs::{ControlAnswer, ControlReader, RequestError};
use sage_signatures::{AllowedSigners, FileHash, Signature};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    pieces: Vec<u8>,
    bytes: &'a [u8],
}

struct Pieces<'a>(&'a [u8], Vec<u8>);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.pop().map_or(usize::MAX, usize::from).clamp(1, into.len());
        self.0.read(&mut into[..most])
    }
}

fn requests(bytes: &[u8], pieces: Vec<u8>) -> Vec<String> {
    let mut reader = ControlReader::new(Pieces(bytes, pieces));
    let mut read = Vec::new();
    loop {
        match reader.next_request() {
            Ok(None) => return read,
            Ok(Some(request)) => read.push(format!("{request:?}")),
            Err(RequestError::Malformed(why)) => read.push(why),
            Err(error) => {
                read.push(error.to_string());
                return read;
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let Input { pieces, bytes } = input;
    assert_eq!(requests(bytes, pieces), requests(bytes, Vec::new()));
    let _ = serde_json::from_slice::<ControlAnswer>(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let signers = AllowedSigners::parse(text);
    if let Ok(signature) = Signature::parse(text) {
        let hash = FileHash::of(&b"bytes"[..]).expect("they are in memory");
        let signers = signers.unwrap_or_default();
        signers.verify(&signature, &hash, jiff::Timestamp::UNIX_EPOCH).expect_err("nobody signed these bytes");
    }
});
