//! A process, a source and a sink whose records come by field with their keys, timestamps and headers.

use super::by_field::{GOOD, each};
use sage_tests::poison::{TIGHT, expect_neighbour_complete, is_refused, with_neighbour};
use sage_tests::{Codes, Outcome, Scenario, guest};

/// The words of the good records: `w`, `ww`, and so on.
fn words() -> Vec<String> {
    (0..2 * GOOD).map(|i| "w".repeat(i)).collect()
}

/// A source of good words with one word more in the middle. The source names another field too.
fn source_of(scenario: &Scenario, word: &str) {
    let mut words = words();
    words.insert(GOOD, word.to_owned());
    let lines = words.iter().enumerate().map(|(n, word)| format!("{{\"word\":\"{word}\",\"n\":{n},\"key\":\"k\"}}\n"));
    scenario.file("in.jsonl", lines.collect::<String>());
}

const SOURCE: &str = r#"
[[source]]
name = "in"
file = { path = "in.jsonl", format = "jsonl" }
key = "key"
headers = { key = "key" }
schema = { word = "string", n = "u64" }
"#;

fn run_process(word: &str) -> (Scenario, Outcome) {
    let scenario = with_neighbour(&format!(
        r#"
{SOURCE}
[[operator]]
name = "guest"
component = "{}"
input = "in"
on_error = {{ dead_letter = "dead.jsonl" }}
{TIGHT}
[[sink]]
name = "out"
input = "guest"
file = {{ path = "out.jsonl" }}
[[sink]]
name = "even"
input = "guest.even"
file = {{ path = "even.jsonl" }}
"#,
        guest("process_by_field_answers_as_told").display()
    ));
    source_of(&scenario, word);
    let outcome = scenario.run();
    (scenario, outcome)
}

#[test]
pub(super) fn process() {
    let row = |word: &String| {
        let n = word.len();
        format!("{{\"word\":\"{word}\",\"bytes\":{n},\"half\":{}.{}}}", n / 2, if n.is_multiple_of(2) { 0 } else { 5 })
    };
    let mut good: Vec<String> = words().iter().map(row).collect();
    good.push(row(&"22".to_owned()));
    let number = |n: usize| if n < GOOD { n } else { n + 1 };
    let even = |n: usize| format!("{{\"mark\":false,\"word\":\"{}\",\"n\":{}}}", "w".repeat(n), number(n));
    let even: Vec<String> = (0..2 * GOOD).step_by(2).map(even).collect();
    let malformed = [
        ("field too few", "a table of 2 fields, the schema has 3"),
        ("field too many", "a table of 4 fields, the schema has 3"),
        ("other type", "field \"bytes\": u64 values, its type is stored as u32"),
        ("value too few", "field \"bytes\": 0 values in a table of 1 rows"),
        ("value too many", "field \"bytes\": 2 values in a table of 1 rows"),
        ("same", "field \"word\": `same`, but there is no input table"),
        ("validity where no null is", "field \"bytes\": a validity bitmap, but the field is not nullable"),
        ("validity too short", "field \"half\": validity: a bitmap of 0 bytes, 1 are needed"),
        ("validity too long", "field \"half\": validity: a bitmap of 2 bytes, 1 are needed"),
        ("validity past the end", "field \"half\": validity: a bit is set past record 1"),
        ("decimal too large", "field \"half\": row 0 is 1000 without its point"),
        ("half a decimal", "field \"half\": 1 words of decimals"),
        ("offsets fall", "field \"word\": values: offset 2 is 1, below 2"),
        ("offsets beyond", "field \"word\": values: the last offset is 9"),
        ("no offsets", "field \"word\": values: no offsets"),
        ("no utf-8", "field \"word\": values: entry 0 is not UTF-8"),
        ("key too few", "keys: 0 entries for 1 records"),
        ("broken keys", "keys: the last offset is 99, but there are 1 bytes"),
        ("timestamp too many", "timestamps: 2 entries for 1 records"),
        ("header too few", "headers: 0 entries for 1 records"),
        ("parent too few", "parents: 0 entries for 1 records"),
        ("parent out of range", "parents: entry 0 names record 1, there are 1"),
        ("port far away", "emit: port 2, the component declares 1 side outputs"),
        ("even of other fields", "a table of 3 fields, the schema has 1"),
        ("even too short", "field \"mark\": values: a bitmap of 0 bytes, 1 are needed"),
        ("even past the end", "field \"mark\": values: a bit is set past record 1"),
        ("even without a parent", "port 1 keeps the other fields of its input records, so each record needs a parent"),
        ("emit", "output.emit is not for a process by field, which answers with fields-output.emit"),
        ("columns", "fields-output.columns is not for a process by field, which answers with fields-output.emit"),
        ("rows", "fields-output.rows is not for a process by field, which answers with fields-output.emit"),
    ];
    let others = [
        ("rows without end", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("a lot", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("without end", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("kept without end", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("a long text", Codes::RECORD_TOO_LARGE, "more than record_bytes"),
        ("a long key", Codes::RECORD_TOO_LARGE, "more than record_bytes"),
        ("reject", Codes::REJECTED, "as told"),
    ];
    let cases: Vec<_> =
        malformed.map(|(told, message)| (told, Codes::MALFORMED, message)).into_iter().chain(others).collect();
    each(&cases, |&(told, code, message)| {
        let (scenario, outcome) = run_process(&format!("!{told}"));
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        // A rejected record was counted before it was rejected; a failed call has left no state behind.
        let counted = if told == "reject" { "23" } else { "22" };
        let last = good.last().unwrap().replace("22", counted);
        let lines = scenario.lines("out.jsonl");
        assert_eq!(lines[..2 * GOOD], good[..2 * GOOD], "{told}: the other records, in order\n{outcome:?}");
        assert_eq!(scenario.lines("even.jsonl"), even, "{told}: each with the fields of its parent");
        assert_eq!(lines.last(), Some(&last), "{told}: what a failed call wrote is undone\n{outcome:?}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!(letters.len(), 1, "{told}: {letters:?}");
        let letter = &letters[0];
        assert_eq!(letter.text("code"), code, "{told}: {letter:?}");
        assert!(letter.text("message").contains(message), "{told}: {message:?} is not in {letter:?}");
        assert_eq!(letter.text("payload"), format!("{{\"word\":\"!{told}\",\"n\":{GOOD},\"key\":\"k\"}}"));
        assert_eq!((letter.number("offset"), letter.text("key")), (GOOD as u64, "k"), "{letter:?}");
    });
}

#[test]
pub(super) fn extends_nothing_at_the_end() {
    let scenario = with_neighbour(&format!(
        "{SOURCE}\n[[operator]]\nname = \"guest\"\ncomponent = \"{}\"\ninput = \"in\"\n{TIGHT}\non_error = \"skip\"\n\
         [[sink]]\nname = \"out\"\ninput = \"guest\"\nfile = {{ path = \"out.jsonl\" }}\n",
        guest("process_by_field_extends_nothing_at_the_end").display()
    ));
    source_of(&scenario, "x");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation().expect_stderr("port 0 keeps the other fields of its input records");
    let lines = scenario.lines("out.jsonl");
    // The other field has the same name as the given one.
    assert_eq!((lines.len(), lines[3].as_str()), (2 * GOOD + 1, "{\"n\":7,\"word\":\"www\"}"));
    assert_eq!(outcome.stage("guest").count("ends_failed"), 1);
}

#[test]
pub(super) fn describes_other_ports() {
    let parts = ["its side outputs are late, but its description has the fields of early"];
    is_refused(&guest("process_by_field_describes_other_ports"), &parts);
}

#[test]
pub(super) fn reads_fields() {
    is_refused(&guest("source_by_field_reads_fields"), &["reads or keeps fields, but a source has no input"]);
}

#[test]
pub(super) fn gives_fields() {
    is_refused(&guest("sink_by_field_gives_fields"), &["its description gives fields, but a sink gives none"]);
}

fn run_source(told: &str) -> (Scenario, Outcome) {
    let scenario = with_neighbour(
        &format!(
            "[[source]]\nname = \"from\"\ncomponent = \"{}\"\nconfig = {{ told = \"{told}\" }}\n{TIGHT}\n\
             [[sink]]\nname = \"out\"\ninput = \"from\"\nfile = {{ path = \"out.jsonl\" }}\n\
             [[sink]]\nname = \"fifth\"\ninput = \"from.fifth\"\nfile = {{ path = \"fifth.jsonl\" }}\n",
            guest("source_by_field_answers_as_told").display()
        )
        .replace("output_bytes_per_call = \"1MiB\"", "output_bytes_per_call = \"1MiB\", restarts_in_a_row = 5"),
    );
    let outcome = scenario.run();
    (scenario, outcome)
}

#[test]
pub(super) fn source() {
    for (told, restarts) in [("", 0), ("stumble", 1)] {
        let (scenario, outcome) = run_source(told);
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        let word = |n: usize| if n.is_multiple_of(2) { format!("\"r{n}\"") } else { "null".to_owned() };
        let lines: Vec<String> = (0..100).map(|n| format!("{{\"n\":{n},\"word\":{}}}", word(n))).collect();
        assert_eq!(scenario.lines("out.jsonl"), lines, "{told:?}: each record once and in order");
        let fifth: Vec<String> = (0..100).step_by(5).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(scenario.lines("fifth.jsonl"), fifth);
        assert_eq!(outcome.stage("from").count("restarts"), restarts, "{told:?}");
    }
    let cases = [
        ("field too few", Codes::MALFORMED, "a table of 1 fields, the schema has 2"),
        ("other type", Codes::MALFORMED, "field \"n\": s64 values, its type is stored as u64"),
        ("value too few", Codes::MALFORMED, "field \"n\": 9 values in a table of 10 rows"),
        ("row too few", Codes::MALFORMED, "field \"n\": 10 values in a table of 9 rows"),
        ("same", Codes::MALFORMED, "field \"n\": `same`, but there is no input table"),
        (
            "validity where no null is",
            Codes::MALFORMED,
            "field \"n\": a validity bitmap, but the field is not nullable",
        ),
        ("validity past the end", Codes::MALFORMED, "field \"word\": validity: a bit is set past record 10"),
        ("no utf-8", Codes::MALFORMED, "field \"word\": values: entry 0 is not UTF-8"),
        ("offsets fall", Codes::MALFORMED, "field \"word\": values: offset 2 is 1, below 2"),
        ("a long text", Codes::RECORD_TOO_LARGE, "more than record_bytes"),
        ("key too few", Codes::MALFORMED, "keys: 9 entries for 10 records"),
        ("parents", Codes::MALFORMED, "parents: entry 0 names record 0, there are 0"),
        ("port far away", Codes::MALFORMED, "emit: port 2, the component declares 1 side outputs"),
        ("failures", Codes::MALFORMED, "output.failures is not for a source by field"),
        ("emit", Codes::MALFORMED, "output.emit is not for a source by field, which answers with fields-output.emit"),
        ("an error", Codes::CONNECTOR, "the well is dry"),
    ];
    each(&cases, |&(told, code, message)| {
        let (scenario, outcome) = run_source(told);
        outcome.expect_exit(4).expect_conservation();
        assert_eq!(outcome.error()["code"].as_str(), Some(code), "{told}: {outcome:?}");
        assert!(outcome.error()["message"].as_str().unwrap().contains(message), "{told}: {outcome:?}");
        assert_eq!(scenario.read("out.jsonl"), None, "{told}");
    });
}

fn run_sink(word: &str) -> (Scenario, Outcome) {
    let scenario = with_neighbour(&format!(
        r#"
{SOURCE}
[[sink]]
name = "to"
component = "{}"
input = "in"
capabilities = {{ folders = [{{ host = "written", guest = "/out", write = true }}] }}
on_error = {{ dead_letter = "dead.jsonl" }}
{}
"#,
        guest("sink_by_field_answers_as_told").display(),
        TIGHT.replace("limits = {", "limits = { flush_interval = \"24h\",")
    ));
    std::fs::create_dir(scenario.path().join("written")).unwrap();
    source_of(&scenario, word);
    let outcome = scenario.run();
    (scenario, outcome)
}

#[test]
pub(super) fn sink() {
    // The header `key` of each record, in the encoding of the contract.
    let line = |word: &str| format!("{word} Some(\"k\") None Some(\"\\u{{3}}\\0\\0\\0key\\u{{1}}\\0\\0\\0k\")");
    let good: Vec<String> = words().iter().map(|word| line(word)).collect();
    let cases = [
        ("emit", Codes::MALFORMED, "output.emit is not for a sink by field, which answers with output.failures"),
        ("fields emit", Codes::MALFORMED, "fields-output.emit is not for a sink by field"),
        ("keep", Codes::MALFORMED, "output.keep is not for a sink by field"),
        ("failure out of range", Codes::MALFORMED, "rows: entry 0 names record 1, there are 1"),
        ("message too few", Codes::MALFORMED, "messages: 0 entries for 1 records"),
        ("panic", Codes::PANIC, "indigestible"),
        ("reject", Codes::REJECTED, "as told"),
    ];
    each(&cases, |&(told, code, message)| {
        let (scenario, outcome) = run_sink(&format!("!{told}"));
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        assert_eq!(scenario.lines("written/written.txt"), good, "{told}\n{outcome:?}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!((letters.len(), letters[0].text("code")), (1, code), "{told}: {letters:?}");
        assert!(letters[0].text("message").contains(message), "{told}: {message:?} is not in {letters:?}");
        assert_eq!(letters[0].text("payload"), format!("{{\"word\":\"!{told}\",\"n\":{GOOD},\"key\":\"k\"}}"));
        assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("dead_lettered")), (22, 1));
    });
    let (scenario, outcome) = run_sink("!stumble");
    outcome.expect_exit(0).expect_conservation();
    let mut written = good;
    written.insert(GOOD, line("!stumble"));
    assert_eq!(scenario.lines("written/written.txt"), written, "what no flush had made durable is written again");
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("restarts")), (23, 1));
}
