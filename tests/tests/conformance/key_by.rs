use super::by_field::key_by as by_field_answers_as_told;
use sage_tests::guest;

use crate::{each_key_by_guest, has_a_test, poisonous};
use sage_tests::poison::with_neighbour;

each_key_by_guest!(has_a_test);

poisonous!(key_by {
    never_answers: MALFORMED, "output.keys";
    answers_twice: MALFORMED, "output.keys";
    gives_too_few_keys: MALFORMED, "0 entries for 1 records";
    calls_rows: MALFORMED, "output.rows";
    rejects_a_record: REJECTED, "no key for this";
});

#[test]
fn first_word() {
    let scenario = with_neighbour(&format!(
        r#"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        [[operator]]
        name = "shout"
        component = "{}"
        input = "guest"
        [[operator]]
        name = "tell"
        component = "{}"
        input = "shout"
        [[sink]]
        name = "out"
        input = "tell"
        file = {{ path = "out.txt" }}
        "#,
        guest("key_by_first_word").display(),
        guest("map_shouts").display(),
        guest("process_tells_columns").display()
    ));
    scenario.file("in.txt", "ab one\n two\ncd\n");
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(
        scenario.lines("out.txt"),
        [
            "AB ONE key \"ab\" time none headers none",
            " TWO key \"\" time none headers none",
            "CD key \"cd\" time none headers none"
        ],
        "keys are kept through a map, and an empty key is a key"
    );
}

#[test]
fn gives_long_keys() {
    let scenario = sage_tests::poison::beside_a_neighbour(&guest("key_by_gives_long_keys"), "");
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), sage_tests::poison::INPUT);
}
