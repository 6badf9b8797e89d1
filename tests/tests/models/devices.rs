use crate::told::Told;

const CALL: &str = "run model x=f32[1,4]:1";
const RIGHT: &str = "y f32[1, 4] 16;";

/// Answers to calls on a device in a process of its own, with a model that fails in this way.
fn answers(goes_wrong: &str, calls: &[&str]) -> Vec<String> {
    Told::on_a_process()
        .resources("num_gpus = 1, memory = \"64MiB\"")
        .settings("limits = { call_timeout = \"30s\" }")
        .model("model", &format!("input = \"f32[rows, 4]\"\n{goes_wrong}"))
        .answers(calls)
}

#[test]
fn a_run_that_hangs_is_a_deadline_and_the_device_is_back_for_the_next() {
    let hangs = "run model deadline=300 x=f32[1,4]:1";
    assert_eq!(answers("hang_after = 1", &[CALL, hangs, CALL, hangs]), [RIGHT, "deadline", RIGHT, "deadline"]);
}

#[test]
fn a_device_that_crashes_is_lost_for_the_call_and_back_for_the_next() {
    let answers = answers("crash_after = 1", &[CALL, CALL, CALL]);
    assert_eq!((answers[0].as_str(), answers[2].as_str()), (RIGHT, RIGHT), "{answers:?}");
    assert!(answers[1].starts_with("device-lost"), "{answers:?}");
}

#[test]
fn what_a_backend_fails_of_is_an_answer() {
    let cases = [
        ("fail_after = 1", CALL, "backend "),
        ("panic_after = 1", CALL, "backend "),
        ("out_of_memory_over_rows = 2", "run model x=f32[3,4]:1", "out-of-memory "),
    ];
    for (goes_wrong, call, expected) in cases {
        let answers = answers(goes_wrong, &[CALL, call]);
        assert_eq!(answers[0], RIGHT, "{goes_wrong}");
        assert!(answers[1].starts_with(expected), "{goes_wrong}: {answers:?}");
    }
}

#[test]
fn a_call_that_takes_longer_than_its_deadline_is_a_deadline_in_threads_too() {
    let answers = Told::on_a_device()
        .resources("num_gpus = 1, memory = \"32MiB\"")
        .model("model", "input = \"f32[rows, 4]\"\nlatency_per_run = \"2s\"")
        .answers(&["run model deadline=20 x=f32[1,4]:1"]);
    assert_eq!(answers, ["deadline"]);
}

#[test]
fn a_model_that_does_not_fit_onto_its_device_is_refused_before_the_start() {
    let outcome = Told::on("[[device]]\nname = \"small\"\nkind = \"fake\"\ncounts_as_gpu = true\nmemory = \"16MiB\"\n")
        .resources("num_gpus = 1, memory = \"32MiB\"")
        .model("big", "input = \"f32[rows, 4]\"\nmemory = \"64MiB\"")
        .run(&[CALL]);
    outcome.expect_exit(2).expect_stderr("big").expect_stderr("out of memory");
}

#[test]
fn a_model_has_what_it_declares_and_not_what_its_device_has() {
    let outcome = Told::on_a_process()
        .resources("num_gpus = 0.25, memory = \"32MiB\"")
        .model("big", "input = \"f32[rows, 4]\"\nmemory = \"64MiB\"")
        .run(&[CALL]);
    // 1 MiB of workspace; the device has 512 MiB.
    outcome.expect_exit(2).expect_stderr("67108864 bytes are wanted, 10486");
}
