//! Guests whose records come by field. A record holds the command that its guest follows.

use sage_tests::poison::{TIGHT, expect_neighbour_complete, with_neighbour};
use sage_tests::{Codes, Outcome, Scenario, guest};

/// Records before and behind the one with the command.
pub(super) const GOOD: usize = 11;

/// A run of a guest by field over good words, with one word more in the middle.
fn run(name: &str, word: &str, settings: &str) -> (Scenario, Outcome) {
    // The flat-map keeps the fields that it does not give, so the source has to name them.
    let schema = if name.starts_with("flat_map") { "schema = { word = \"string\" }" } else { "" };
    let scenario = with_neighbour(&format!(
        r#"
[[source]]
name = "in"
file = {{ path = "in.jsonl", format = "jsonl" }}
{schema}

[[operator]]
name = "guest"
component = "{}"
input = "in"
{settings}
{TIGHT}

[[sink]]
name = "out"
input = "guest"
file = {{ path = "out.jsonl" }}
"#,
        guest(name).display()
    ));
    let records = |range: std::ops::Range<usize>| -> String {
        range.map(|i| format!("{{\"more\":[{i}],\"word\":\"{}\"}}\n", "w".repeat(i))).collect()
    };
    let told = format!("{{\"word\":\"{word}\",\"note\":null}}\n");
    scenario.file("in.jsonl", records(0..GOOD) + &told + &records(GOOD..2 * GOOD));
    let outcome = scenario.run();
    (scenario, outcome)
}

/// Asserts that the record with the command fails alone, with this code and message.
fn costs_that_record_alone(name: &str, command: &str, code: &str, message: &str, good: &[String]) {
    let (scenario, outcome) = run(name, &format!("!{command}"), "on_error = { dead_letter = \"dead.jsonl\" }");
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.jsonl"), good, "{command}: the other records, in order\n{outcome:?}");
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 1, "{command}: {letters:?}");
    assert_eq!(letters[0].text("code"), code, "{command}: {:?}", letters[0]);
    assert!(letters[0].text("message").contains(message), "{command}: {message:?} is not in {:?}", letters[0]);
    let payload = format!("{{\"word\":\"!{command}\",\"note\":null}}");
    assert_eq!(letters[0].text("payload"), payload, "the record as it came");
    assert_eq!(letters[0].number("offset"), GOOD as u64);
}

/// Runs cases in parallel: one is mostly the start and the end of a program.
pub(super) fn each<C: Sync>(cases: &[C], test: impl Fn(&C) + Sync) {
    std::thread::scope(|scope| {
        let half = cases.len().div_ceil(2);
        let (first, second) = cases.split_at(half);
        let other = scope.spawn(|| second.iter().for_each(&test));
        first.iter().for_each(&test);
        other.join().unwrap();
    });
}

#[test]
pub(super) fn map() {
    let row = |i: usize| {
        let (word, half) = ("w".repeat(i), format!("{}.{}", i / 2, if i.is_multiple_of(2) { 0 } else { 5 }));
        format!("{{\"word\":\"{word}\",\"bytes\":{i},\"half\":{half},\"even\":{}}}", i.is_multiple_of(2))
    };
    let good: Vec<String> = (0..2 * GOOD).map(row).collect();
    let malformed = [
        ("field too few", "a table of 3 fields, the schema has 4"),
        ("field too many", "a table of 5 fields, the schema has 4"),
        ("row too few", "table: 0 entries for 1 records"),
        ("row too many", "table: 2 entries for 1 records"),
        ("other type", "field \"bytes\": u64 values, its type is stored as u32"),
        ("value too few", "field \"bytes\": 0 values in a table of 1 rows"),
        ("value too many", "field \"bytes\": 2 values in a table of 1 rows"),
        ("same out of range", "field \"word\": `same` of field 9, the input has 2"),
        ("same of another type", "field \"bytes\": `same` of field \"word\", which is string, not u32"),
        ("same with nulls", "field \"word\": `same` of field \"note\", which has nulls; this field is not nullable"),
        ("same with validity", "field \"word\": `same` with a validity bitmap of its own"),
        ("validity where no null is", "field \"bytes\": a validity bitmap, but the field is not nullable"),
        ("validity too short", "field \"half\": validity: a bitmap of 0 bytes, 1 are needed"),
        ("validity too long", "field \"half\": validity: a bitmap of 2 bytes, 1 are needed"),
        ("validity past the end", "field \"half\": validity: a bit is set past record 1"),
        ("bools too short", "field \"even\": values: a bitmap of 0 bytes, 1 are needed"),
        ("bools past the end", "field \"even\": values: a bit is set past record 1"),
        ("decimal too large", "field \"half\": row 0 is 1000 without its point"),
        ("half a decimal", "field \"half\": 1 words of decimals"),
        ("offsets fall", "field \"word\": values: offset 2 is 1, below 2"),
        ("offsets beyond", "field \"word\": values: the last offset is 9"),
        ("no offsets", "field \"word\": values: no offsets"),
        ("no utf-8", "field \"word\": values: entry 0 is not UTF-8"),
        ("cut in a letter", "field \"word\": values: entry 0 is not UTF-8"),
        ("twice", "a map may call fields-output.columns only once per call"),
        ("never", "a map must call fields-output.columns once per call"),
        ("payloads", "output.payloads is not for a map by field, which answers with fields-output.columns"),
        ("keep", "output.keep is not for a map by field, which answers with fields-output.columns"),
    ];
    let others = [
        ("rows without end", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("a lot", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
        ("a long text", Codes::RECORD_TOO_LARGE, "more than record_bytes"),
        ("reject", Codes::REJECTED, "as told"),
    ];
    let cases: Vec<_> =
        malformed.map(|(told, message)| (told, Codes::MALFORMED, message)).into_iter().chain(others).collect();
    each(&cases, |(told, code, message)| {
        costs_that_record_alone("map_by_field_answers_as_told", told, code, message, &good);
    });
}

#[test]
pub(super) fn map_lists() {
    let row = |i: usize| {
        let letters = vec!["\"w\""; i].join(",");
        let half = format!("{}.{}", i / 2, if i.is_multiple_of(2) { 0 } else { 5 });
        format!("{{\"letters\":[{letters}],\"size\":{{\"bytes\":{i},\"half\":{half}}},\"more\":[{i}]}}")
    };
    let good: Vec<String> = (0..2 * GOOD).map(row).collect();
    let malformed = [
        ("list too few", "field \"letters\": 0 values in a table of 1 rows"),
        ("list too many", "field \"letters\": 2 values in a table of 1 rows"),
        ("no offsets", "field \"letters\": values: no offsets"),
        ("offsets start late", "field \"letters\": values: offsets start at 1, not at 0"),
        ("offsets fall", "field \"letters\": values: offset 2 is 1, below 2"),
        ("offsets beyond", "field \"letters[]\": 15 values in a table of 16 rows"),
        ("offsets end early", "field \"letters[]\": 18 values in a table of 17 rows"),
        ("offsets without end", "field \"letters[]\": 20 values in a table of 4294967295 rows"),
        ("child out of range", "field \"letters\": child 3 is named, the table has 3"),
        ("child without end", "field \"letters\": child 4294967295 is named, the table has 3"),
        ("child twice", "field \"size.half\": child 1 is named twice"),
        ("child unused", "child 3 is in no list and in no struct"),
        ("child of another type", "field \"letters[]\": u64 values, its type is stored as strings"),
        ("child is a list", "field \"letters[]\": lists values, its type is stored as strings"),
        ("child is a struct", "field \"letters[]\": structs values, its type is stored as strings"),
        ("child is the same", "field \"letters[]\": `same` inside of a list or a struct"),
        ("child with validity", "field \"letters[]\": a validity bitmap, but the field is not nullable"),
        ("element no utf-8", "field \"letters[]\": values: entry 0 is not UTF-8"),
        ("member too few", "field \"size\": a struct of 1 members, its type has 2"),
        ("member too many", "field \"size\": a struct of 3 members, its type has 2"),
        ("member out of range", "field \"size.half\": child 9 is named, the table has 3"),
        ("members exchanged", "field \"size.bytes\": decimals values, its type is stored as u32"),
        ("member of another length", "field \"size.bytes\": 2 values in a table of 1 rows"),
        ("member with validity", "field \"size.bytes\": a validity bitmap, but the field is not nullable"),
        ("validity of a member past the end", "field \"size.half\": validity: a bit is set past record 1"),
        ("decimal of a member too large", "field \"size.half\": row 0 is 1000 without its point"),
        ("struct with validity", "field \"size\": a validity bitmap, but the field is not nullable"),
        ("no struct", "field \"size\": u32 values, its type is stored as structs"),
        ("same of another list", "field \"letters\": `same` of field \"more\", which is list<s64>, not list<string>"),
    ];
    let others = [
        ("a long element", Codes::RECORD_TOO_LARGE, "more than record_bytes"),
        ("a lot of elements", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
    ];
    let cases: Vec<_> =
        malformed.map(|(told, message)| (told, Codes::MALFORMED, message)).into_iter().chain(others).collect();
    each(&cases, |(told, code, message)| {
        costs_that_record_alone("map_by_field_answers_lists_as_told", told, code, message, &good);
    });
}

#[test]
pub(super) fn flat_map() {
    let row = |i: usize| {
        let record = format!("{{\"copy\":\"{0}\",\"word\":\"{0}\"}}", "w".repeat(i));
        [record.clone(), record]
    };
    let good: Vec<String> = (0..2 * GOOD).flat_map(row).collect();
    let cases = [
        ("same", Codes::MALFORMED, "field \"copy\": `same`, but there is no input table"),
        ("parent too few", Codes::MALFORMED, "parents: 0 entries for 1 records"),
        ("parents fall", Codes::MALFORMED, "parents: entry 0 names record 1, there are 1"),
        ("parent out of range", Codes::MALFORMED, "parents: entry 0 names record 1, there are 1"),
        ("columns", Codes::MALFORMED, "fields-output.columns is not for a flat-map by field"),
        ("without end", Codes::OUTPUT_TOO_LARGE, "more than output_bytes_per_call"),
    ];
    each(&cases, |(told, code, message)| {
        costs_that_record_alone("flat_map_by_field_answers_as_told", told, code, message, &good);
    });
}

#[test]
pub(super) fn filter() {
    let good: Vec<String> =
        (0..2 * GOOD).step_by(2).map(|i| format!("{{\"more\":[{i}],\"word\":\"{}\"}}", "w".repeat(i))).collect();
    let cases = [
        ("too long", "bitmap: a bitmap of 2 bytes, 1 are needed"),
        ("past the end", "bitmap: a bit is set past record 1"),
        ("payloads", "output.payloads is not for a filter by field, which answers with output.keep"),
        ("never", "a filter must call output.keep once per call"),
    ];
    each(&cases, |(told, message)| {
        costs_that_record_alone("filter_by_field_answers_as_told", told, Codes::MALFORMED, message, &good);
    });
}

#[test]
pub(super) fn key_by() {
    let good: Vec<String> =
        (0..2 * GOOD).map(|i| format!("{{\"more\":[{i}],\"word\":\"{}\"}}", "w".repeat(i))).collect();
    let cases = [
        ("key too few", "keys: 0 entries for 1 records"),
        ("offsets fall", "keys: offset 2 is 1, below 2"),
        ("keep", "output.keep is not for a key-by by field, which answers with output.keys"),
        ("never", "a key-by must call output.keys once per call"),
    ];
    each(&cases, |(told, message)| {
        costs_that_record_alone("key_by_by_field_answers_as_told", told, Codes::MALFORMED, message, &good);
    });
}

#[test]
pub(super) fn names_fields_and_takes_bytes() {
    let parts = ["its description names fields, but it exports `mapper`, which takes records as bytes"];
    sage_tests::poison::is_refused(&guest("map_names_fields_and_takes_bytes"), &parts);
}

#[test]
pub(super) fn names_no_fields() {
    let parts = ["it is a map by field, and its description does not say which fields it reads"];
    sage_tests::poison::is_refused(&guest("map_by_field_names_no_fields"), &parts);
}

#[test]
pub(super) fn gives_fields() {
    let parts = ["its description gives fields, but a filter gives none"];
    sage_tests::poison::is_refused(&guest("filter_by_field_gives_fields"), &parts);
}
