use super::by_field::flat_map as by_field_answers_as_told;
use sage_tests::{Codes, guest};

use crate::{each_flat_map_guest, has_a_test, poisonous};
use sage_tests::poison::{INPUT, TIGHT, beside_a_neighbour, expect_neighbour_complete, good, with_neighbour};

each_flat_map_guest!(has_a_test);

poisonous!(flat_map {
    lets_parents_fall: MALFORMED, "names record 0 after record 1";
    names_a_parent_out_of_range: MALFORMED, "names record 1, there are 1";
    gives_too_few_parents: MALFORMED, "1 entries for 2 records";
    calls_payloads: MALFORMED, "output.payloads";
    never_stops_answering: OUTPUT_TOO_LARGE, "1";
    sends_empty_records_without_end: OUTPUT_TOO_LARGE, "1";
    rejects_a_record: REJECTED, "not to be split";
});

#[test]
fn says_nothing() {
    let scenario = beside_a_neighbour(&guest("flat_map_says_nothing"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.read("out.txt").as_deref(), Some(""));
    assert_eq!(outcome.stage("guest").count("handled"), 11);
}

#[test]
fn splits_words() {
    let scenario = beside_a_neighbour(&guest("flat_map_splits_words"), "");
    scenario.file("in.txt", "one two  three\n\nfour\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["one", "two", "three", "four"]);
}

#[test]
fn lets_parents_fall_between_calls() {
    let scenario = beside_a_neighbour(&guest("flat_map_lets_parents_fall_between_calls"), TIGHT);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt").len(), 11, "single records cannot break the rule");
    assert!(outcome.stage("guest").count("restarts") >= 1, "{outcome:?}");
}

#[test]
fn multiplies() {
    let scenario = with_neighbour(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "key"
        component = "{}"
        input = "in"
        [[operator]]
        name = "guest"
        component = "{}"
        input = "key"
        on_error = {{ dead_letter = "dead.jsonl" }}
        [[sink]]
        name = "out"
        input = "guest"
        file = {{ path = "out.txt" }}
        "#,
        guest("key_by_gives_long_keys").display(),
        guest("flat_map_multiplies").display()
    ));
    scenario.file("in.txt", INPUT.map(|record| format!("{record}\n")).concat());
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), good());
    assert_eq!(outcome.dead_letters("dead.jsonl")[0].text("code"), Codes::OUTPUT_TOO_LARGE, "two gigabytes of keys");
}
