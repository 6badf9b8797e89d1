//! The `memory` limit of an instance in a process of its own: the guest's limit inside, and the kernel's
//! limit around the process.

use sage_tests::{Codes, Outcome, Scenario, groups_named, guest, has_control};

/// Runs 2,000 records, one of them poison, through `guest` and through a healthy neighbour.
fn beside_a_neighbour(component: &str, settings: &str) -> (Scenario, Outcome) {
    let scenario = Scenario::new();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "memory"
        [[source]]
        name = "in"
        file = {{ path = "in.txt", format = "lines" }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        on_error = {{ dead_letter = "dead.jsonl" }}
        {settings}
        [[operator]]
        name = "healthy"
        component = "{}"
        input = "in"
        [[sink]]
        name = "out"
        input = "healthy"
        file = {{ path = "out.txt" }}
        [[sink]]
        name = "away"
        input = "guest"
        discard = {{}}
        "#,
        guest(component).display(),
        guest("map_shouts").display(),
    ));
    let mut lines: Vec<String> = (0..2000).map(|number| format!("record {number}")).collect();
    lines[1234] = "poison".to_owned();
    scenario.file("in.txt", lines.join("\n"));
    let outcome = scenario.run_with(["--isolation", "process"]);
    (scenario, outcome)
}

#[test]
fn a_guest_over_its_cap_fails_with_its_own_message_and_its_worker_lives_on() {
    let settings = "resources = { memory = \"32MiB\" }";
    let (scenario, outcome) = beside_a_neighbour("map_hoards_memory", settings);
    outcome.expect_exit(0).expect_conservation();
    let guest = outcome.stage("guest");
    assert_eq!((guest.errors(Codes::MEMORY), guest.count("dead_lettered")), (1, 1), "{outcome:?}");
    let letter = scenario.read("dead.jsonl").unwrap();
    assert!(letter.contains("of its 16777216 bytes of memory are in use"), "{letter}");
    assert_eq!(scenario.lines("out.txt").len(), 2000);
    assert_eq!(guest.count("workers_lost"), 0, "the kernel's limit is only behind the guest's");
}

#[test]
fn what_the_guests_cap_does_not_count_ends_at_the_kernels_limit_and_neighbours_lose_nothing() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    // The guest sends up to 64 MiB in each call. The host's part of the worker holds them, not the guest's
    // memory.
    let settings = "resources = { memory = \"40MiB\" }";
    let (scenario, outcome) = beside_a_neighbour("flat_map_never_stops_answering", settings);
    outcome.expect_exit(0).expect_conservation();
    let letter = scenario.read("dead.jsonl").unwrap();
    for part in ["the kernel killed the worker process at the instance's limit: 40MiB", "at its peak", "\"memory\""] {
        assert!(letter.contains(part), "{letter}");
    }
    assert_eq!(letter.lines().count(), 1, "only the poison");
    assert_eq!(scenario.lines("out.txt").len(), 2000);
    let guest = outcome.stage("guest");
    assert!(guest.count("workers_lost") > 0, "{outcome:?}");
    let breaches = stage(&outcome, "guest")["breaches"].clone();
    assert!(breaches["worker_memory"].as_u64().unwrap() > 0, "{breaches}");
}

#[test]
fn the_summary_has_what_the_kernel_counted() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    let (scenario, outcome) = beside_a_neighbour("map_shouts", "resources = { memory = \"32MiB\" }");
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 2000);
    let kernel = stage(&outcome, "guest")["kernel"].clone();
    assert_eq!(kernel["memory_max_bytes"].as_u64(), Some(32 << 20));
    assert!(kernel["memory_peak_bytes"].as_u64().is_some_and(|peak| (1 << 20..32 << 20).contains(&peak)), "{kernel}");
}

#[test]
fn an_instance_whose_memory_is_no_more_than_a_workers_own_is_refused_with_the_numbers() {
    let (_, outcome) = beside_a_neighbour("map_shouts", "resources = { memory = \"8MiB\" }");
    outcome.expect_exit(3).expect_stderr("8MiB").expect_stderr("16MiB").expect_stderr("hint");
}

fn stage(outcome: &Outcome, name: &str) -> serde_json::Value {
    let summary = outcome.summary();
    summary["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap().clone()
}

#[test]
fn the_sum_for_a_pipeline_that_explain_shows_is_the_number_in_the_kernels_file() {
    if !has_control(|controls| controls.memory.available) {
        return;
    }
    let scenario = Scenario::new();
    scenario.file("host.toml", "slice = \"sage-test-sum\"\n");
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "summed-up"
        [[source]]
        name = "in"
        generate = {{ rate = 100 }}
        [[operator]]
        name = "count"
        component = "{}"
        input = "in"
        resources = {{ memory = "40MiB", object_store_memory = "2MiB" }}
        [[operator]]
        name = "shout"
        component = "{}"
        input = "in"
        parallelism = 2
        [[sink]]
        name = "out"
        input = ["count", "shout"]
        discard = {{}}
        "#,
        guest("process_counts_by_key").display(),
        guest("map_shouts").display(),
    ));
    let housed = ["--host", "host.toml", "--isolation", "process"];
    let explained = scenario.command("run").args(housed).args(["--explain", "--output", "json"]).output().unwrap();
    let ledger: serde_json::Value = serde_json::from_slice(&explained.stdout).unwrap();
    let arithmetic = &ledger["arithmetic"];
    let mut running = scenario.start_with(housed);
    let limit = running.until("its group was there", |_| {
        let files = groups_named("summed-up").into_iter().flat_map(|group| {
            ["memory.limit_in_bytes", "memory.max"].map(|file| std::path::Path::new(&group).join(file))
        });
        let numbers = files.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
        // The group exists before its limit is set.
        numbers.min().filter(|limit| *limit < 1 << 62)
    });
    assert_eq!(arithmetic["pipeline"], limit, "{arithmetic:#}");
    let part = |name: &str| arithmetic[name].as_u64().unwrap();
    assert_eq!(part("claimed"), limit + part("edges") + part("copies"));
    assert_eq!(part("edges"), 2 << 20);
    let text = scenario.command("run").args(housed).arg("--explain").output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains(&format!(" = pipeline {}MiB\n", limit >> 20)), "{limit} is not in\n{text}");
}
