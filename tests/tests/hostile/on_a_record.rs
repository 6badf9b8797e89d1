//! Guests that are correct until the poison comes.

use sage_tests::poison::{beside_a_neighbour, costs_that_record_alone, expect_neighbour_complete, good};
use sage_tests::{Codes, Scenario, WatGuest};

/// A guest that runs `body` on the poison, with `main` as further fields of its main module.
fn on_poison(main: &str, body: &str) -> WatGuest {
    WatGuest { main: main.to_owned(), poisoned: body.to_owned(), ..WatGuest::default() }
}

const WRITES_EMPTY_MESSAGES: &str = "(loop $again (call $write (i32.const 0) (i32.const 0) (i32.const 0)) (br $again))";

fn costs(guest: &WatGuest, code: &str, message: &str) {
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", guest.build());
    costs_that_record_alone(&component, code, message);
}

#[test]
fn an_infinite_loop_is_stopped() {
    costs(&on_poison("", "(loop $again (br $again))"), Codes::CPU_TIME, "60ms");
}

#[test]
fn a_loop_of_bulk_memory_operations_is_stopped() {
    let fill = "(drop (memory.grow (i32.const 128)))
        (loop $again (memory.fill (i32.const 65536) (i32.const 7) (i32.const 8388608)) (br $again))";
    costs(&on_poison("", fill), Codes::CPU_TIME, "60ms");
}

#[test]
fn a_loop_of_calls_into_the_host_is_stopped() {
    // Empty messages are not shown, even with a log limit that has space for them.
    let settings = "on_error = { dead_letter = \"dead.jsonl\" }\nretries = 0\n\
        limits = { cpu_time_per_call = \"60ms\", call_timeout = \"5s\", log_bytes_per_second = \"16MiB\" }";
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", on_poison("", WRITES_EMPTY_MESSAGES).build());
    let scenario = beside_a_neighbour(&component, settings);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), good());
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters.len(), letters[0].text("code")), (1, Codes::CPU_TIME), "{letters:?}");
    assert!(letters[0].text("message").contains("60ms"), "{letters:?}");
}

#[test]
fn a_loop_of_empty_messages_is_a_flood() {
    costs(&on_poison("", WRITES_EMPTY_MESSAGES), Codes::LOG_FLOOD, "log_bytes_per_second");
}

#[test]
fn a_memory_bomb_is_defused() {
    let grow = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    costs(&on_poison("", grow), Codes::MEMORY, "16777216");
}

#[test]
fn one_growth_to_four_gibibytes_is_refused() {
    costs(&on_poison("", "(drop (memory.grow (i32.const 65000)))"), Codes::MEMORY, "16777216");
}

#[test]
fn two_memories_count_together() {
    // 10 MiB for each of two memories: neither alone exceeds 16 MiB.
    let grow =
        "(drop (memory.grow $memory (i32.const 160))) (drop (memory.grow $second (i32.const 160))) (unreachable)";
    costs(&on_poison("(memory $second 1)", grow), Codes::MEMORY, "16777216");
}

#[test]
fn a_table_bomb_is_defused() {
    let grow = "(loop $again (drop (table.grow $t (ref.null func) (i32.const 100000))) (br $again))";
    costs(&on_poison("(table $t 1 funcref)", grow), Codes::MEMORY, "16777216");
}

#[test]
fn a_table_and_a_memory_count_together() {
    let grow = "(drop (memory.grow $memory (i32.const 160))) (drop (table.grow $t (ref.null func) \
        (i32.const 1000000))) (unreachable)";
    costs(&on_poison("(table $t 1 funcref)", grow), Codes::MEMORY, "16777216");
}

#[test]
fn deep_recursion_is_the_guests_overflow() {
    let deep = "(func $deep (param i64) (result i64) (i64.add (i64.const 1) \
        (call $deep (i64.add (local.get 0) (i64.const 1)))))";
    costs(&on_poison(deep, "(drop (call $deep (i64.const 0)))"), Codes::STACK_OVERFLOW, "stack");
}

#[test]
fn a_frame_larger_than_the_stack_is_the_guests_overflow() {
    // 20,000 live locals of 8 bytes in each frame, a few frames deep.
    let locals = "(local i64)".repeat(20_000);
    let sets: String =
        (2..20_002).map(|i| format!("(local.set {i} (i64.add (local.get 0) (i64.const {i})))")).collect();
    let sum: String = (2..20_002).map(|i| format!("(local.set 1 (i64.xor (local.get 1) (local.get {i})))")).collect();
    let wide = format!(
        "(func $wide (param i64) (result i64) (local i64) {locals} {sets}
           (local.set 1 (call $wide (i64.add (local.get 0) (i64.const 1)))) {sum} (local.get 1))"
    );
    costs(&on_poison(&wide, "(drop (call $wide (i64.const 0)))"), Codes::STACK_OVERFLOW, "stack");
}

#[test]
fn traps_are_told_apart() {
    for (body, message) in [
        ("(unreachable)", "unreachable"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds"),
        ("(call_indirect $t (i32.const 5))", "table"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "integer"),
    ] {
        costs(&on_poison("(table $t 1 funcref)", body), Codes::TRAP, message);
    }
}

#[test]
fn pointers_that_point_nowhere_are_malformed() {
    for body in [
        // The offsets begin beyond the memory, end beyond it, or are not aligned; the bytes end beyond it.
        "(call $payloads (i32.const -16) (i32.const 2) (i32.const 0) (i32.const 0))",
        "(call $payloads (i32.const 0) (i32.const 1073741824) (i32.const 0) (i32.const 0))",
        "(call $payloads (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))",
        "(call $payloads (i32.const 2) (i32.const 2) (i32.const 0) (i32.const 0))",
        "(call $payloads (i32.const 0) (i32.const 2) (i32.const 0) (i32.const -1))",
        "(call $payloads (i32.const 0) (i32.const 2) (i32.const -1) (i32.const 2))",
    ] {
        costs(&on_poison("", body), Codes::MALFORMED, "");
    }
}

#[test]
fn a_log_line_that_is_not_text_is_malformed() {
    let body = "(i32.store8 (i32.const 8) (i32.const 255)) (call $write (i32.const 2) (i32.const 8) (i32.const 1))";
    costs(&on_poison("", body), Codes::MALFORMED, "utf-8");
}

#[test]
fn a_level_that_there_is_not_is_malformed() {
    costs(&on_poison("", "(call $write (i32.const 99) (i32.const 8) (i32.const 1))"), Codes::MALFORMED, "");
}

/// A guest with an allocator that is correct until it allocates a batch with the poison, and then runs `bad`.
///
/// The host allocates a column's offsets first, then its bytes. The failing batch has exactly one record of
/// six bytes. Any other batch with the poison fails too, and halving makes it that small.
fn allocator(bad: &str) -> WatGuest {
    let honest = WatGuest::default().realloc;
    // Six bytes with an alignment of one: the bytes of `poison` alone. The other records have two bytes.
    let realloc = format!(
        "{} (if (i32.and (i32.eq (local.get $align) (i32.const 1)) (i32.eq (local.get $size) (i32.const 6))) \
        (then {bad}))
         {}",
        "(local $at i32)",
        honest.replacen("(local $at i32)", "", 1)
    );
    // In a larger batch the poison traps, so the batch is halved until the poison is alone.
    WatGuest { realloc, poisoned: "(unreachable)".to_owned(), ..WatGuest::default() }
}

#[test]
fn an_allocator_may_not_point_out_of_memory() {
    costs(&allocator("(return (i32.const -8))"), Codes::MALFORMED, "");
    costs(&allocator("(return (i32.mul (memory.size) (i32.const 65536)))"), Codes::MALFORMED, "");
}

#[test]
fn an_allocator_that_traps_costs_its_record() {
    costs(&allocator("(unreachable)"), Codes::TRAP, "unreachable");
}

#[test]
fn an_allocator_without_end_is_stopped() {
    costs(&allocator("(loop $again (br $again))"), Codes::CPU_TIME, "60ms");
}

#[test]
fn an_allocator_that_grows_without_end_is_stopped() {
    costs(&allocator("(loop $again (drop (memory.grow (i32.const 1))) (br $again))"), Codes::MEMORY, "16777216");
}

#[test]
fn an_allocator_that_overlaps_what_it_gave_harms_only_itself() {
    // Every allocation returns the same place: the bytes overwrite the offsets, and the guest's answer is
    // nonsense.
    costs(&allocator("(return (i32.const 65536))"), Codes::MALFORMED, "offset");
}

#[test]
fn an_allocator_may_not_call_back_into_the_host_for_answers() {
    // While the host writes a batch, the guest cannot return to the host; wasmtime traps.
    let mut guest = allocator("(unreachable)");
    guest.main = "(func $unused)".to_owned();
    costs(&guest, Codes::TRAP, "");
}

#[test]
fn the_call_stack_of_a_guest_is_shown_at_level_debug_from_its_second_failure_on() {
    let scenario = Scenario::new();
    scenario.file("hostile.wasm", on_poison("", "(unreachable)").build());
    scenario.file("in.txt", "poison\n".repeat(3));
    scenario.pipeline(
        r#"
        [[source]]
        name = "in"
        file = { path = "in.txt", format = "lines" }
        [[operator]]
        name = "hostile"
        component = "hostile.wasm"
        input = "in"
        on_error = "skip"
        [[sink]]
        name = "out"
        input = "hostile"
        discard = {}
        "#,
    );
    for (level, shown) in [("info", false), ("debug", true)] {
        let outcome = scenario.run_with(["--log-level", level]);
        outcome.expect_exit(0).expect_stderr("a call failed");
        let stack = outcome.stderr.contains("error while executing at wasm backtrace");
        assert_eq!(stack, shown, "{level}: {}", outcome.stderr);
    }
}
