use sage_tests::{Codes, Outcome, Scenario, guest};

use crate::{each_sink_guest, has_a_test};
use sage_tests::poison::{INPUT, TIGHT, expect_neighbour_complete, with_neighbour};

each_sink_guest!(has_a_test);

#[test]
fn writes_a_file() {
    let folder = "capabilities = { folders = [{ host = \"written\", guest = \"/out\", write = true }] }";
    let scenario = scenario("sink_writes_a_file", folder);
    std::fs::create_dir(scenario.path().join("written")).unwrap();
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    assert_eq!(scenario.lines("written/written.txt"), INPUT);
    assert_eq!(scenario.read("written/flushed.txt").as_deref(), Some("yes"), "flushed at the end at the latest");
    assert_eq!(scenario.read("written/closed.txt").as_deref(), Some("yes"));
    assert_eq!((outcome.stage("to").count("records_in"), outcome.stage("to").count("handled")), (11, 11));
}

#[test]
fn rejects_a_record() {
    costs_the_poison("sink_rejects_a_record", Codes::REJECTED, "not in my house");
}

#[test]
fn panics() {
    costs_the_poison("sink_panics", Codes::PANIC, "indigestible");
}

#[test]
fn calls_emit() {
    costs_the_poison("sink_calls_emit", Codes::MALFORMED, "output.emit");
}

#[test]
fn fails_to_flush() {
    let scenario = scenario("sink_fails_to_flush", "");
    let outcome = scenario.run();
    outcome.expect_exit(4).expect_conservation();
    assert!(outcome.error()["message"].as_str().unwrap().contains("the disk said no"), "{outcome:?}");
    assert_eq!(outcome.error()["operator"].as_str(), Some("to"), "{outcome:?}");
}

fn scenario(name: &str, settings: &str) -> Scenario {
    let scenario = with_neighbour(&format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = \"in.txt\", format = \"lines\" }}\n[[sink]]\nname = \"to\"\ninput = \"in\"\ncomponent = \"{}\"\n{settings}\n",
        guest(name).display()
    ));
    scenario.file("in.txt", INPUT.map(|record| format!("{record}\n")).concat());
    scenario
}

fn costs_the_poison(name: &str, code: &str, message: &str) -> Outcome {
    let scenario = scenario(name, &format!("on_error = {{ dead_letter = \"dead.jsonl\" }}\n{TIGHT}"));
    let outcome = scenario.run();
    outcome.expect_exit(0).expect_conservation();
    expect_neighbour_complete(&scenario, &outcome);
    let letters = outcome.dead_letters("dead.jsonl");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].text("code"), letters[0].text("payload")), (code, "poison"));
    assert!(letters[0].text("message").contains(message), "{letters:?}");
    assert_eq!((outcome.stage("to").count("handled"), outcome.stage("to").count("dead_lettered")), (10, 1));
    outcome
}
