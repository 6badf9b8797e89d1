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
