use super::by_field::{
    map as by_field_answers_as_told, map_lists as by_field_answers_lists_as_told, names_fields_and_takes_bytes,
    names_no_fields as by_field_names_no_fields,
};
use sage_tests::{Codes, Scenario, guest};

use crate::{each_map_guest, has_a_test, poisonous};
use sage_tests::poison::{
    TIGHT, beside_a_neighbour, costs_that_record_alone, does_not_start, expect_neighbour_complete, good, is_refused,
    stops_the_pipeline,
};

each_map_guest!(has_a_test);

poisonous!(map {
    never_answers: MALFORMED, "output.payloads";
    answers_twice: MALFORMED, "output.payloads";
    answers_too_few: MALFORMED, "0 entries for 1 records";
    answers_too_many: MALFORMED, "2 entries for 1 records";
    leaves_out_offsets: MALFORMED, "no offsets";
    starts_offsets_above_zero: MALFORMED, "offsets start at 1, not at 0";
    lets_offsets_fall: MALFORMED, "offset 2 is 4, below 9 before it";
    ends_offsets_early: MALFORMED, "the last offset is 0, but there are 1 bytes";
    ends_offsets_beyond: MALFORMED, "the last offset is 4294967295, but there are 4 bytes";
    calls_keep: MALFORMED, "output.keep";
    calls_rows: MALFORMED, "output.rows";
    calls_keys: MALFORMED, "output.keys";
    calls_emit: MALFORMED, "output.emit";
    rejects_a_record: REJECTED, "this one is bad: ✗";
    rejects_out_of_range: MALFORMED, "names record 1, there are 1";
    rejects_a_record_twice: MALFORMED, "names record 0 after record 0";
    rejects_a_record_again: MALFORMED, "names record 0 after record 0";
    rejects_with_too_few_messages: MALFORMED, "0 entries for 1 records";
    rejects_without_utf8: MALFORMED, "entry 0 is not UTF-8";
    panics: PANIC, "what a nasty record";
    panics_in_colour: PANIC, "forged";
    traps: TRAP, "unreachable";
    exits: EXIT, "exit";
    loops_for_ever: CPU_TIME, "60ms";
    hoards_memory: MEMORY, "16777216";
    floods_the_log: LOG_FLOOD, "log";
    logs_empty_messages: LOG_FLOOD, "log_bytes_per_second";
    floods_standard_error: LOG_FLOOD, "standard output or error";
    sends_an_oversized_record: RECORD_TOO_LARGE, "100000";
});

#[test]
fn recurses() {
    // The first stack to overflow may be the one that the compiler keeps in linear memory: that is a trap.
    let settings = format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{TIGHT}");
    let scenario = beside_a_neighbour(&guest("map_recurses"), &settings);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), good());
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!([Codes::STACK_OVERFLOW, Codes::TRAP].contains(&letters[0].text("code")), "{letters:?}");
}

#[test]
fn sleeps() {
    let settings = "on_error = { dead_letter = \"dead.jsonl\" }\nretries = 0\n\
        limits = { cpu_time_per_call = \"60ms\", call_timeout = \"100ms\" }";
    let scenario = beside_a_neighbour(&guest("map_sleeps"), settings);
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt"), good());
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters.len(), letters[0].text("code")), (1, Codes::TIMEOUT), "{letters:?}");
    assert!(letters[0].text("message").contains("100ms"), "{letters:?}");
}

#[test]
fn naps() {
    let scenario =
        beside_a_neighbour(&guest("map_naps"), "limits = { cpu_time_per_call = \"50ms\", call_timeout = \"20s\" }");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 11);
    assert_eq!(outcome.stage("guest").count("restarts"), 0, "300 ms of sleep are no CPU time\n{outcome:?}");
}

#[test]
fn is_wordy() {
    // The output of 11 × 50,000 bytes is over this limit, the output of one record is not: halving the batch
    // saves every record.
    let limits = "limits = { record_bytes = \"60KB\", output_bytes_per_call = \"120KB\" }";
    let scenario = beside_a_neighbour(&guest("map_is_wordy"), &format!("{limits}\non_error = \"skip\""));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let stage = outcome.stage("guest");
    assert_eq!((stage.count("handled"), stage.count("failed")), (11, 0), "smaller batches fit\n{outcome:?}");
    assert!(stage.count("restarts") >= 1, "{outcome:?}");
    assert_eq!(scenario.lines("out.txt").len(), 11);
}

#[test]
fn logs() {
    let scenario = beside_a_neighbour(&guest("map_logs"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_stderr("a word of warning: ✓").expect_stderr("guest");
    assert!(!outcome.stderr.contains("hardly a whisper"), "{outcome:?}");
    let loud = scenario.run_with(["--log-level", "trace"]);
    loud.expect_exit(0).expect_stderr("hardly a whisper");
}

#[test]
fn logs_a_little_too_much() {
    let scenario =
        beside_a_neighbour(&guest("map_logs_a_little_too_much"), "limits = { log_bytes_per_second = \"1KiB\" }");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 11);
    let stage = outcome.stage("guest");
    assert_eq!(stage.count("restarts"), 0, "dropping is no failure\n{outcome:?}");
    assert!((1000..=4000).contains(&stage.count("log_bytes_dropped")), "4000 bytes, 1024 a second\n{outcome:?}");
}

#[test]
fn publishes_metrics() {
    let scenario = Scenario::new();
    let port = sage_tests::free_port();
    scenario.pipeline(&format!(
        r#"
        [pipeline]
        name = "published"
        [[source]]
        name = "in"
        generate = {{ rate = 1000, payload_bytes = 8, seed = 1 }}
        [[operator]]
        name = "guest"
        component = "{}"
        input = "in"
        [[sink]]
        name = "out"
        input = "guest"
        discard = {{}}
        "#,
        guest("map_publishes_metrics").display()
    ));
    let mut running = scenario.start_with(["--metrics", &format!("127.0.0.1:{port}")]);
    let text = running.until("the guest's numbers were published", |_| {
        // The last name that is kept: a read in the middle of the call sees the names before it.
        sage_tests::http_get(port, "/metrics").filter(|text| text.contains("size") && text.contains("many_060"))
    });
    running.signal(rustix::process::Signal::INT);
    running.wait().expect_exit(0);
    let own = |name: &str| text.lines().filter(|line| line.contains(name) && line.contains("guest")).count();
    assert!(own("last") >= 1, "{text}");
    assert!(text.lines().any(|line| line.contains("last") && line.ends_with(" 2.5")), "{text}");
    assert!(!text.contains("not a name") && !text.contains(&"n".repeat(65)), "{text}");
    let many = (0..100).filter(|i| text.contains(&format!("many_{i:03}"))).count();
    assert_eq!(many, 61, "64 names, three of them others\n{text}");
}

#[test]
fn tells_its_context() {
    let settings = "config = { threshold = 3, words = [\"a\", \"ü\"] }\nparallelism = 2";
    let scenario = beside_a_neighbour(&guest("map_tells_its_context"), settings);
    let outcome = scenario.run();
    outcome.expect_exit(0);
    let told = scenario.lines("out.txt");
    assert_eq!(told.len(), 11);
    for line in told {
        let expected = [0, 1].map(|i| format!("guest {i} 2 0 1 {{\"threshold\":3,\"words\":[\"a\",\"ü\"]}}"));
        assert!(expected.contains(&line), "{line}");
    }
    let bare = beside_a_neighbour(&guest("map_tells_its_context"), "");
    bare.run().expect_exit(0);
    assert_eq!(bare.lines("out.txt")[0], "guest 0 1 0 1 {}");
}

#[test]
fn fails_to_open() {
    does_not_start(&guest("map_fails_to_open"), Codes::OPEN, "the moon is in the wrong house");
}

#[test]
fn panics_in_open() {
    does_not_start(&guest("map_panics_in_open"), Codes::PANIC, "no opening today");
}

#[test]
fn loops_in_open() {
    does_not_start(&guest("map_loops_in_open"), Codes::CPU_TIME, "60ms");
}

#[test]
fn answers_in_open() {
    does_not_start(&guest("map_answers_in_open"), Codes::MALFORMED, "output.payloads");
}

#[test]
fn panics_in_close() {
    let scenario = beside_a_neighbour(&guest("map_panics_in_close"), "");
    let outcome = scenario.run();
    outcome.expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt").len(), 11, "nothing is taken back\n{outcome:?}");
    outcome.expect_stderr("slammed the door");
}

#[test]
fn opens_anew_after_a_trap() {
    let scenario = beside_a_neighbour(&guest("map_opens_anew_after_a_trap"), "on_error = \"skip\"");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    let lines = scenario.lines("out.txt");
    assert_eq!(lines.len(), 10);
    assert!(lines.iter().all(|line| line.starts_with("1 ")), "each copy is opened once: {lines:?}");
    let seen: Vec<u32> = lines.iter().map(|line| line[2..].parse().unwrap()).collect();
    assert!(seen.windows(2).any(|pair| pair[1] == 1), "a fresh copy has seen nothing: {seen:?}");
    assert_eq!(outcome.stage("guest").count("failed"), 1);
}

#[test]
fn panics_on_the_nth_record() {
    let scenario = beside_a_neighbour(&guest("map_panics_on_the_nth_record"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 11, "every record is fine by itself\n{outcome:?}");
    assert!(outcome.stage("guest").count("restarts") >= 1);
}

#[test]
fn panics_always() {
    let settings = "on_error = \"skip\"\nlimits = { restarts_in_a_row = 5 }";
    let scenario = beside_a_neighbour(&guest("map_panics_always"), settings);
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation();
    assert_eq!(outcome.error()["code"].as_str(), Some(Codes::RESTARTS), "{outcome:?}");
    assert!(outcome.error()["message"].as_str().unwrap().contains("never again"), "why is said too\n{outcome:?}");
    assert!(outcome.stage("guest").count("restarts") <= 6, "{outcome:?}");
}

#[test]
fn looks_around() {
    let scenario = beside_a_neighbour(&guest("map_looks_around"), "");
    scenario.file("secret.txt", "secret");
    let questions = [
        format!("read {}", scenario.path().join("secret.txt").display()),
        "read secret.txt".to_owned(),
        "read /etc/hostname".to_owned(),
        "list /".to_owned(),
        "list .".to_owned(),
        "write /tmp/from-a-guest".to_owned(),
        "env PATH".to_owned(),
    ];
    scenario.file("in.txt", questions.join("\n") + "\nenvironment\narguments\nclock\ntick\n");
    scenario.run().expect_exit(0);
    for line in scenario.lines("out.txt") {
        let (question, answer) = line.rsplit_once(": ").unwrap();
        match question {
            "environment" | "arguments" => assert_eq!(answer, "0", "{line}"),
            "clock" | "tick" => assert_eq!(answer, "coarse", "{line}"),
            "env PATH: no" => assert_eq!(answer, "environment variable not found"),
            _ => assert_eq!(answer, "no", "{line}"),
        }
    }
}

#[test]
fn dials() {
    let listeners = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [granted, other] = [0, 1].map(|i| listeners[i].local_addr().unwrap());
    // Without a grant, a component that can open connections loads, and reaches nothing: runtimes of languages import
    // sockets without using them.
    let scenario = beside_a_neighbour(&guest("map_dials"), "");
    let requests = [
        format!("connect {granted}"),
        "connect [::1]:9".to_owned(),
        "listen 127.0.0.1:0".to_owned(),
        "udp 127.0.0.1:0".to_owned(),
        "resolve localhost".to_owned(),
    ];
    scenario.file("in.txt", requests.join("\n") + "\n");
    scenario.run().expect_exit(0);
    assert_eq!(scenario.lines("out.txt"), requests.map(|request| format!("{request}: no")));
    listeners[0].set_nonblocking(true).unwrap();
    assert!(listeners[0].accept().is_err(), "nothing was reached without a grant");
    listeners[0].set_nonblocking(false).unwrap();
    // With a grant, it reaches that address and no other.
    let scenario = beside_a_neighbour(&guest("map_dials"), &format!("capabilities = {{ connect = [\"{granted}\"] }}"));
    scenario.file(
        "in.txt",
        format!("connect {granted}\nconnect {other}\nlisten 127.0.0.1:0\nudp 127.0.0.1:0\nresolve localhost\n"),
    );
    scenario.run().expect_exit(0);
    assert_eq!(
        scenario.lines("out.txt"),
        [
            format!("connect {granted}: yes"),
            format!("connect {other}: no"),
            "listen 127.0.0.1:0: no".to_owned(),
            "udp 127.0.0.1:0: no".to_owned(),
            "resolve localhost: no".to_owned()
        ]
    );
    listeners[1].set_nonblocking(true).unwrap();
    assert!(listeners[1].accept().is_err(), "there was no connection to the other listener");
}

#[test]
fn uses_state() {
    is_refused(&guest("map_uses_state"), &["sage:operator/state", "map"]);
}

#[test]
fn shouts() {
    let scenario = beside_a_neighbour(&guest("map_shouts"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    assert_eq!(scenario.lines("out.txt")[..5], ["R0", "R1", "R2", "R3", "POISON"]);
}

#[test]
fn spins() {
    // CPU shares have their own test (tests/cpu.rs). Here the guest must only do no harm.
    costs_nothing("map_spins");
}

fn costs_nothing(name: &str) {
    let scenario = beside_a_neighbour(&guest(name), "");
    scenario.run().expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt").len(), 11);
}

#[test]
fn a_record_that_fails_stops_the_pipeline_unless_told_otherwise() {
    stops_the_pipeline(&guest("map_panics"), "", Codes::PANIC, "what a nasty record");
    stops_the_pipeline(&guest("map_rejects_a_record"), "", Codes::REJECTED, "this one is bad");
}

#[test]
fn a_record_that_fails_is_skipped_where_that_is_asked_for() {
    let scenario = beside_a_neighbour(&guest("map_panics"), "on_error = \"skip\"");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), good());
    assert_eq!((outcome.stage("guest").count("failed"), outcome.stage("guest").count("rejected")), (1, 0));
    let scenario = beside_a_neighbour(&guest("map_rejects_a_record"), "on_error = \"skip\"");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!((outcome.stage("guest").count("failed"), outcome.stage("guest").count("rejected")), (0, 1));
}

#[test]
fn memory_names_what_was_asked_and_the_cap() {
    let outcome = stops_the_pipeline(&guest("map_hoards_memory"), "retries = 0", Codes::MEMORY, "16");
    let message = outcome.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("16 MiB") || message.contains("16.0 MiB") || message.contains("16777216"), "{message}");
    let peak = outcome.stage("guest").count("memory_peak_bytes");
    assert!((8 << 20..=16 << 20).contains(&peak), "the peak is within the cap: {peak}");
}

#[test]
fn no_retries_still_finds_the_poison() {
    costs_that_record_alone(&guest("map_panics"), Codes::PANIC, "nasty");
    let scenario = beside_a_neighbour(&guest("map_panics"), "on_error = { dead_letter = \"dead.jsonl\" }\nretries = 0");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), good());
    assert_eq!(outcome.dead_letters("dead.jsonl").len(), 1);
}

#[test]
fn waits_for_a_silent_server() {
    times_out_on_a_silent_server("map_waits_for_a_silent_server", |address| address.to_string());
}

#[test]
fn blocks_on_a_silent_server() {
    times_out_on_a_silent_server("map_blocks_on_a_silent_server", |address| address.port().to_string());
}

fn times_out_on_a_silent_server(name: &str, record: fn(std::net::SocketAddr) -> String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let settings = format!(
        "on_error = {{ dead_letter = \"dead.jsonl\" }}\nretries = 0\nlimits = {{ call_timeout = \"200ms\" }}\n\
        capabilities = {{ connect = [\"{address}\"] }}"
    );
    let scenario = beside_a_neighbour(&guest(name), &settings);
    scenario.file("in.txt", record(address) + "\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!((letters.len(), letters[0].text("code")), (1, Codes::TIMEOUT), "{letters:?}");
}

#[test]
fn logs_in_colour() {
    let scenario = beside_a_neighbour(&guest("map_logs_in_colour"), "");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_stderr("cleared");
    steers_no_terminal(&outcome);
}

#[test]
fn a_panic_in_colour_stops_the_pipeline_in_plain_words() {
    let outcome = stops_the_pipeline(&guest("map_panics_in_colour"), "", Codes::PANIC, "forged");
    steers_no_terminal(&outcome);
}

/// Asserts that the guest wrote no control character except line ends, and no line that looks like one of the
/// host.
fn steers_no_terminal(outcome: &sage_tests::Outcome) {
    assert!(!outcome.stderr.chars().any(|c| c.is_control() && c != '\n'), "{:?}", outcome.stderr);
    let forged = |line: &str| line.starts_with("ERROR forged") || line.starts_with("error: forged");
    assert!(!outcome.stderr.lines().any(forged), "{}", outcome.stderr);
}

#[test]
fn fails_to_open_at_length() {
    let scenario = beside_a_neighbour(&guest("map_fails_to_open_at_length"), "");
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_stderr("the story so far");
    assert!(outcome.stderr.len() + outcome.stdout.len() < 100_000, "{} bytes", outcome.stderr.len());
}

#[test]
fn rejects_at_length() {
    let scenario = beside_a_neighbour(&guest("map_rejects_at_length"), "");
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_stderr("on and on");
    assert_eq!(outcome.error()["code"].as_str(), Some(Codes::REJECTED));
    assert!(outcome.stderr.len() + outcome.stdout.len() < 100_000, "{} bytes", outcome.stderr.len());
}

#[test]
fn infers_again() {
    let scenario = beside_a_neighbour(&guest("map_infers_again"), "");
    scenario.file("in.txt", "any x f32 2,3\nany x f32 2,3\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), ["Error::NoLease"; 2]);
}

#[test]
fn infers_as_told() {
    let scenario = beside_a_neighbour(&guest("map_infers_as_told"), "");
    scenario.file("in.txt", "acquire 1000\nstate\nrun any x=f32[1]:0\n");
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    // The answers with a lease are tested in tests/tests/models.
    assert_eq!(scenario.lines("out.txt"), ["no-lease"; 3]);
}

#[test]
fn a_long_rejection_is_no_record_too_large() {
    let settings = "limits = { record_bytes = \"1KiB\" }";
    let scenario = beside_a_neighbour(&guest("map_rejects_at_length"), settings);
    let pipeline = scenario.read("pipeline.toml").unwrap();
    scenario.file(
        "pipeline.toml",
        format!(
            "{pipeline}\n[[sink]]\nname = \"rejected\"\ninput = \"guest.rejects\"\n\
            file = {{ path = \"rejected.txt\" }}\n"
        ),
    );
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("out.txt"), sage_tests::poison::good());
    assert_eq!(scenario.lines("rejected.txt"), ["poison"]);
    assert_eq!(outcome.stage("guest").errors(Codes::REJECTED), 1);
}

#[test]
fn describes_itself_in_a_later_version() {
    is_refused(&guest("map_describes_itself_in_a_later_version"), &["description has version 2", "reads version 1"]);
}

#[test]
fn describes_itself_in_colour() {
    is_refused(&guest("map_describes_itself_in_colour"), &["sage:description", "control characters"]);
}
