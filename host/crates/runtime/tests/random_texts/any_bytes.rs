//! Properties of arbitrary bytes, with random seeds: no input is lost silently, and the result does not depend
//! on the sizes of the reads.

use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::reading::{Came, read, read_file, read_pipe};

const SKIP: &str = "on_error = \"skip\"";

/// Fields that are quoted only if necessary, or always.
fn csv(rows: &[Vec<String>], end: &str, always: bool) -> String {
    let quoted = |field: &String| {
        if always || field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + end).collect()
}

fn json(names: &[String], row: &[String]) -> String {
    let fields = names.iter().zip(row).map(|(name, field)| (name.clone(), serde_json::Value::from(field.as_str())));
    serde_json::Value::Object(fields.collect()).to_string()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn fields() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", ",", "\"", "\n", "\r\n", " ", "é", "x;y", "日"]), 0..5)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_that_is_written_is_read_whatever_it_holds_and_however_it_is_packed(
        rows in prop::collection::vec((fields(), fields()).prop_map(|(a, b)| vec![a, b]), 0..12),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]), always in any::<bool>(), way in 0..4,
    ) {
        // In a text with only CRs, an LF inside quotes would end the first line.
        prop_assume!(end != "\r" || rows.iter().flatten().all(|field| !field.contains('\n')));
        // An empty row is a blank line.
        let names = vec!["one".to_owned(), "two".to_owned()];
        let text = format!("one,two{end}{}", csv(&rows, end, always));
        let bytes = match way {
            0 => text.into_bytes(),
            1 => gzip(text.as_bytes()),
            2 => ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest),
            _ => "\u{feff}"
                .chars()
                .chain(text.chars())
                .collect::<String>()
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect(),
        };
        let came = read_file("in", &bytes, "format = \"csv\"", "");
        let expected: Vec<String> = rows.iter().map(|row| json(&names, row)).collect();
        let records = expected.into_iter().map(|row| (row.into_bytes(), None, None, None)).collect();
        prop_assert_eq!(came, Came { records, ..Came::default() });
    }

    #[test]
    fn bytes_are_read_the_same_however_they_arrive(
        bytes in prop::collection::vec(
            prop::sample::select(b"aa,,\"\"\n\n\r{}[]1 \xe9\xef\xbb\xbf\0".to_vec()),
            0..120,
        ),
        piece in 1usize..20, format in prop::sample::select(vec!["lines", "jsonl", "csv"]),
    ) {
        let keys = format!("format = \"{format}\"");
        let file = read_file("in", &bytes, &keys, SKIP);
        prop_assert_eq!(read_pipe("in", &bytes, piece, &keys, SKIP), file);
    }

    #[test]
    fn no_line_is_lost_in_silence(
        bytes in prop::collection::vec(prop::sample::select(b"aaaa{}1\"\n\n\xe9".to_vec()), 0..200)
    ) {
        let lines = bytes.split(|&byte| byte == b'\n');
        let blank = |line: &&[u8]| line.iter().all(u8::is_ascii_whitespace);
        let all = lines.clone().count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
        let read = read_file("in", &bytes, "format = \"lines\"", SKIP);
        prop_assert_eq!((read.records.len() + read.passed_over.len(), read.refused), (all, None));
        let full = lines.filter(|line| !blank(line)).count();
        let read = read_file("in", &bytes, "format = \"jsonl\"", SKIP);
        let whole_file = read.passed_over.iter().any(|message| message.contains("does not end on this line"));
        prop_assert!(whole_file || read.records.len() + read.passed_over.len() == full, "{full} lines: {read:?}");
    }
}

#[test]
fn many_rows_behind_an_open_quote_are_rows_all_the_same() {
    let text = format!("a,b\n1,\"x\n{}", "4,5\n".repeat(600));
    let came = read_file("in", text.as_bytes(), "format = \"csv\"", SKIP);
    assert_eq!(came.passed_over, ["in:2: the row is longer than the 2000 bytes that a record may have"]);
    assert_eq!(came.records.len(), 600);
    let came = read_file("in", text.as_bytes(), "format = \"csv\"", "");
    assert_eq!(came.refused.as_deref(), Some("in:2: the row is longer than the 2000 bytes that a record may have"));
}

#[test]
fn a_header_over_several_lines_is_a_header_like_others() {
    let text = format!("\"a\n\nb\",c\n{}", "\"1\n2\",3\n".repeat(100_000));
    let came = read_file("in", text.as_bytes(), "format = \"csv\"", "");
    assert_eq!((came.records.len(), came.refused), (100_000, None));
    assert_eq!(came.records[99_999].0, br#"{"a\n\nb":"1\n2","c":"3"}"#);
}

#[test]
fn a_line_too_long_inside_an_open_quote_costs_two_lines() {
    let text = format!("a,b\n1,\"x\n2,3\n{}\n4,5\n", "y".repeat(5000));
    let came = read_file("in", text.as_bytes(), "format = \"csv\"", SKIP);
    let expected = [
        "in:2: the row is longer than the 2000 bytes that a record may have",
        "in:4: the line is longer than the 2000 bytes that a record may have",
    ];
    assert_eq!((came.payloads().len(), came.passed_over), (2, expected.map(str::to_owned).to_vec()));
}

#[test]
fn quotes_that_are_never_closed_end_in_giving_the_file_up() {
    let text = format!("a,b\n1,2\n{}", "x\",\"\n".repeat(400_000));
    let came = read_file("in", text.as_bytes(), "format = \"csv\"", SKIP);
    assert_eq!((came.records.len(), came.passed_over.len()), (1, 17), "{:?}", came.passed_over);
}

#[test]
fn many_lines_that_cr_ends_are_read() {
    let came = read_file("in", "0123456789\r".repeat(3000).as_bytes(), "", "");
    assert_eq!((came.records.len(), came.refused), (3000, None));
}

#[test]
fn an_archive_of_files_in_gzip_is_no_text() {
    let mut tar = vec![0; 1024];
    tar[..5].copy_from_slice(b"a.txt");
    tar[257..262].copy_from_slice(b"ustar");
    let came = read_file("in.tgz", &gzip(&tar), "", "");
    assert_eq!(came.refused.as_deref(), Some("in.tgz: it is a tar archive, and no text"));
    let came = read_file("in.gz", &gzip(&gzip(b"a\n")), "", "");
    assert_eq!(came.refused.as_deref(), Some("in.gz: it is a gzip file inside another packing, and no text"));
}

#[test]
fn one_bad_file_among_many_is_passed_over_and_the_others_read() {
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(b"a\n1\n");
    for (name, bytes) in [
        ("1.csv", &b"a\n1\n"[..]),
        ("2.csv", b""),
        ("3.csv", b"a,a\n"),
        ("4.csv", &packed[..packed.len() - 4]),
        ("5.csv", b"\xfd7zXZ\0"),
        ("6.csv", b"a\n6\n"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let came = read(folder.path(), "*.csv", "format = \"csv\"", SKIP);
    assert_eq!(came.payloads(), ["{\"a\":\"1\"}", "{\"a\":\"1\"}", "{\"a\":\"6\"}"]);
    let expected = [
        "3.csv:1: two columns are called \"a\"",
        "4.csv: cannot read on after line 2: unexpected end of file",
        "5.csv: it is an xz file, and no text",
    ];
    assert_eq!((came.passed_over, came.refused), (expected.map(str::to_owned).to_vec(), None));
    let came = read(folder.path(), "*.csv", "format = \"csv\"", "");
    assert_eq!(came.refused.as_deref(), Some("3.csv:1: two columns are called \"a\""), "before any record");
}

#[test]
fn whole_files_that_cannot_be_read_are_passed_over_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1"), b"x").unwrap();
    fs::write(folder.path().join("2"), [b'x'; 3000]).unwrap();
    fs::write(folder.path().join("3"), b"y").unwrap();
    let came = read(folder.path(), "*", "format = \"whole\"", SKIP);
    assert_eq!(came.payloads(), ["x", "y"]);
    assert_eq!(came.passed_over, ["2: the file has 3000 bytes, a record may have 1999 beside its key"]);
}
