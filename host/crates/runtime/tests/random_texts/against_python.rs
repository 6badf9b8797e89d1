//! Compares the reading of random CSV files with two readers of Python: the module `csv`, and pandas if `make
//! pandas` has installed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sage_test_support::{Need, skip};

use super::reading::{Came, read};

/// Number of random files that are compared.
const FILES: usize = 400;

/// The `n`-th number of a fixed sequence (SplitMix64).
fn random(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Two columns, and arbitrary text after the header.
fn text(file: usize) -> String {
    const PIECES: [&str; 14] =
        ["a", "b,", "1,2\n", ",", "\"", "\"x\"", "\"\"", "\n", "\r\n", " ", "é", ";", "\"y\ny\",z\n", "3,4\n"];
    let mut n = (file as u64) << 32;
    let mut next = |most: usize| {
        n += 1;
        usize::try_from(random(n) % most as u64).unwrap()
    };
    let length = next(25);
    let body: String = (0..length).map(|_| PIECES[next(PIECES.len())]).collect();
    format!("one,two\n{body}")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let write = |n| {
        let path = folder.join(format!("{n:03}.csv"));
        fs::write(&path, text(n)).unwrap();
        path
    };
    (0..FILES).map(write).collect()
}

/// Each file's rows as JSON, one line for each file; a row is a list of its fields. An error says why Python or
/// the module does not run.
fn rows_by(script: &str, modules: Option<&Path>, folder: &Path) -> Result<Vec<Vec<Vec<String>>>, String> {
    let mut python = Command::new("python3");
    if let Some(modules) = modules {
        python.env("PYTHONPATH", modules);
    }
    let output = python.arg("-c").arg(script).arg(folder).output().map_err(|error| format!("python3: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The values of the records, without their names.
fn values(came: &Came) -> Vec<Vec<String>> {
    let fields = |text: &String| -> Vec<String> {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        row.values().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    came.payloads().iter().map(fields).collect()
}

const CSV: &str = r#"
import csv, json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv")):
    with open(path, newline="", encoding="utf-8") as file:
        print(json.dumps(list(csv.reader(file))[1:]))
"#;

const PANDAS: &str = r#"
import json, pathlib, sys
import pandas
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv")):
    try:
        table = pandas.read_csv(
            path, dtype=str, keep_default_na=False, index_col=False, on_bad_lines="skip", encoding="utf-8"
        )
        print(json.dumps(table.values.tolist()))
    except Exception as error:
        print(json.dumps([[str(error)]]))
"#;

#[test]
fn rows_are_those_that_pythons_csv_reads() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let python = match rows_by(CSV, None, folder.path()) {
        Ok(rows) => rows,
        Err(why) => return skip(Need::Python, why),
    };
    let (mut compared, mut rows) = (0, 0);
    for (path, theirs) in files.iter().zip(python) {
        let came =
            read(folder.path(), path.file_name().unwrap().to_str().unwrap(), "format = \"csv\"", "on_error = \"skip\"");
        // Python reads the text after an unclosed quote as a field.
        if came.passed_over.iter().any(|message| message.contains("never closed")) {
            continue;
        }
        let (whole, ragged): (Vec<_>, Vec<_>) =
            theirs.into_iter().filter(|row| !row.is_empty()).partition(|row| row.len() == 2);
        compared += 1;
        rows += whole.len();
        assert_eq!(
            (values(&came), came.passed_over.len()),
            (whole, ragged.len()),
            "{:?}",
            fs::read_to_string(path).unwrap()
        );
    }
    assert!(compared > FILES / 3 && rows > FILES / 3, "{compared} files and {rows} rows were compared");
}

#[test]
fn rows_are_those_that_pandas_reads() {
    let modules = std::env::var_os("SAGE_PANDAS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("HOME").map(PathBuf::from)?.join(".cache/sage-host/pandas");
        cache.is_dir().then_some(cache)
    });
    let Some(modules) = modules else { return skip(Need::Pandas, "make pandas has not installed it") };
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let pandas = match rows_by(PANDAS, Some(&modules), folder.path()) {
        Ok(rows) => rows,
        Err(why) => return skip(Need::Pandas, why),
    };
    let mut compared = 0;
    for (path, theirs) in files.iter().zip(pandas) {
        let came =
            read(folder.path(), path.file_name().unwrap().to_str().unwrap(), "format = \"csv\"", "on_error = \"skip\"");
        // pandas fills rows that are too short.
        if !came.passed_over.is_empty() {
            continue;
        }
        compared += 1;
        assert_eq!(values(&came), theirs, "{:?}", fs::read_to_string(path).unwrap());
    }
    assert!(compared > FILES / 20, "{compared} files were compared");
}
