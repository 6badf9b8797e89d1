use rustix::process::Signal;
use sage_models::ServiceError;
use sage_runtime::engine::{Job, JobError, JobOptions, RunError};
use sage_tests::{Running, free_port, guest, http_get};

use crate::told::Told;

const CALL: &str = "run model x=f32[1,4]:1";

/// A pipeline with a second model call that never returns; its timeout is longer than the test.
fn hangs(told: Told) -> Told {
    told.resources("num_gpus = 1, memory = \"64MiB\"")
        .settings("limits = { call_timeout = \"1h\" }")
        .model("model", "input = \"f32[rows, 4]\"\nhang_after = 1")
}

fn start(told: &Told) -> (Running, u16) {
    let port = free_port();
    (told.start(&["--metrics", &format!("127.0.0.1:{port}")]), port)
}

#[test]
fn a_run_that_is_told_to_stop_at_once_waits_for_no_model_and_ends_in_order() {
    for told in [Told::on_a_device(), Told::on_a_process()] {
        let told = hangs(told);
        told.lay_out(&[CALL; 3]);
        let (mut running, port) = start(&told);
        running.until("its second call was in flight", |_| {
            let text = http_get(port, "/metrics")?;
            text.lines().any(|line| line.starts_with("sage_inference_rows_total") && line.ends_with(" 2")).then_some(())
        });
        // Two different signals, because the kernel merges two pending signals of the same kind.
        running.signal(Signal::INT);
        running.signal(Signal::TERM);
        let outcome = running.wait();
        outcome.expect_exit(130).expect_conservation();
        let written = told.scenario.read("out.txt").unwrap_or_default();
        assert!(!written.contains("device-lost"), "{written}");
    }
}

#[test]
fn a_run_whose_other_operator_fails_waits_for_no_model() {
    let told = hangs(Told::on_a_device());
    told.lay_out(&[CALL; 3]);
    let beside = format!(
        "[[source]]\nname = \"more\"\ngenerate = {{ count = 1 }}\n\
         [[operator]]\nname = \"fails\"\ncomponent = \"{}\"\ninput = \"more\"\n\
         [[sink]]\nname = \"nowhere\"\ninput = \"fails\"\ndiscard = {{}}\n",
        guest("map_panics_always").display()
    );
    let pipeline = told.scenario.read("pipeline.toml").unwrap();
    told.scenario.file("pipeline.toml", format!("{pipeline}{beside}"));
    let outcome = told.start(&[]).wait();
    outcome.expect_exit(4).expect_conservation();
    assert_eq!(outcome.error()["operator"], "fails");
}

#[test]
fn a_run_that_is_stopped_before_its_models_are_loaded_loads_none() {
    let told = hangs(Told::on_a_device());
    told.lay_out(&[CALL]);
    let options = JobOptions {
        host_file: Some(told.scenario.path().join("host.toml")),
        lease_folder: Some(told.scenario.leases().to_owned()),
        ..JobOptions::default()
    };
    let job = Job::from_file(&told.scenario.path().join("pipeline.toml"), options).unwrap();
    job.stop_handle().drain();
    match job.start().map(drop) {
        Err(JobError::Run(RunError::Models(error))) => assert!(matches!(*error, ServiceError::Stopped), "{error}"),
        other => panic!("{other:?}"),
    }
}
