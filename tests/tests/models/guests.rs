use sage_tests::{free_port, http_get};

use crate::told::Told;

#[test]
fn without_num_gpus_every_call_is_answered_with_no_lease() {
    let told = Told::on_a_device().resources("memory = \"32MiB\"").unlisted("echo", "input = \"f32[rows, 4]\"", "");
    let records = ["acquire 100", "state", "share", "open echo", "run echo x=f32[1,4]:1"];
    assert_eq!(told.answers(&records), ["no-lease"; 5]);
}

#[test]
fn a_guest_sees_its_lease_and_the_models_that_its_operator_lists() {
    let told = Told::on_a_device()
        .resources("num_gpus = 0.25, memory = \"32MiB\"")
        .model("echo", "input = \"f32[rows, 4]\"")
        .unlisted("other", "input = \"i64[2]\"", "");
    let records = ["acquire 100", "state", "share", "open echo", "open other", "open nothing", "run other x=i64[2]:0"];
    assert_eq!(
        told.answers(&records),
        [
            "acquired",
            "held",
            "2500",
            "in x f32[?,4];out y f32[?,4];",
            "denied-model other",
            "unknown-model nothing",
            "denied-model other",
        ]
    );
}

#[test]
fn every_type_crosses_the_boundary_and_back() {
    let types = ["bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"];
    let told = types.iter().fold(Told::on_a_device().resources("num_gpus = 1, memory = \"32MiB\""), |told, dtype| {
        told.model(dtype, &format!("input = \"{dtype}[rows, 3]\""))
    });
    let records: Vec<String> = types.iter().map(|dtype| format!("run {dtype} x={dtype}[2,3]:1")).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let bytes = [6, 6, 24, 48, 12, 12, 24, 48];
    let expected: Vec<String> = types.iter().zip(bytes).map(|(dtype, sum)| format!("y {dtype}[2, 3] {sum};")).collect();
    assert_eq!(told.answers(&records), expected);
}

#[test]
fn a_tensor_that_does_not_fit_is_an_answer_and_the_guest_goes_on() {
    let told = Told::on_a_device()
        .resources("num_gpus = 1, memory = \"128MiB\"")
        .settings("limits = { output_bytes_per_call = \"4MiB\" }")
        .model("echo", "input = \"f32[rows, 4]\"")
        .model("bits", "input = \"bool[rows]\"");
    let cases = [
        ("run echo", "bad-input x: f32[rows, 4] not nothing"),
        ("run echo x=f32[2,3]:0", "bad-input x: f32[rows, 4] not f32[2, 3]"),
        ("run echo x=i32[2,4]:0", "bad-input x: f32[rows, 4] not i32[2, 4]"),
        ("run echo x=f32[4]:0", "bad-input x: f32[rows, 4] not f32[4]"),
        ("run echo z=f32[2,4]:0", "bad-input z: one of x not an input that the model does not have"),
        ("run echo x=f32[1,4]:0 x=f32[1,4]:0", "bad-input x: one tensor not two of the same name"),
        ("run echo x=f32[2,4]:..31", "bad-input x: 32 bytes for f32[2, 4] not 31 bytes"),
        ("run echo x=f32[4294967295,4294967295]:..4", "bad-input x: "),
        ("run echo x=f32[0,4]:0", "bad-input x: at least one row not none"),
        ("run bits x=bool[3]:2", "bad-input x: bools of 0 or 1 not 2 as element 0"),
        ("run echo x=f32[300000,4]:0", "too-large bytes of input are 4800000 of 4194304"),
        (
            "run echo x=f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]:0",
            "too-large dimensions are 33 of 32",
        ),
        ("longname 5000", "too-large bytes of a model's name are 5000 of 4096"),
        ("alias echo 2 5000", "too-large bytes of an input's name are 5000 of 4096"),
        ("alias echo 300 1", "too-large tensors are 300 of 256"),
        ("run echo x=f32[2,4]:1", "y f32[2, 4] 32;"),
    ];
    let answers = told.answers(&cases.map(|(record, _)| record));
    for ((record, expected), answer) in cases.iter().zip(&answers) {
        assert!(answer.starts_with(expected), "{record}: {answer}, expected {expected}");
    }
}

#[test]
fn a_call_of_more_rows_than_one_run_takes_is_cut_and_put_together_again() {
    let told = Told::on_a_device()
        .resources("num_gpus = 1, memory = \"32MiB\"")
        .model("small", "input = \"u8[rows]\"\nout_of_memory_over_rows = 32");
    assert_eq!(told.answers(&["run small x=u8[100]:..100"]), [format!("y u8[100] {};", (0..100).sum::<u32>())]);
}

#[test]
fn instances_that_share_a_device_each_get_their_own_rows() {
    let told = Told::on_a_device()
        .resources("num_gpus = 0.25, memory = \"32MiB\"")
        .settings("parallelism = 4")
        .unlisted("echo", "input = \"u8[rows]\"\nlatency_per_run = \"1ms\"", "batching = true\nmax_delay = \"5ms\"")
        .settings("models = [\"echo\"]");
    let records: Vec<String> = (0..400).map(|i| format!("run echo x=u8[{}]:{}", i % 7 + 1, i % 251)).collect();
    let outcome = told.run(&records.iter().map(String::as_str).collect::<Vec<_>>());
    outcome.expect_exit(0).expect_conservation();
    let mut expected: Vec<String> =
        (0..400).map(|i| format!("y u8[{}] {};", i % 7 + 1, (i % 7 + 1) * (i % 251))).collect();
    let mut answers = told.scenario.lines("out.txt");
    expected.sort();
    answers.sort();
    assert_eq!(answers, expected);
    let inference = &outcome.summary()["stages"][1]["inference"];
    assert_eq!(inference["calls"], 400, "{inference}");
    assert_eq!(inference["rows"], (0..400).map(|i| i % 7 + 1).sum::<u64>(), "{inference}");
}

#[test]
fn the_summary_says_which_device_served_and_what_failed() {
    let told =
        Told::on_a_device().resources("num_gpus = 1, memory = \"32MiB\"").model("echo", "input = \"f32[rows, 4]\"");
    let outcome = told.run(&["run echo x=f32[3,4]:1", "run echo x=i32[3,4]:1"]);
    outcome.expect_exit(0);
    let inference = &outcome.summary()["stages"][1]["inference"];
    assert_eq!(inference["devices"], serde_json::json!(["fake0"]));
    assert_eq!(inference["errors"]["bad-input"], 1, "{inference}");
    assert_eq!((inference["rows"].as_u64(), inference["bytes_in"].as_u64()), (Some(3), Some(48)), "{inference}");
}

#[test]
fn metrics_of_a_run_with_devices_are_served() {
    let told = Told::on_a_device()
        .resources("num_gpus = 0.5, memory = \"32MiB\"")
        .model("slow", "input = \"f32[rows, 4]\"\nlatency_per_run = \"20ms\"");
    told.lay_out(&["run slow x=f32[1,4]:1"; 2000]);
    let port = free_port().to_string();
    let mut running = told.start(&["--metrics", &format!("127.0.0.1:{port}")]);
    let port = port.parse().unwrap();
    let served = ("sage_device_leases{", "device=\"fake0\",state=\"held\"} 1");
    let calls = ("sage_model_runs_total{", "device=\"fake0\",model=\"slow\"}");
    running.until("metrics of its device", |_| {
        let page = http_get(port, "/metrics")?;
        let has = |(name, labels)| page.lines().any(|line| line.starts_with(name) && line.contains(labels));
        (has(served) && has(calls)).then_some(())
    });
}
