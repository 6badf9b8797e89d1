//! Devices in processes of their own: if a device fails in any way, the host has an answer in time, and the next
//! call works.

use std::time::{Duration, Instant};

use super::device_process::{Device, Locks, TIMEOUT, is_there, numbers, spec, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use sage_machine::cgroup::Cgroups;
use sage_machine::since_boot;
use sage_models::{InferenceError, Runner, TensorData};
use sage_plan::ModelSpec;
use sage_plan::config::{BackendChoice, DeviceKind};
use sage_runtime::worker::device::{DeviceHome, DeviceProcess, DeviceSpec};
use sage_test_support::wait_until;
use sage_tests::{groups_named, has_control};

#[test]
fn a_run_answers_with_the_tensors_however_large() {
    let device = Device::new(spec("device-answers")).with(&["echo", "sum"]);
    for count in [0, 1, 3, 262_144, 4 << 20] {
        let answer = device.runner.run("echo", vec![numbers(count)], Instant::now() + TIMEOUT).unwrap();
        assert_eq!(answer.outputs, vec![numbers(count)], "{count}");
    }
    let answer = device.runner.run("sum", vec![numbers(3)], Instant::now() + TIMEOUT).unwrap();
    assert_eq!(answer.outputs[0].data(), &TensorData::F32(vec![3.0]));
    assert!(device.runner.memory_used().is_some_and(|bytes| bytes > 1 << 20));
}

#[test]
fn slots_run_beside_each_other_and_a_third_call_waits() {
    let device = Device::new(spec("device-slots")).with(&["slow 300", "echo"]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| device.run("slow").unwrap());
        }
    });
    device.expect_usable();
}

#[test]
fn what_cannot_be_loaded_says_why_and_harms_nobody() {
    let device = Device::new(spec("device-loads")).with(&["echo"]);
    let process = device.process();
    assert_eq!(device.load("refuse"), Err(InferenceError::Unsupported("an operator that nobody has".to_owned())));
    let load = |model: &ModelSpec| device.runner.load(model, Instant::now() + TIMEOUT).unwrap_err().to_string();
    let other = ModelSpec { sha256: Some([7; 32]), ..device.model("sum") };
    assert!(load(&other).contains("its sha256 is") && load(&other).contains("07070707"), "{}", load(&other));
    let missing = ModelSpec { path: "/no/such/model".into(), ..device.model("sum") };
    assert!(load(&missing).contains("cannot read /no/such/model"), "{}", load(&missing));
    let folder = ModelSpec { path: "/".into(), ..device.model("sum") };
    assert!(load(&folder).contains("it is no file"), "{}", load(&folder));
    let elsewhere = ModelSpec { backend: BackendChoice::Onnxruntime, ..device.model("sum") };
    assert!(load(&elsewhere).contains("no backend onnxruntime"), "{}", load(&elsewhere));
    assert_eq!(device.run("sum"), Err(InferenceError::UnknownModel("sum".to_owned())));
    device.expect_usable();
    assert_eq!(device.process(), process, "none of these errors restarts the process");
}

#[test]
fn an_error_and_a_panic_of_the_backend_are_answers() {
    let device = Device::new(spec("device-errors")).with(&["echo", "panic", "refuse-memory"]);
    let process = device.process();
    assert_eq!(device.run("panic"), Err(InferenceError::Backend("it panicked: as it was told".to_owned())));
    assert_eq!(device.run("refuse-memory"), Err(InferenceError::OutOfMemory("3 bytes short".to_owned())));
    device.expect_usable();
    assert_eq!(device.process(), process);
}

#[test]
fn a_hang_ends_at_its_deadline_and_costs_the_process() {
    let device = Device::new(spec("device-hangs")).with(&["echo", "hang"]);
    let process = device.process();
    let began = Instant::now();
    assert_eq!(device.run_within("hang", Duration::from_millis(100)), Err(InferenceError::Deadline));
    assert!(began.elapsed() < Duration::from_millis(900), "the answer does not wait for the process's end");
    std::thread::scope(|scope| {
        // The run in the other slot is in flight when the process is ended.
        let other = scope.spawn(|| device.run("hang"));
        let lost = other.join().unwrap().unwrap_err();
        assert!(
            matches!(&lost, InferenceError::DeviceLost(why) if why.contains("1000 ms after its deadline")),
            "{lost}"
        );
    });
    device.expect_usable();
    assert_ne!(device.process(), process);
}

#[test]
fn a_run_that_ends_within_the_grace_costs_nothing_but_its_answer() {
    let device = Device::new(spec("device-late")).with(&["echo", "slow 300"]);
    let process = device.process();
    assert_eq!(device.run_within("slow", Duration::from_millis(50)), Err(InferenceError::Deadline));
    for _ in 0..4 {
        device.expect_usable();
    }
    device.run("slow").unwrap();
    assert_eq!(device.process(), process);
}

#[test]
fn a_crash_is_a_lost_device_and_the_next_run_works() {
    let device = Device::new(spec("device-crashes")).with(&["echo", "abort", "lose"]);
    for (model, told) in [("abort", "its process was killed by SIGABRT"), ("lose", "fell off the bus")] {
        let lost = device.run(model).unwrap_err();
        assert!(matches!(&lost, InferenceError::DeviceLost(why) if why.contains(told)), "{model}: {lost}");
        device.expect_usable();
    }
    // A crash between two runs.
    let process = device.process();
    kill_process(Pid::from_raw(process as i32).unwrap(), Signal::KILL).unwrap();
    let began = Instant::now();
    while device.run("echo").is_err() {
        assert!(began.elapsed() < TIMEOUT);
    }
    assert_ne!(device.process(), process);
}

#[test]
fn memory_without_end_is_out_of_memory_with_the_limit() {
    let cgroups = Cgroups::detect(None);
    let grouped = has_control(|controls| controls.memory.available);
    let mut homes = vec![("device-hoards-alone", DeviceHome::default(), "limit 128MiB")];
    if grouped {
        let name = "device-hoards";
        let group = Some(spec(name).group(&cgroups).unwrap());
        homes.push((name, DeviceHome { group, ..DeviceHome::default() }, "the device's limit: 128MiB"));
    }
    for (name, home, told) in homes {
        let device = Device::at_home(spec(name), home).with(&["echo", "hoard"]);
        let failed = device.run("hoard").unwrap_err();
        assert!(matches!(&failed, InferenceError::OutOfMemory(why) if why.contains(told)), "{name}: {failed}");
        device.expect_usable();
        let failed = device.load("hoard-at-load").unwrap_err();
        assert!(matches!(&failed, InferenceError::OutOfMemory(why) if why.contains(told)), "{name}: {failed}");
        device.expect_usable();
    }
}

#[test]
fn models_that_crash_while_they_are_loaded_do_not_take_the_device_down() {
    let device = Device::new(spec("device-bad-models")).with(&["echo"]);
    for _ in 0..8 {
        assert!(matches!(device.load("abort-at-load"), Err(InferenceError::DeviceLost(_))));
    }
    device.expect_usable();
}

#[test]
fn a_device_that_only_crashes_stays_down_and_says_why() {
    let device = Device::new(spec("device-down")).with(&["abort"]);
    let began = Instant::now();
    let down = loop {
        let lost = device.run("abort").unwrap_err().to_string();
        if lost.contains("is not started again") {
            break lost;
        }
        assert!(lost.contains("SIGABRT") && began.elapsed() < TIMEOUT, "{lost}");
    };
    assert!(down.contains("ended 6 times without an answer in between") && down.contains("SIGABRT"), "{down}");
    assert_eq!(device.runner.process(), None);
    assert_eq!(device.runner.failed().unwrap().to_string(), down);
}

#[test]
fn a_program_that_does_not_start_is_said_to_whoever_waits() {
    for (program, told) in [("/no/such/program", "cannot be started"), ("/bin/false", "exit code 1")] {
        let runner = DeviceProcess::new(program, spec("device-absent"), DeviceHome::default()).unwrap();
        let device = Device { runner, folder: tempfile::tempdir().unwrap() };
        let failed = device.load("echo").unwrap_err().to_string();
        assert!(failed.contains(told), "{program}: {failed}");
    }
}

#[test]
fn a_model_file_that_changed_is_not_loaded_again() {
    let device = Device::new(spec("device-changed")).with(&["echo", "abort"]);
    // The model is not read from its path again.
    std::fs::remove_file(device.folder.path().join("echo.onnx")).unwrap();
    device.run("abort").unwrap_err();
    device.expect_usable();
    std::fs::write(device.folder.path().join("abort.onnx"), "slow1").unwrap();
    device.run("abort").unwrap_err();
    let began = Instant::now();
    let failed = loop {
        let failed = device.run_within("echo", Duration::from_millis(100)).unwrap_err().to_string();
        if failed.contains("is not started again") {
            break failed;
        }
        assert!(began.elapsed() < TIMEOUT, "{failed}");
    };
    assert!(
        failed.contains("model \"abort\" could not be loaded again") && failed.contains("its sha256 is"),
        "{failed}"
    );
}

#[test]
fn a_process_has_no_files_no_network_and_no_programs() {
    let device = Device::new(spec("device-fenced")).with(&["spawn"]);
    assert_eq!(device.run("spawn"), Err(InferenceError::Backend("refused [true, true, true]".to_owned())));
}

#[test]
fn the_process_of_a_driver_has_files_but_no_network_and_no_programs() {
    let kind = DeviceKind::Cuda { uuid: "GPU-that-is-not-there".to_owned() };
    let device = Device::new(DeviceSpec { kind, ..spec("device-driver") }).with(&["spawn", "echo"]);
    assert_eq!(device.run("spawn"), Err(InferenceError::Backend("refused [true, false, true]".to_owned())));
    device.expect_usable();
    assert_eq!(device.runner.memory_used(), None, "only the driver knows");
}

#[test]
fn garbage_is_a_lost_device_and_no_more() {
    for (way, told) in [
        ("long-facts", "a length of 1152921504606846976, at most 1048576 was expected"),
        ("no-facts", "invalid JSON"),
        ("odd-error", "an error that no backend has"),
        ("many-tensors", "18446744073709551615 tensors, at most 1024 were expected"),
        ("two-outputs", "2 outputs of a model that has 1"),
        ("wrong-length", "f32 of shape [1152921504606846976] in 4 bytes"),
        ("huge-tensor", "a tensor of 4503599627370496 bytes, at most 268435456 were expected"),
        ("wrong-type", "output \"y\" of type u8, f32 was expected"),
        ("claims-bytes", "the ring's writer claims"),
        ("unknown-outcome", "an outcome of 77"),
    ] {
        let device = Device::new(DeviceSpec { slots: 1, ..spec(&format!("rogue-{way}")) });
        let outcome = device.load("echo").and_then(|()| device.run("echo").map(drop));
        let lost = outcome.unwrap_err();
        assert!(matches!(&lost, InferenceError::DeviceLost(why) if why.contains(told)), "{way}: {lost}");
    }
    let device = Device::new(DeviceSpec { slots: 1, ..spec("rogue-boasts") });
    device.load("echo").unwrap();
    let began = Instant::now();
    let answer = device.run("echo").unwrap();
    assert!(answer.wall <= began.elapsed() && answer.cpu <= began.elapsed(), "{answer:?}");
}

#[test]
fn nothing_is_left_after_close_and_after_drop() {
    let name = "device-left";
    let cgroups = Cgroups::detect(None);
    let locks = Locks::new();
    for (closed, hangs) in [(true, false), (false, false), (true, true), (false, true)] {
        let group = Some(spec(name).group(&cgroups).unwrap());
        let home = DeviceHome { group, locks: Some(locks.clone()), ..DeviceHome::default() };
        let device = Device::at_home(spec(name), home).with(&["echo", "hang"]);
        device.expect_usable();
        if hangs {
            assert_eq!(device.run_within("hang", Duration::from_millis(1)), Err(InferenceError::Deadline));
        }
        let process = device.process();
        assert!(is_there(process));
        assert_eq!(locks.held(), [1, 2]);
        if closed {
            device.runner.close();
            let refused = device.run("echo").unwrap_err();
            assert_eq!(refused, InferenceError::DeviceLost("the device was closed".to_owned()));
        } else {
            drop(device);
        }
        assert!(!is_there(process), "it is reaped");
        assert_eq!(groups_named(name), Vec::<String>::new());
        wait_for("the device is not in use any more", || locks.held().is_empty());
    }
}

#[test]
fn the_locks_are_the_processs_alone_and_each_new_one_has_them() {
    let locks = Locks::new();
    let home = DeviceHome { locks: Some(locks.clone()), ..DeviceHome::default() };
    let device = Device::at_home(spec("device-locks"), home).with(&["echo", "abort"]);
    for _ in 0..2 {
        assert_eq!(locks.held(), [1, 2]);
        device.run("abort").unwrap_err();
        device.expect_usable();
    }
    device.runner.forget(1, &["abort".to_owned()], Instant::now() + TIMEOUT).unwrap();
    wait_for("only the other lease goes on", || locks.held() == [2]);
    assert_eq!(device.run("abort"), Err(InferenceError::UnknownModel("abort".to_owned())));
    device.expect_usable();
}

#[test]
fn a_process_whose_leases_are_not_renewed_ends_itself_whatever_runs_and_is_not_started_again() {
    let locks = Locks::new();
    let home = DeviceHome { locks: Some(locks.clone()), ..DeviceHome::default() };
    let device = Device::at_home(spec("device-unkept"), home).with(&["echo", "hang"]);
    std::thread::scope(|scope| {
        let hangs = scope.spawn(|| device.run("hang"));
        device.expect_usable();
        device.runner.keep_until(since_boot() + Duration::from_millis(50));
        let lost = hangs.join().unwrap().unwrap_err();
        assert!(
            matches!(&lost, InferenceError::DeviceLost(why) if why.contains("its host did not renew the leases")),
            "{lost}"
        );
    });
    wait_for("it lets go", || locks.held().is_empty());
    let refused = device.run_within("echo", Duration::from_secs(20)).unwrap_err().to_string();
    assert!(refused.contains("the leases on the device have expired"), "{refused}");
    assert_eq!((device.runner.process(), locks.held()), (None, Vec::new()));
}

#[test]
fn what_is_abandoned_ends_at_once_and_does_not_count_against_the_device() {
    let device = Device::new(DeviceSpec { slots: 1, ..spec("device-abandoned") }).with(&["echo", "hang"]);
    for _ in 0..7 {
        let process = device.process();
        std::thread::scope(|scope| {
            let hangs = scope.spawn(|| device.run("hang"));
            while !hangs.is_finished() {
                // Repeats until the run is in flight and is ended by this call.
                device.runner.abandon("a lease is over");
                std::thread::sleep(Duration::from_millis(20));
            }
            let lost = hangs.join().unwrap().unwrap_err();
            assert!(matches!(&lost, InferenceError::DeviceLost(why) if why.contains("a lease is over")), "{lost}");
        });
        wait_for("the next one", || device.runner.process().is_some_and(|next| next != process));
    }
    assert_eq!(device.runner.failed(), None);
    device.expect_usable();
}

#[test]
fn the_process_ends_with_a_host_that_is_killed() {
    let told = tempfile::NamedTempFile::new().unwrap();
    if let Ok(path) = std::env::var("SAGE_TEST_DEVICE_HOST") {
        // This process is the host that is killed: it writes the id of its device process, and waits to be
        // killed.
        let device = Device::new(spec("device-orphan")).with(&["echo"]);
        std::fs::write(format!("{path}.new"), device.process().to_string()).unwrap();
        std::fs::rename(format!("{path}.new"), path).unwrap();
        loop {
            std::thread::park();
        }
    }
    let mut host = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["device::the_process_ends_with_a_host_that_is_killed", "--exact"])
        .env("SAGE_TEST_DEVICE_HOST", told.path())
        .spawn()
        .unwrap();
    let process = wait_until("the other host's process", || std::fs::read_to_string(told.path()).unwrap().parse().ok());
    host.kill().unwrap();
    host.wait().unwrap();
    wait_for("the process ends with its host", || !is_there(process) || is_zombie(process));
}

fn is_zombie(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_none_or(|rest| rest.trim().starts_with('Z') || rest.trim().is_empty())
}

/// Not a promise, so the bounds are loose. The figures are printed to show the largest part of the cost.
#[test]
fn moving_an_image_there_takes_milliseconds() {
    let cgroups = Cgroups::detect(None);
    let spec = DeviceSpec { slots: 1, ..spec("device-measured") };
    let home = DeviceHome { group: Some(spec.group(&cgroups).unwrap()), ..DeviceHome::default() };
    let device = Device::at_home(spec, home).with(&["echo", "sum"]);
    let before = device.runner.memory_used().map(|bytes| bytes >> 10);
    let image = numbers(875_000);
    let mut measured = Vec::new();
    for _ in 0..31 {
        let inputs = vec![image.clone()];
        let began = Instant::now();
        let answer = device.runner.run("sum", inputs, Instant::now() + TIMEOUT).unwrap();
        measured.push(began.elapsed().saturating_sub(answer.wall));
    }
    measured.sort_unstable();
    let mut small = Vec::new();
    for _ in 0..101 {
        let began = Instant::now();
        let answer = device.runner.run("echo", vec![numbers(1)], Instant::now() + TIMEOUT).unwrap();
        small.push(began.elapsed().saturating_sub(answer.wall));
    }
    small.sort_unstable();
    eprintln!(
        "3.5 MB in, 4 bytes out, beside the run itself: {:?} (median of {}); 4 bytes in and out: {:?}; \
        {before:?} KiB at first",
        measured[measured.len() / 2],
        measured.len(),
        small[small.len() / 2],
    );
    assert!(measured[0] < TIMEOUT / 10);
}
