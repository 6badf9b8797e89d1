use super::by_field::each;
use sage_tests::poison::{TIGHT, expect_neighbour_complete, with_neighbour};
use sage_tests::{Codes, Outcome, Scenario, guest};

use crate::{each_window_guest, has_a_test};

each_window_guest!(has_a_test);

/// Lines of good words, one each second from noon on, by two keys in turn, and one with `word` in their middle.
fn lines(word: &str) -> String {
    let line = |second: usize, word: &str, key: &str| {
        format!("{{\"word\":\"{word}\",\"key\":\"{key}\",\"ts\":{}}}\n", NOON + second)
    };
    let mut lines: Vec<String> =
        (0..20).map(|n| line(n, &format!("w{n}"), if n % 2 == 0 { "even" } else { "odd" })).collect();
    lines.insert(10, line(10, word, "told"));
    lines.concat()
}

const NOON: usize = 1_767_268_800;

fn run(guest_name: &str, settings: &str, input: &str) -> (Scenario, Outcome) {
    let scenario = with_neighbour(&format!(
        r#"
[[source]]
name = "in"
file = {{ path = "in.jsonl", format = "jsonl" }}
key = "key"
event_time = {{ field = "ts", format = "unix" }}
watermark = {{ out_of_order = "30s" }}
[[operator]]
name = "guest"
component = "{}"
input = "in"
partition = "key"
on_error = {{ dead_letter = "dead.jsonl" }}
{TIGHT}
{settings}
[[sink]]
name = "out"
input = "guest"
file = {{ path = "out.txt" }}
"#,
        guest(guest_name).display()
    ));
    scenario.file("in.jsonl", input);
    let outcome = scenario.run();
    (scenario, outcome)
}

/// What the guest emits of windows of 5 seconds without the told word.
fn good() -> Vec<String> {
    let window = |start: usize, key: &str| {
        let words = (start..start + 5).filter(|n| (n % 2 == 0) == (key == "even")).map(|n| format!("w{n}"));
        let (from, to) = ((NOON + start) * 1_000_000, (NOON + start + 5) * 1_000_000);
        format!("{key} {from} {to} 0 {}", words.collect::<Vec<_>>().join(" "))
    };
    (0..20).step_by(5).flat_map(|start| [window(start, "even"), window(start, "odd")]).collect()
}

const TUMBLING: &str = "window = { tumbling = \"5s\" }";

#[test]
fn answers_as_told() {
    let (scenario, outcome) = run("window_answers_as_told", TUMBLING, &lines("calm"));
    outcome.expect_exit(0).expect_conservation();
    let mut calm = good();
    calm.insert(6, format!("told {} {} 0 calm", (NOON + 10) * 1_000_000, (NOON + 15) * 1_000_000));
    assert_eq!(scenario.lines("out.txt"), calm);
    let folds = [
        ("fold is silent", Codes::MALFORMED, "fold must call windows-output.accumulators once per call, but did not"),
        ("fold answers twice", Codes::MALFORMED, "fold may call windows-output.accumulators only once per call"),
        ("fold answers too few", Codes::MALFORMED, "accumulators: 0 entries for 1 records"),
        ("fold answers too many", Codes::MALFORMED, "accumulators: 2 entries for 1 records"),
        ("fold breaks offsets", Codes::MALFORMED, "accumulators: the last offset is 9"),
        ("fold answers at length", Codes::RECORD_TOO_LARGE, "accumulators: entry 0 has 100000 bytes"),
        ("fold emits", Codes::MALFORMED, "fold emitted records; a window emits in finish"),
        ("fold calls payloads", Codes::MALFORMED, "output.payloads is not for a window"),
        ("fold rejects", Codes::REJECTED, "as told"),
        ("fold rejects out of range", Codes::MALFORMED, "rows: entry 0 names record 1000000"),
        ("fold panics", Codes::PANIC, "as told"),
    ];
    each(&folds, |&(told, code, message)| {
        let (scenario, outcome) = run("window_answers_as_told", TUMBLING, &lines(&format!("!{told}!")));
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        assert_eq!(scenario.lines("out.txt"), good(), "{told}: the other records are in their windows\n{outcome:?}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!(letters.len(), 1, "{told}: {letters:?}");
        assert_eq!(letters[0].text("code"), code, "{told}: {letters:?}");
        assert!(letters[0].text("message").contains(message), "{told}: {message:?} is not in {letters:?}");
        assert_eq!((letters[0].text("key"), letters[0].number("offset")), ("told", 10));
    });
    let finishes = [
        ("finish names no windows", Codes::MALFORMED, "each record of a window needs a parent"),
        ("finish names a window out of range", Codes::MALFORMED, "names record 1000000, there are 1"),
        ("finish emits on a port", Codes::MALFORMED, "port 1, the component declares 0 side outputs"),
        ("finish answers accumulators", Codes::MALFORMED, "called outside of fold and merge"),
        ("finish rejects", Codes::MALFORMED, "finish rejected records; a window rejects in fold"),
        ("finish panics", Codes::PANIC, "as told"),
    ];
    each(&finishes, |&(told, code, message)| {
        let (scenario, outcome) = run("window_answers_as_told", TUMBLING, &lines(&format!("!{told}!")));
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        assert_eq!(scenario.lines("out.txt"), good(), "{told}: the other windows are finished\n{outcome:?}");
        assert_eq!(outcome.stage("guest").count("windows_failed"), 1, "{told}: {outcome:?}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!(letters.len(), 1, "{told}: {letters:?}");
        let letter = &letters[0];
        assert_eq!(letter.text("code"), code, "{told}: {letter:?}");
        assert!(letter.text("message").contains(message), "{told}: {message:?} is not in {letter:?}");
        assert_eq!((letter.text("key"), letter.text("payload")), ("told", format!("!{told}!").as_str()));
        let window = (letter.number("window_start"), letter.number("window_end"));
        assert_eq!(window, ((NOON as u64 + 10) * 1_000_000, (NOON as u64 + 15) * 1_000_000), "{letter:?}");
    });
}

#[test]
fn a_window_whose_guest_is_silent_has_no_output_and_own_keys_stay() {
    for (told, more) in [("finish is silent", 0), ("finish sets keys", 1)] {
        let input = format!("{{\"word\":\"!{told}!\",\"key\":\"k\",\"ts\":5}}\n");
        let (scenario, outcome) = run("window_answers_as_told", TUMBLING, &input);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(scenario.lines("out.txt").len(), more, "{told}: {outcome:?}");
    }
}

#[test]
fn a_merge_that_fails_costs_the_record_that_joins_the_sessions() {
    // The first two records are a session each. The third one, which comes in a later batch, joins them.
    let input = |told: &str| {
        let line =
            |second: usize, word: &str| format!("{{\"word\":\"{word}\",\"key\":\"k\",\"ts\":{}}}\n", NOON + second);
        let long = format!("{{\"word\":\"w\",\"key\":\"pad\",\"ts\":{NOON},\"pad\":\"{}\"}}\n", "x".repeat(50_000));
        [line(0, &format!("!{told}!")), line(8, "b"), long.repeat(4), line(4, "c"), line(5, "d")].concat()
    };
    let sessions = "window = { session = \"5s\" }";
    let (scenario, outcome) = run("window_answers_as_told", sessions, &input("calm"));
    outcome.expect_exit(0).expect_conservation();
    let (from, to) = (NOON * 1_000_000, (NOON + 13) * 1_000_000);
    let mut found = scenario.lines("out.txt");
    found.retain(|line| line.starts_with("k "));
    assert_eq!(found, [format!("k {from} {to} 0 !calm! b c d")]);
    let cases = [
        ("merge is silent", Codes::MALFORMED, "merge must call windows-output.accumulators once per call, but did not"),
        ("merge answers too few", Codes::MALFORMED, "accumulators: 0 entries for 1 records"),
        ("merge emits", Codes::MALFORMED, "merge emitted records; a window emits in finish"),
        ("merge rejects", Codes::MALFORMED, "merge rejected records; a window rejects in fold"),
        ("merge panics", Codes::PANIC, "as told"),
    ];
    each(&cases, |&(told, code, message)| {
        let (_scenario, outcome) = run("window_answers_as_told", sessions, &input(told));
        outcome.expect_exit(0).expect_conservation();
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!(letters.len(), 1, "{told}: {outcome:?}");
        assert_eq!((letters[0].text("code"), letters[0].text("key")), (code, "k"), "{told}: {letters:?}");
        assert!(letters[0].text("message").contains(message), "{told}: {message:?} is not in {letters:?}");
        assert!(letters[0].text("payload").contains("\"c\""), "{told}: {letters:?}");
    });
}

#[test]
fn by_field_answers_as_told() {
    let (scenario, outcome) = run("window_by_field_answers_as_told", TUMBLING, &lines("calm"));
    outcome.expect_exit(0).expect_conservation();
    let counts: Vec<String> = good()
        .iter()
        .map(|line| {
            let parts: Vec<&str> = line.split(' ').collect();
            format!("{{\"words\":{},\"from\":{},\"to\":{}}}", parts.len() - 4, parts[1], parts[2])
        })
        .collect();
    let told = format!("{{\"words\":1,\"from\":{},\"to\":{}}}", (NOON + 10) * 1_000_000, (NOON + 15) * 1_000_000);
    let mut calm = counts.clone();
    calm.insert(6, told);
    assert_eq!(scenario.lines("out.txt"), calm);
    let cases = [
        ("field too few", "a table of 2 fields, the schema has 3"),
        ("other type", "field \"from\": u32 values, its type is stored as s64"),
        ("no parents", "each record of a window needs a parent"),
        ("same", "field \"words\": `same`, but there is no input table"),
        ("bytes", "output.emit is not for a window by field, which answers with fields-output.emit"),
    ];
    each(&cases, |&(told, message)| {
        let (scenario, outcome) = run("window_by_field_answers_as_told", TUMBLING, &lines(&format!("!{told}")));
        outcome.expect_exit(0).expect_conservation();
        expect_neighbour_complete(&scenario, &outcome);
        assert_eq!(scenario.lines("out.txt"), counts, "{told}: the other windows are finished\n{outcome:?}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!((letters.len(), letters[0].text("code")), (1, Codes::MALFORMED), "{told}: {letters:?}");
        assert!(letters[0].text("message").contains(message), "{told}: {message:?} is not in {letters:?}");
    });
}

#[test]
fn records_whose_window_would_leave_the_range_of_times_are_rejected() {
    let line = |ts: i64| format!("{{\"word\":\"w\",\"key\":\"k\",\"ts\":{ts}}}\n");
    let most = i64::MAX / 1_000_000;
    let input = [line(-1), line(most), line(-most), line(0)].concat();
    let (scenario, outcome) = run("window_answers_as_told", TUMBLING, &input);
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["k -5000000 0 0 w", "k 0 5000000 0 w"]);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in letters {
        assert_eq!(letter.text("code"), Codes::REJECTED);
        assert!(letter.text("message").contains("too near the end of the range of times"), "{letter:?}");
    }
}
