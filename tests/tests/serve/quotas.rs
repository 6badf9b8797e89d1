use sage_test_support::wait_until;
use serde_json::{Value, json};

use super::over_tcp::{ask_as, done_as, run_as, token};
use super::serving::{ENDLESS, Serving, text};

/// A job that holds a licence while it lives.
fn licensed(serving: &Serving) -> String {
    serving.file("same.wasm", sage_tests::WatGuest::default().build());
    let pipeline = format!(
        "{}[[operator]]\nname = \"same\"\ncomponent = \"same.wasm\"\ninput = \"in\"\n\
         resources = {{ resources = {{ licence = 1 }} }}\n",
        ENDLESS.replace("input = \"in\"", "input = \"same\"")
    );
    text(&serving.file("licensed.toml", pipeline)).to_owned()
}

#[test]
fn a_tenant_has_as_many_running_and_waiting_jobs_as_its_ceiling_says() {
    let mut serving = Serving::with_host("[tenant.blue]\njobs = 1\nqueued = 1\n[tenant.green]\n");
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let pipeline = serving.file("p.toml", ENDLESS);
    let submit = |token: &str, name: &str, wait: &[&str]| {
        done_as(&serving, token, &[&["submit", text(&pipeline), "--name", name], wait].concat());
    };
    submit(&blue, "one", &["--wait", "running"]);
    submit(&blue, "two", &[]);
    let body = json!({ "pipeline": ENDLESS, "path": "/p.toml", "name": "three" }).to_string();
    let refused = ask_as(&serving, &blue, "POST", "/v1/jobs", &body);
    assert_eq!((refused.status, refused.code().as_str()), (403, "quota"), "{refused:?}");
    let said = refused.json();
    let numbers = ["requested", "used", "limit"].map(|name| said[name].as_u64().unwrap());
    assert_eq!((said["resource"].as_str().unwrap(), numbers), ("queued", [1, 1, 1]));
    assert!(said["detail"].as_str().unwrap().contains("blue has 1 of 1 queued"), "{said}");
    let waits = ask_as(&serving, &blue, "GET", "/v1/jobs/two", "").json();
    assert_eq!(
        (waits["state"].as_str(), waits["why"].as_str().unwrap().contains("as many running jobs")),
        (Some("queued"), true)
    );
    // The ceiling of one tenant is nothing to another.
    submit(&green, "one", &["--wait", "running"]);
    submit(&green, "two", &["--wait", "running"]);
    let shown: Value = serde_json::from_str(&serving.done(&["tenant", "show", "blue", "--output", "json"])).unwrap();
    assert_eq!(
        (&shown["used"]["jobs"], &shown["used"]["queued"], &shown["ceiling"]["jobs"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let listed = done_as(&serving, &blue, &["tenant", "ls"]);
    assert!(listed.contains("blue") && listed.contains("1/1") && !listed.contains("green"), "{listed}");
    done_as(&serving, &blue, &["stop", "one", "--abort"]);
    wait_until("the waiting job runs", || {
        Some(()).filter(|()| ask_as(&serving, &blue, "GET", "/v1/jobs/two", "").json()["state"] == "running")
    });
}

#[test]
fn a_job_says_whether_its_tenant_or_the_machine_is_full() {
    let host = "resources = { licence = 3 }\n[tenant.blue]\nresources = { licence = 1 }\n[tenant.green]\n";
    let mut serving = Serving::with_host(host);
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let pipeline = licensed(&serving);
    let code = |token: &str, name: &str, expected: &str| {
        wait_until(&format!("{name} is {expected}"), || {
            let job = ask_as(&serving, token, "GET", &format!("/v1/jobs/{name}"), "").json();
            Some(()).filter(|()| job["code"] == expected)
        });
    };
    done_as(&serving, &blue, &["submit", &pipeline, "--name", "one", "--wait", "running"]);
    done_as(&serving, &blue, &["submit", &pipeline, "--name", "two"]);
    code(&blue, "two", "tenant-full");
    // The job that waits for its own tenant holds up nobody.
    for name in ["one", "two"] {
        done_as(&serving, &green, &["submit", &pipeline, "--name", name, "--wait", "running"]);
    }
    done_as(&serving, &green, &["submit", &pipeline, "--name", "three"]);
    code(&green, "three", "machine-full");
}

#[test]
fn components_of_a_tenant_are_bounded_together_and_threads_are_a_grant() {
    let mut serving =
        Serving::with_host("[tenant.blue]\ncomponent_bytes = 1000\n[tenant.green]\nisolation = \"thread\"\n");
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let upload = |bytes: &str| {
        let digest = sage_serve::store::Digest::of(bytes.as_bytes());
        ask_as(&serving, &blue, "PUT", &format!("/v1/components/{digest}"), bytes)
    };
    assert_eq!(upload(&"a".repeat(700)).status, 201);
    let refused = upload(&"b".repeat(400));
    let said = refused.json();
    let numbers = ["requested", "used", "limit"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(
        (refused.status, said["resource"].as_str().unwrap(), numbers),
        (403, "component_bytes", [400, 700, 1000])
    );
    assert_eq!(upload(&"c".repeat(300)).status, 201);

    let pipeline = serving.file("p.toml", ENDLESS.replace("rate = 1000", "count = 1"));
    let words = ["submit", text(&pipeline), "--isolation", "thread", "--wait", "done"];
    let refused = run_as(&serving, &blue, &words);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("processes of their own"), "{said}");
    done_as(&serving, &green, &words);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--wait", "done"]);
}

#[test]
fn a_tenant_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let mut serving = Serving::with_host("[tenant.blue]\nrequests_per_second = 2\n[tenant.green]\n");
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant]));
    let answers: Vec<_> = (0..20).map(|_| ask_as(&serving, &blue, "GET", "/v1/jobs", "")).collect();
    let slowed = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(slowed >= 10, "{slowed} of 20");
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.header("retry-after") == Some("1")));
    assert_eq!(ask_as(&serving, &green, "GET", "/v1/jobs", "").status, 200);
    // The program waits by itself.
    done_as(&serving, &blue, &["ps"]);
}

#[test]
fn a_ceiling_of_cpu_or_memory_is_kept_by_the_kernel_or_the_job_is_refused() {
    let mut serving = Serving::with_host("[tenant.blue]\nmemory = \"1GiB\"\ncpus = 1\n");
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    serving.file("same.wasm", sage_tests::WatGuest::default().build());
    let pipeline = format!(
        "{}[[operator]]\nname = \"same\"\ncomponent = \"same.wasm\"\ninput = \"in\"\n\
         resources = {{ num_cpus = 0.2, memory = \"64MiB\" }}\n",
        ENDLESS.replace("input = \"in\"", "input = \"same\"")
    );
    let pipeline = serving.file("p.toml", pipeline);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "held", "--wait", "running"]);
    done_as(&serving, &blue, &["stop", "held"]);
    // The same where no control groups can be seen.
    assert!(serving.stop().success());
    let hidden = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
    let words = serving.command();
    serving.start_as(std::process::Command::new("unshare").args(["--mount", "sh", "-c", hidden, "sh"]).args(words));
    let refused = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "soft", "--wait", "running"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("doctor"), "{said}");
    let log = serving.log();
    assert!(log.contains("jobs of tenants with a ceiling of CPU or memory are refused here (blue)"), "{log}");
}

/// An endless pipeline with an operator that has these resources.
fn with_resources(serving: &Serving, resources: &str) -> std::path::PathBuf {
    serving.file("same.wasm", sage_tests::WatGuest::default().build());
    let operator = format!(
        "[[operator]]\nname = \"same\"\ncomponent = \"same.wasm\"\ninput = \"in\"\nresources = {{ {resources} }}\n"
    );
    let pipeline = ENDLESS.replace("input = \"in\"", "input = \"same\"") + &operator;
    serving.file("r.toml", pipeline)
}

#[test]
fn a_pipeline_above_the_ceiling_of_its_tenant_is_refused_with_the_arithmetic() {
    let mut serving = Serving::with_host(
        "[tenant.blue]\nmemory = \"200MiB\"\nnum_gpus = 0.5\n\
         [[device]]\nname = \"cpu0\"\nkind = \"cpu\"\ncounts_as_gpu = true\n",
    );
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    for (resources, resource, numbers) in [
        ("memory = \"1GiB\"", "memory", ["200MiB", "200MiB"]),
        ("memory = \"64MiB\", num_gpus = 0.6", "GPUs", ["0.5", "0.5"]),
    ] {
        let pipeline = with_resources(&serving, resources);
        let text_of = std::fs::read_to_string(&pipeline).unwrap();
        let digest = sage_serve::store::Digest::of(&std::fs::read(serving.path("same.wasm")).unwrap()).to_string();
        // The program uploads the component and shows the refusal with its exit code.
        let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--dry-run"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("of tenant \"blue\"'s"), "{said}");
        let request = serde_json::json!({
            "pipeline": text_of, "path": pipeline, "files": { "same.wasm": digest }, "dry_run": true
        });
        let refused = ask_as(&serving, &blue, "POST", "/v1/jobs", &request.to_string());
        let said = refused.json();
        assert_eq!((refused.status, refused.code().as_str()), (403, "quota"), "{said}");
        assert_eq!(said["resource"], resource, "{said}");
        assert_eq!([&said["free"], &said["limit"]], numbers, "{said}");
        assert!(!said["requested"].is_null() && said["hint"].as_str().unwrap().contains("[tenant.blue]"), "{said}");
    }
}

#[test]
fn shares_of_devices_count_for_their_tenant_and_a_job_beyond_them_waits() {
    let mut serving = Serving::with_host(
        "[tenant.blue]\nnum_gpus = 0.5\n[tenant.green]\n\
         [[device]]\nname = \"cpu0\"\nkind = \"cpu\"\ncounts_as_gpu = true\n",
    );
    serving.start();
    let [blue, green] = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    let pipeline = with_resources(&serving, "memory = \"32MiB\", num_gpus = 0.3");
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "first", "--wait", "running"]);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "second"]);
    wait_until("the second waits for its tenant", || {
        let job = ask_as(&serving, &blue, "GET", "/v1/jobs/second", "").json();
        (job["state"] == "queued" && job["code"] == "tenant-full").then_some(())
    });
    // Another tenant is not held up.
    done_as(&serving, &green, &["submit", text(&pipeline), "--name", "other", "--wait", "running"]);
    done_as(&serving, &blue, &["stop", "first", "--abort"]);
    wait_until("the second runs", || {
        (ask_as(&serving, &blue, "GET", "/v1/jobs/second", "").json()["state"] == "running").then_some(())
    });
}
