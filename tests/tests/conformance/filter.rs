use super::by_field::{filter as by_field_answers_as_told, gives_fields as by_field_gives_fields};
use sage_tests::guest;

use crate::{each_filter_guest, has_a_test, poisonous};
use sage_tests::poison::beside_a_neighbour;

each_filter_guest!(has_a_test);

poisonous!(filter {
    never_answers: MALFORMED, "output.keep";
    answers_twice: MALFORMED, "output.keep";
    bitmap_too_short: MALFORMED, "a bitmap of 0 bytes, 1 are needed for 1 records";
    bitmap_too_long: MALFORMED, "a bitmap of 2 bytes, 1 are needed for 1 records";
    sets_bits_past_the_end: MALFORMED, "a bit is set past record 1";
    calls_payloads: MALFORMED, "output.payloads";
    rejects_a_record: REJECTED, "not for sieving";
});

#[test]
fn keeps_even() {
    for n in [0, 1, 7, 8, 9, 1000] {
        let scenario = beside_a_neighbour(&guest("filter_keeps_even"), "");
        scenario.file("in.txt", (0..n).map(|i| format!("r{i}\n")).collect::<String>());
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation();
        let expected: Vec<String> = (0..n).step_by(2).map(|i| format!("r{i}")).collect();
        assert_eq!(scenario.lines("out.txt"), expected);
        assert_eq!(outcome.stage("guest").count("filtered"), n / 2);
    }
}

/// The record limit of an edge in `--explain` holds for every sender, not only for a map, whose answer is the
/// record.
#[test]
fn what_a_filter_or_key_by_sends_on_is_weighed() {
    let large = format!("b {}", "x".repeat(200_000));
    for (component, settings) in [("identity", ""), ("keep_nonempty", ""), ("key_field", "config = { field = 0 }")] {
        let scenario = sage_tests::Scenario::new();
        scenario.file("in.txt", format!("a\n{large}\nc\n"));
        scenario.pipeline(&format!(
            r#"
            [[source]]
            name = "in"
            file = {{ path = "in.txt", format = "lines" }}
            [[operator]]
            name = "first"
            component = "{}"
            input = "in"
            on_error = {{ dead_letter = "dead.jsonl" }}
            {settings}
            [[operator]]
            name = "second"
            component = "{}"
            input = "first"
            resources = {{ object_store_memory = "64KiB" }}
            [[sink]]
            name = "out"
            input = "second"
            file = {{ path = "out.txt" }}
            "#,
            sage_tests::operator(component).display(),
            sage_tests::operator("identity").display()
        ));
        let outcome = scenario.run();
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(scenario.lines("out.txt"), ["a", "c"], "{component}");
        let letters = outcome.dead_letters("dead.jsonl");
        assert_eq!((letters.len(), letters[0].text("code")), (1, "record-too-large"), "{component}");
        assert!(letters[0].text("payload") == large, "{component}: the letter has another record");
        assert!(outcome.stage("first").value["breaches"]["record_bytes"].as_u64().is_some(), "{component}");
    }
}
