use super::serving::{ENDLESS, Serving, text};

/// A job that holds a licence while it lives. A component has resources; this one is a map that passes records on.
fn licensed(serving: &Serving, licences: u32) -> String {
    serving.file("same.wasm", sage_tests::WatGuest::default().build());
    let pipeline = format!(
        "{}[[operator]]\nname = \"same\"\ncomponent = \"same.wasm\"\ninput = \"in\"\n\
         resources = {{ resources = {{ licence = {licences} }} }}\n",
        ENDLESS.replace("input = \"in\"", "input = \"same\"")
    );
    text(&serving.file(&format!("p{licences}.toml"), pipeline)).to_owned()
}

#[test]
fn a_job_waits_for_what_another_holds_and_what_can_never_fit_is_refused_at_once() {
    let mut serving = Serving::with_host("resources = { licence = 1 }\n");
    serving.start();
    let (one, two) = (licensed(&serving, 1), licensed(&serving, 2));
    serving.done(&["submit", &one, "--name", "holder", "--wait", "running"]);

    let refused = serving.run(&["submit", &two, "--name", "never"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("licence"), "{said}");
    assert_eq!(serving.detail("never").row.state, "rejected");

    serving.done(&["submit", &one, "--name", "waits"]);
    let waits = sage_test_support::wait_until("it says why it waits", || {
        Some(serving.detail("waits").row).filter(|job| job.code.as_deref() == Some("machine-full"))
    });
    // It may be trying again just now.
    assert!(["queued", "starting"].contains(&waits.state.as_str()), "{waits:?}");
    assert!(waits.why.as_ref().unwrap().contains("licence"), "{waits:?}");
    let listed = serving.done(&["ps"]);
    assert!(listed.contains("licence"), "{listed}");

    // It waits on while the server is away, and starts when there is room.
    serving.kill();
    serving.start();
    serving.done(&["stop", "holder"]);
    let runs = serving.until("waits", "running").row;
    assert_eq!(runs.restarts, 0);
    serving.done(&["stop", "waits"]);
}

#[test]
fn a_waiting_job_can_be_stopped() {
    let mut serving = Serving::with_host("resources = { licence = 1 }\n");
    serving.start();
    let one = licensed(&serving, 1);
    serving.done(&["submit", &one, "--name", "holder", "--wait", "running"]);
    serving.done(&["submit", &one, "--name", "waits"]);
    serving.done(&["stop", "waits"]);
    let job = serving.detail("waits").row;
    assert_eq!((job.state.as_str(), job.exit_code), ("stopped", Some(130)));
}
