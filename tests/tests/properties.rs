//! Properties that hold for any input: conservation of records, order, and the same multiset of records at
//! any parallelism.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::Config;
use sage_test_support::{Need, skip};
use sage_tests::{Outcome, Scenario, guest};

/// Settings for a few cases, because each case is a run of the program. The inputs differ from run to run,
/// and a failure prints its input.
fn few() -> Config {
    Config { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..Config::default() }
}

/// Lines `kN i`, with the poison at these places. The poison costs a whole batch its first tries.
fn lines(count: usize, keys: usize, poison: &BTreeSet<usize>) -> Vec<String> {
    (0..count)
        .map(|i| if poison.contains(&i) { "poison".to_owned() } else { format!("k{} {i}", i * 7 % keys) })
        .collect()
}

/// Some places among `count`, never more than half of the allowed restarts in a row.
fn places(count: usize) -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..count, 0..8)
}

fn keyed(input: &[String], guest_name: &str, parallelism: u32, on_error: &str) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    scenario.file("in.txt", input.iter().map(|line| format!("{line}\n")).collect::<String>());
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "property"
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
        partition = "key"
        parallelism = {parallelism}
        on_error = {on_error}
        [[operator]]
        name = "after"
        component = "{}"
        input = "guest"
        partition = "key"
        parallelism = {parallelism}
        [[sink]]
        name = "out"
        input = "after"
        file = {{ path = "out.txt" }}
        "#,
        guest("key_by_first_word").display(),
        guest(guest_name).display(),
        guest("map_shouts").display(),
    ));
    let outcome = scenario.run();
    (scenario, outcome)
}

fn by_key(lines: &[String]) -> BTreeMap<String, Vec<u64>> {
    let mut keys: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let (key, number) = line.split_once(' ').unwrap();
        keys.entry(key.to_lowercase()).or_default().push(number.parse().unwrap());
    }
    keys
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn no_record_is_lost_or_made_wherever_the_poison_is(
        (count, poison) in (1..3000_usize).prop_flat_map(|count| (Just(count), places(count))),
        guest_name in prop::sample::select(vec![
            "map_panics",
            "filter_rejects_a_record",
            "process_rejects_a_record",
            "flat_map_lets_parents_fall",
            "map_rejects_out_of_range",
        ]),
        parallelism in 1..4_u32,
        skip in any::<bool>(),
    ) {
        let on_error = if skip { "\"skip\"" } else { "{ dead_letter = \"dead.jsonl\" }" };
        let input = lines(count, 5, &poison);
        let (scenario, outcome) = keyed(&input, guest_name, parallelism, on_error);
        outcome.expect_exit(0).expect_conservation();
        let expected: BTreeMap<String, Vec<u64>> =
            by_key(&input.iter().filter(|line| *line != "poison").cloned().collect::<Vec<_>>());
        prop_assert_eq!(by_key(&scenario.lines("out.txt")), expected, "{:?}", outcome);
        let stage = outcome.stage("guest");
        prop_assert_eq!(stage.count("records_in") as usize, count);
        prop_assert_eq!(stage.count("handled") as usize, count - poison.len());
        if skip {
            prop_assert_eq!((stage.count("failed") + stage.count("rejected")) as usize, poison.len());
        } else {
            prop_assert_eq!(stage.count("dead_lettered") as usize, poison.len());
            if !poison.is_empty() {
                let letters = outcome.dead_letters("dead.jsonl");
                let offsets: Vec<usize> = letters.iter().map(|letter| letter.number("offset") as usize).collect();
                prop_assert_eq!(offsets, poison.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_fails_stops_the_run_with_every_record_accounted_for(
        (count, poison) in (1..3000_usize).prop_flat_map(|count| (Just(count), 0..count)),
        parallelism in 1..4_u32,
    ) {
        let input = lines(count, 5, &BTreeSet::from([poison]));
        let (scenario, outcome) = keyed(&input, "map_panics", parallelism, "\"fail\"");
        outcome.expect_exit(4).expect_conservation();
        prop_assert_eq!(outcome.stage("guest").count("failed"), 1);
        prop_assert_eq!(scenario.read("out.txt"), None);
    }
}

#[test]
fn with_one_instance_each_output_order_is_input_order() {
    let poison = BTreeSet::from([0, 17, 18, 2500, 4999]);
    let input = lines(5000, 3, &poison);
    let scenario = Scenario::new();
    scenario.file("in.txt", input.iter().map(|line| format!("{line}\n")).collect::<String>());
    scenario.pipeline(&format!(
        "[pipeline]\nname = \"order\"\n[[source]]\nname = \"in\"\nfile = {{ path = \"in.txt\", format = \"lines\" }}\n\
         [[operator]]\nname = \"guest\"\ncomponent = \"{}\"\ninput = \"in\"\non_error = \"skip\"\n\
         [[operator]]\nname = \"sieve\"\ncomponent = \"{}\"\ninput = \"guest\"\non_error = \"skip\"\n\
         [[sink]]\nname = \"out\"\ninput = \"sieve\"\nfile = {{ path = \"out.txt\" }}\n",
        guest("map_panics").display(),
        guest("filter_answers_twice").display(),
    ));
    scenario.run().expect_exit(0).expect_conservation();
    let expected: Vec<&String> = input.iter().filter(|line| *line != "poison").collect();
    assert!(scenario.lines("out.txt").iter().eq(expected), "order or records changed");
}

#[test]
fn with_whole_cpus_several_lanes_keep_the_order_of_one_instance() {
    if sage_tests::allowed_cpus().len() < 2 {
        return skip(Need::Cpus, "this process may use one CPU only");
    }
    let input = lines(20_000, 3, &BTreeSet::from([7, 9000]));
    let scenario = Scenario::new();
    scenario.file("in.txt", input.iter().map(|line| format!("{line}\n")).collect::<String>());
    scenario.pipeline(&format!(
        "[pipeline]\nname = \"lanes\"\n[[source]]\nname = \"in\"\nfile = {{ path = \"in.txt\", format = \"lines\" }}\n\
         [[operator]]\nname = \"guest\"\ncomponent = \"{}\"\ninput = \"in\"\n\
         on_error = \"skip\"\nresources = {{ num_cpus = 2 }}\n\
         [[sink]]\nname = \"out\"\ninput = \"guest\"\nfile = {{ path = \"out.txt\" }}\n",
        guest("map_panics").display(),
    ));
    scenario.run_with(["--overcommit"]).expect_exit(0).expect_conservation();
    let expected: Vec<&String> = input.iter().filter(|line| *line != "poison").collect();
    assert!(scenario.lines("out.txt").iter().eq(expected), "order or records changed");
}

#[test]
fn per_key_order_holds_at_any_parallelism_with_retries_among_them() {
    let poison: BTreeSet<usize> = (0..20).map(|i| i * 997 + 3).collect();
    let input = lines(20_000, 50, &poison);
    let expected: Vec<String> = input.iter().filter(|line| *line != "poison").cloned().collect();
    for parallelism in [1, 2, 4] {
        let (scenario, outcome) = keyed(&input, "map_panics", parallelism, "\"skip\"");
        outcome.expect_exit(0).expect_conservation();
        let found = scenario.lines("out.txt");
        // Equal maps mean the same multiset of records, and for each key the order of the input.
        assert!(by_key(&found) == by_key(&expected), "parallelism {parallelism}\n{outcome:?}");
    }
}

#[test]
fn counts_are_the_same_at_any_parallelism() {
    let input = lines(10_000, 97, &BTreeSet::new());
    let mut told = Vec::new();
    for parallelism in [1, 2, 4] {
        let (scenario, outcome) = keyed(&input, "process_counts_by_key", parallelism, "\"fail\"");
        outcome.expect_exit(0).expect_conservation();
        let mut lines = scenario.lines("out.txt");
        lines.sort();
        told.push(lines);
    }
    assert_eq!(told[0].len(), 97);
    assert!(told[0] == told[1] && told[1] == told[2]);
}
