//! Bytes, and the records that a source reads from them. Each `[[case]]` of the `.toml` files in this folder is
//! a test: a file in parts, with the keys of a pipeline file for it and the expected
//! result.
//!
//! - `bytes`: text; or `parts`, each with `text` or `hex` or `zeros`, and perhaps `repeat`, `charset` and
//!   `pack`
//! - `keys`: of `file = { path = …, KEYS }`; `source`: of `[[source]]` itself
//! - `gives`: payloads, in order; `stamps`: `key|time|headers` of each, if there are any
//! - `bad`: the messages about skipped parts; without this key the source has `on_error = "fail"`
//! - `refuses`: part of the message that ends the reading
//!
//! Each case is read three times: as a file, from a pipe that delivers all bytes at once, and from a pipe that
//! delivers a few bytes at a time. All three must give the same result.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, reason = "another test program uses the rest")]
mod reading;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use reading::{Came, read_file, read_pipe};
use sage_test_support::trials;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    keys: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    bytes: String,
    #[serde(default)]
    parts: Vec<Part>,
    #[serde(default)]
    gives: Vec<String>,
    #[serde(default)]
    stamps: Option<Vec<String>>,
    #[serde(default)]
    bad: Option<Vec<String>>,
    #[serde(default)]
    refuses: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Part {
    text: String,
    hex: String,
    zeros: usize,
    repeat: Option<usize>,
    charset: Option<String>,
    pack: Option<String>,
    /// Bytes cut off the end.
    cut: usize,
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        let text = self.text.repeat(self.repeat.unwrap_or(1));
        let mut bytes: Vec<u8> = match self.charset.as_deref() {
            None => text.into_bytes(),
            Some("utf-16le") => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Some("utf-16be") => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Some("latin-1") => text.chars().map(|c| u8::try_from(c).unwrap()).collect(),
            Some(other) => panic!("charset {other}"),
        };
        let hex: Vec<u8> = self.hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        bytes.extend(hex.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()));
        bytes.extend(std::iter::repeat_n(0, self.zeros));
        let mut bytes = match self.pack.as_deref() {
            None => bytes,
            Some("gzip") => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            Some("zstd") => ruzstd::encoding::compress_to_vec(&bytes[..], ruzstd::encoding::CompressionLevel::Fastest),
            Some(other) => panic!("pack {other}"),
        };
        bytes.truncate(bytes.len() - self.cut);
        bytes
    }
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let parts = self.parts.iter().flat_map(Part::bytes);
        self.bytes.bytes().chain(parts).collect()
    }

    /// Whether the result is the expected one.
    fn check(&self, how: &str, came: &Came) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{} ({how}): {what}\n{self:#?}\n{came:#?}", self.name));
        if came.payloads() != self.gives {
            return wrong("other records");
        }
        if let Some(stamps) = &self.stamps
            && came.stamps() != *stamps
        {
            return wrong("other keys, times or headers");
        }
        if self.bad.as_ref().is_some_and(|bad| *bad != came.passed_over) {
            return wrong("other things were passed over");
        }
        match (&self.refuses, &came.refused) {
            (None, None) => Ok(()),
            (Some(part), Some(message)) if message.contains(part.as_str()) => Ok(()),
            _ => wrong("it ends otherwise"),
        }
    }
}

/// Whether all ways to read the bytes give the expected result.
fn check(case: &Case) {
    let bytes = case.bytes();
    let file = case.file.as_deref().unwrap_or("in");
    let source = format!("{}\n{}", case.source, if case.bad.is_some() { "on_error = \"skip\"" } else { "" });
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(case.check("a file", &read_file(file, &bytes, &case.keys, &source)).err());
    wrong.extend(case.check("a pipe", &read_pipe(file, &bytes, usize::MAX, &case.keys, &source)).err());
    if bytes.len() < 2000 {
        wrong.extend(case.check("a slow pipe", &read_pipe(file, &bytes, 3, &case.keys, &source)).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_cases");
    let mut all = Vec::new();
    for kind in ["csv", "json_lines", "lines", "packed"] {
        let text = std::fs::read_to_string(folder.join(format!("{kind}.toml"))).unwrap();
        let corpus: Corpus = toml::from_str(&text).unwrap_or_else(|error| panic!("{kind}.toml: {error}"));
        let cases = corpus.case.into_iter();
        all.extend(cases.map(|case| trials::Case::new(format!("{kind}: {}", case.name), move || check(&case))));
    }
    trials::run(80, all)
}
