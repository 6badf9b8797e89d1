use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use rustix::process::Signal;
use sage_tests::{Scenario, operator};

use super::kills::{next, seeds};
use super::scene::CHECKPOINT;

/// The outputs in parts, each with the header of its parts, and their counterpart in one file.
const OUTPUTS: [(&str, &str, &str); 5] = [
    ("lines-{part}.txt", "", "counts.txt"),
    ("rows-{part}.csv", "word,n", "rows.csv"),
    ("fields-{part}.jsonl", "", "fields.jsonl"),
    ("packed-{part}.txt.gz", "", "counts.txt"),
    ("packed-{part}.csv.zst", "word,n", "rows.csv"),
];

/// Rows of CSV and counted records, each into parts of all forms, and into whole files for comparison.
fn pipeline(settings: &str) -> String {
    let count = operator("count");
    let mut text = format!(
        r#"
[pipeline]
name = "parts"
{settings}
[[source]]
name = "rows"
file = {{ path = "rows.in.csv", format = "csv" }}
schema = {{ n = "u64", word = "string" }}
[[source]]
name = "made"
generate = {{ count = 20000, rate = 40000, payload_bytes = 24, keys = 200 }}
[[operator]]
name = "count"
component = "{}"
input = "made"
partition = "key"
parallelism = 2
"#,
        count.display()
    );
    let names = ["lines-{part}.txt", "packed-{part}.txt.gz", "counts.txt"];
    let by_field = ["rows-{part}.csv", "fields-{part}.jsonl", "packed-{part}.csv.zst", "rows.csv", "fields.jsonl"];
    let stages = names.iter().map(|name| ("count", name)).chain(by_field.iter().map(|name| ("rows", name)));
    for (number, (input, name)) in stages.enumerate() {
        let roll = if name.contains("{part}") { ", roll = { size = \"8KiB\", every = \"1s\" }" } else { "" };
        let format = match input {
            "count" => String::new(),
            _ if name.contains("csv") => ", format = \"csv\", fields = [\"word\", \"n\"]".to_owned(),
            _ => ", format = \"jsonl\", fields = [\"word\", \"n\"]".to_owned(),
        };
        text += &format!(
            "[[sink]]\nname = \"s{number}\"\ninput = \"{input}\"\nfile = {{ path = \"{name}\"{format}{roll} }}\n"
        );
    }
    text
}

fn scenario(settings: &str) -> Scenario {
    let scenario = Scenario::new();
    let rows: String = (0..30_000).map(|n| format!("{n},\"w{}\"\n", n % 13)).collect();
    scenario.file("rows.in.csv", format!("n,word\n{rows}"));
    scenario.pipeline(&pipeline(settings));
    scenario
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text),
        Some("zst") => return unpacked_zstd(path),
        _ => (&bytes[..]).read_to_string(&mut text),
    }
    .unwrap_or_else(|error| panic!("{} is not whole: {error}", path.display()));
    text
}

fn unpacked_zstd(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest).unwrap();
        decoder.read_to_string(&mut text).unwrap();
    }
    text
}

/// The published parts of an output, by name.
fn published(scenario: &Scenario, output: &str) -> BTreeMap<String, Vec<u8>> {
    let (before, behind) = output.split_once("{part}").unwrap();
    let entries = fs::read_dir(scenario.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let parts = entries.filter(|name| name.starts_with(before) && name.ends_with(behind));
    parts.map(|name| (name.clone(), fs::read(scenario.path().join(name)).unwrap())).collect()
}

/// The sorted records of all parts, without their headers.
fn records(scenario: &Scenario, output: &str, header: &str) -> Vec<String> {
    let mut records = Vec::new();
    for name in published(scenario, output).into_keys() {
        let text = text(&scenario.path().join(&name));
        assert!(text.ends_with('\n'), "{name} is whole");
        let mut lines = text.lines();
        if !header.is_empty() {
            assert_eq!(lines.next(), Some(header), "{name}");
        }
        records.extend(lines.map(str::to_owned));
    }
    records.sort();
    records
}

/// The sorted records of the file that is not in parts.
fn whole(scenario: &Scenario, name: &str) -> Vec<String> {
    let mut lines = scenario.lines(name);
    if name.ends_with(".csv") {
        lines.remove(0);
    }
    lines.sort();
    lines
}

fn compare(scenario: &Scenario, reference: &Scenario, told: &str) {
    for (output, header, in_one) in OUTPUTS {
        let (found, expected) = (records(scenario, output, header), whole(reference, in_one));
        assert!(found == expected, "{output}: {} records, not {}: {told}", found.len(), expected.len());
    }
}

#[test]
fn parts_have_the_records_of_the_whole_file() {
    let reference = scenario("");
    reference.run().expect_exit(0).expect_conservation();
    compare(&reference, &reference, "without epochs");
    for (output, ..) in OUTPUTS {
        assert!(published(&reference, output).len() > 1, "{output}");
    }
    let saved = scenario(CHECKPOINT);
    saved.run().expect_exit(0).expect_conservation();
    compare(&saved, &reference, "with epochs");
    let names = fs::read_dir(saved.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".partial")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn parts_come_once_and_never_change_however_often_a_run_is_killed() {
    let reference = scenario("");
    reference.run().expect_exit(0);
    for number in seeds() {
        let mut seed = number;
        let scenario = scenario(CHECKPOINT);
        let mut before: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut kills, mut has_ended) = (0, false);
        for _ in 0..4 {
            let more = next(&mut seed) % 12;
            let goal = published(&scenario, OUTPUTS[0].0).len() as u64 + more;
            let mut run = scenario.start();
            let reached =
                run.while_it_runs(|_| (published(&scenario, OUTPUTS[0].0).len() as u64 >= goal).then_some(()));
            has_ended = reached.is_none();
            if has_ended {
                run.wait().expect_exit(0);
            } else {
                run.signal(Signal::KILL);
                kills += 1;
                run.gone();
            }
            for (output, header, _) in OUTPUTS {
                records(&scenario, output, header);
                let now = published(&scenario, output);
                for (name, bytes) in before.iter().filter(|(name, _)| now.contains_key(*name)) {
                    assert!(now[name] == *bytes, "{name} has changed after kill {kills} of seed {number}");
                }
                before.extend(now);
            }
            assert!(before.keys().all(|name| scenario.path().join(name).exists()), "no part goes");
            if has_ended {
                break;
            }
        }
        if !has_ended {
            scenario.run().expect_exit(0).expect_conservation();
        }
        compare(&scenario, &reference, &format!("seed {number}, {kills} kills"));
    }
}

#[test]
fn a_part_is_published_while_the_run_goes_on_though_records_no_longer_come() {
    for settings in ["", CHECKPOINT] {
        let scenario = Scenario::new();
        scenario.pipeline(&format!(
            "[pipeline]\n{settings}\n[[source]]\nname = \"in\"\n\
             generate = {{ rate = 1, payload_bytes = 8 }}\n[[sink]]\nname = \"out\"\ninput = \"in\"\n\
             file = {{ path = \"out-{{part}}.txt\", roll = {{ idle = \"50ms\" }} }}\n"
        ));
        let mut run = scenario.start();
        let part = scenario.path().join("out-0000000001.txt");
        run.until("its first part", |_| part.exists().then_some(()));
        assert_eq!(fs::read(&part).unwrap().len(), 9, "{settings}");
        run.signal(Signal::TERM);
        let outcome = run.wait();
        outcome.expect_exit(if settings.is_empty() { 0 } else { 130 });
    }
}

#[test]
fn appended_records_come_once_and_what_others_appended_stays_however_often_a_run_is_killed() {
    let pipeline = |settings: &str| {
        format!(
            "[pipeline]\n{settings}\n[[source]]\nname = \"in\"\n\
             generate = {{ count = 20000, rate = 40000, payload_bytes = 8 }}\n[[sink]]\nname = \"out\"\ninput = \"in\"\n\
             file = {{ path = \"out.txt\", append = true }}\n"
        )
    };
    for number in seeds() {
        let mut seed = number;
        let scenario = Scenario::new();
        scenario.file("out.txt", "old\nhalf");
        scenario.pipeline(&pipeline(CHECKPOINT));
        let path = scenario.path().join("out.txt");
        let (mut others, mut has_ended) = (0, false);
        for _ in 0..3 {
            let length = fs::metadata(&path).unwrap().len();
            let goal = length + next(&mut seed) % 60_000;
            let mut run = scenario.start();
            has_ended = run.while_it_runs(|_| (fs::metadata(&path).unwrap().len() >= goal).then_some(())).is_none();
            if has_ended {
                run.wait().expect_exit(0);
                break;
            }
            run.signal(Signal::KILL);
            run.gone();
            // Nothing of the run follows, so its own end is still known.
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            if next(&mut seed).is_multiple_of(2) && fs::read(&path).unwrap().ends_with(b"\n") {
                std::io::Write::write_all(&mut file, b"other\n").unwrap();
                others += 1;
            }
        }
        if !has_ended {
            scenario.run().expect_exit(0);
        }
        let mut lines = scenario.lines("out.txt");
        assert_eq!(lines[..2], ["old", "half"]);
        assert_eq!(lines.iter().filter(|line| *line == "other").count(), others, "seed {number}");
        lines.retain(|line| line != "other");
        let found = lines.len();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 20_002, "no record is lost: seed {number}");
        assert!(others > 0 || found == 20_002, "each record comes once: seed {number}, {found}");
        assert!(!scenario.path().join("out.txt.partial").exists());
    }
}
