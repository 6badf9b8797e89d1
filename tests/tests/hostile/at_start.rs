//! Valid guests that do not start.

use sage_tests::poison::beside_a_neighbour;
use sage_tests::{Codes, Scenario, WatGuest};

fn does_not_start(guest: &WatGuest, settings: &str, code: &str, message: &str) {
    does_not_start_in("16MiB", guest, settings, code, message);
}

fn does_not_start_in(memory: &str, guest: &WatGuest, settings: &str, code: &str, message: &str) {
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", guest.build());
    let settings = format!(
        "{settings}\non_error = \"skip\"\nresources = {{ memory = \"{memory}\" }}\n\
        limits = {{ cpu_time_per_call = \"60ms\" }}"
    );
    let scenario = beside_a_neighbour(&component, &settings);
    let outcome = scenario.run();
    assert!([2, 3, 4].contains(&outcome.exit()), "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains(message) && said.contains(code), "{message:?} and {code:?}\n{outcome:?}");
    assert_eq!((scenario.read("out.txt"), scenario.read("calm-out.txt")), (None, None), "no data flowed");
}

fn with_main(main: &str) -> WatGuest {
    WatGuest { main: main.to_owned(), ..WatGuest::default() }
}

#[test]
fn a_trap_in_start_is_refused() {
    does_not_start(&with_main("(func $s unreachable) (start $s)"), "", Codes::TRAP, "unreachable");
}

#[test]
fn a_loop_in_start_is_stopped() {
    does_not_start(&with_main("(func $s (loop $again (br $again))) (start $s)"), "", Codes::CPU_TIME, "60ms");
}

#[test]
fn growth_in_start_counts() {
    let grow = "(func $s (loop $again (drop (memory.grow (i32.const 16))) (br $again))) (start $s)";
    does_not_start(&with_main(grow), "", Codes::MEMORY, "16777216");
}

#[test]
fn a_memory_that_begins_over_the_cap_is_refused() {
    let guest = WatGuest { memory: "(memory (export \"memory\") 1024)".to_owned(), ..WatGuest::default() };
    does_not_start(&guest, "", Codes::MEMORY, ", and its component starts with 64MiB");
}

#[test]
fn memories_that_begin_under_the_cap_one_by_one_are_refused_together() {
    let guest = WatGuest {
        memory: "(memory (export \"memory\") 160)".to_owned(),
        main: "(memory $second 160)".to_owned(),
        ..WatGuest::default()
    };
    // A worker has additional memory of the same size for itself, so there only the instance's own limit
    // refuses the guest.
    let limit = if sage_tests::in_processes() { "16777216" } else { ", and its component starts with 20MiB" };
    does_not_start(&guest, "", Codes::MEMORY, limit);
}

#[test]
fn a_table_that_begins_over_the_cap_is_refused() {
    does_not_start(&with_main("(table 10000000 funcref)"), "", Codes::MEMORY, "16777216");
}

#[test]
fn data_outside_the_memory_is_a_trap_at_start() {
    does_not_start(&with_main("(data (memory $memory) (i32.const -1) \"x\")"), "", Codes::TRAP, "out of bounds");
}

#[test]
fn an_open_that_traps_is_refused() {
    let guest = WatGuest { open: "(unreachable)".to_owned(), ..WatGuest::default() };
    does_not_start(&guest, "", Codes::TRAP, "unreachable");
}

#[test]
fn an_open_that_answers_with_a_bad_pointer_is_refused() {
    for open in ["(i32.const -4)", "(i32.const 2)", "(i32.store8 (i32.const 16) (i32.const 9)) (i32.const 16)"] {
        let guest = WatGuest { open: open.to_owned(), ..WatGuest::default() };
        does_not_start(&guest, "", Codes::MALFORMED, "");
    }
}

#[test]
fn an_open_that_claims_an_endless_message_is_refused() {
    // An error with a message of nearly 2 GiB, which is more than the host copies and more than the guest's
    // memory.
    let open = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
        (i32.store (i32.const 24) (i32.const 0x7fffffff)) (i32.const 16)";
    let guest = WatGuest { open: open.to_owned(), ..WatGuest::default() };
    does_not_start(&guest, "", Codes::MALFORMED, "");
}

#[test]
fn a_huge_configuration_is_refused_where_it_does_not_fit() {
    let settings = format!("config = {{ story = \"{}\" }}", "x".repeat(14 << 20));
    // A worker holds the configuration more than once before its guest allocates memory, so there the
    // kernel's limit is reached first.
    let limit = if sage_tests::in_processes() { "24MiB" } else { "8388608" };
    does_not_start_in("8MiB", &WatGuest::default(), &settings, Codes::MEMORY, limit);
}

#[test]
fn hundreds_of_instances_are_refused() {
    let after: String = (0..300).map(|i| format!("(core instance $extra{i} (instantiate $Empty))")).collect();
    let guest = WatGuest { after: format!("(core module $Empty) {after}"), ..WatGuest::default() };
    does_not_start(&guest, "", "", "instance");
}

#[test]
fn globals_of_many_instances_count() {
    // Each global takes 8 bytes in the binary and 16 bytes in each of 20 instances: 64 MiB.
    let globals = "(global i64 (i64.const 0))".repeat(200_000);
    let after: String = (0..20).map(|i| format!("(core instance $extra{i} (instantiate $Globals))")).collect();
    let guest = WatGuest { after: format!("(core module $Globals {globals}) {after}"), ..WatGuest::default() };
    does_not_start(&guest, "", Codes::MEMORY, "instances with their globals and tables asked for 6");
}

#[test]
fn a_module_from_elsewhere_counts() {
    let globals = "(global i64 (i64.const 0))".repeat(200_000);
    let instances = "(core instance (instantiate $m))".repeat(20);
    let after = format!(
        "(component $Inner (import \"m\" (core module $m)) {instances})
         (core module $Globals {globals})
         (instance (instantiate $Inner (with \"m\" (core module $Globals))))"
    );
    let guest = WatGuest { after, ..WatGuest::default() };
    does_not_start(&guest, "", Codes::MEMORY, "instances with their globals and tables asked for 6");
}

#[test]
fn hundreds_of_memories_are_refused() {
    let after: String = (0..100).map(|i| format!("(core instance $extra{i} (instantiate $One))")).collect();
    let guest = WatGuest { after: format!("(core module $One (memory 0)) {after}"), ..WatGuest::default() };
    does_not_start(&guest, "", "", "memor");
}

#[test]
fn the_lanes_of_an_instance_share_its_memory() {
    // 10 MiB for each lane: one lane fits into 16 MiB, two do not. A worker with two lanes needs 2 MiB of it.
    let cap = if sage_tests::in_processes() { "14680064" } else { "16777216" };
    let guest = WatGuest { memory: "(memory (export \"memory\") 160)".to_owned(), ..WatGuest::default() };
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", guest.build());
    for (cpus, starts) in [(1, true), (2, false)] {
        let settings = format!("resources = {{ memory = \"16MiB\", num_cpus = {cpus} }}\non_error = \"skip\"");
        let outcome = beside_a_neighbour(&component, &settings).run_with(["--overcommit"]);
        if starts {
            outcome.expect_exit(0);
        } else {
            outcome.expect_exit(4).expect_stderr(Codes::MEMORY).expect_stderr(cap);
        }
    }
}
