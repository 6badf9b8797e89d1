//! Files that are not operators are refused before anything runs; the message has the expected and the found
//! content.

use sage_tests::poison::{TIGHT, beside_a_neighbour, costs_that_record_alone, is_refused};
use sage_tests::{Scenario, WatGuest, guest};

fn refused(bytes: impl AsRef<[u8]>, parts: &[&str]) {
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", bytes);
    let named: Vec<&str> = parts.iter().copied().chain(["hostile.wasm"]).collect();
    is_refused(&component, &named);
}

fn wat(text: &str) -> Vec<u8> {
    sage_tests::wat(text)
}

#[test]
fn not_wasm_at_all() {
    refused("#!/bin/sh\necho hello\n", &["not a component"]);
    refused("", &["not a component"]);
    refused("\0asm", &["not a component"]);
}

#[test]
fn a_missing_file() {
    is_refused(std::path::Path::new("nowhere.wasm"), &["nowhere.wasm"]);
}

#[test]
fn a_folder() {
    let folder = Scenario::new();
    is_refused(folder.path(), &["a folder, not a regular file"]);
}

#[test]
fn a_core_module() {
    refused(wat("(module (func (export \"map\")))"), &["not a component", "core module"]);
}

#[test]
fn a_component_of_another_world() {
    refused(wat("(component)"), &["expected", "sage:operator", "none"]);
    let other = "(component (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i)))";
    refused(wat(other), &["expected", "sage:operator", "wasi:cli/run@0.2.0"]);
}

#[test]
fn another_version_of_the_contract() {
    for version in ["0.2.0", "0.9.3", "1.0.0"] {
        let interface = format!("sage:operator/mapper@{version}");
        let component = WatGuest { interface: interface.clone(), ..WatGuest::default() };
        refused(component.build(), &[sage_sandbox::WIT_VERSION, &interface]);
    }
}

#[test]
fn an_unknown_kind() {
    let component = WatGuest { interface: "sage:operator/juggler@0.1.0".to_owned(), ..WatGuest::default() };
    refused(component.build(), &["sage:operator/juggler@0.1.0"]);
}

#[test]
fn two_kinds_at_once() {
    let after = "(instance $filter (export \"open\" (func $open)) (export \"filter\" (func $map)) \
        (export \"close\" (func $close)))
        (export \"sage:operator/predicate@0.1.0\" (instance $filter))";
    let component = WatGuest { after: after.to_owned(), ..WatGuest::default() };
    refused(component.build(), &["mapper", "predicate"]);
}

#[test]
fn functions_of_another_shape() {
    for exports in [
        "(export \"open\" (func $open)) (export \"map\" (func $map))",
        "(export \"open\" (func $open)) (export \"map\" (func $close)) (export \"close\" (func $close))",
        "(export \"open\" (func $map)) (export \"map\" (func $map)) (export \"close\" (func $close))",
    ] {
        let component = WatGuest {
            interface: "sage:operator/other@0.1.0".to_owned(),
            after: format!("(instance $wrong {exports}) (export \"sage:operator/mapper@0.1.0\" (instance $wrong))"),
            ..WatGuest::default()
        };
        let text =
            component.build_with(|text| text.replace("(export \"sage:operator/other@0.1.0\" (instance $mapper))", ""));
        refused(text, &["sage:operator/mapper@0.1.0"]);
    }
}

#[test]
fn an_interface_that_is_a_function() {
    let text = WatGuest::default().build_with(|text| {
        text.replace(
            "(export \"sage:operator/mapper@0.1.0\" (instance $mapper))",
            "(export \"sage:operator/mapper@0.1.0\" (func $close))",
        )
    });
    refused(text, &["export", "map", "not an interface"]);
}

#[test]
fn imports_that_are_not_granted() {
    for import in [
        "wasi:http/types@0.3.0",
        "wasi:keyvalue/store@0.2.0",
        "wasi:sockets/tcp-create-socket@0.2.0",
        "acme:things/thing@1.2.3",
        "sage:operator/state@0.1.0",
        "sage:operator/secrets@0.1.0",
        "sage:operator/log@0.9.0",
    ] {
        let before = format!("(import \"{import}\" (instance (export \"f\" (func))))");
        let component = WatGuest { before, ..WatGuest::default() };
        refused(component.build(), &[import]);
    }
    let function = WatGuest { before: "(import \"launch\" (func))".to_owned(), ..WatGuest::default() };
    refused(function.build(), &["launch"]);
}

/// A component that imports HTTP, as runtimes of JavaScript do, and calls it for a poisoned record.
#[test]
fn http_is_denied_when_it_is_used() {
    let before = "(import \"wasi:http/types@0.2.0\" (instance $http (export \"fields\" (type (sub resource))) \
        (export \"now\" (func))))";
    let component = WatGuest { before: before.to_owned(), poisoned: "(call $now)".to_owned(), ..WatGuest::default() };
    let bytes = component.build_with(|text| {
        text.replace("(core module $Main", "(core func $now (canon lower (func $http \"now\")))\n(core module $Main")
            .replace("(import \"host\" \"write\"", "(import \"host\" \"now\" (func $now))\n(import \"host\" \"write\"")
            .replace(
                "(export \"write\" (func $write))",
                "(export \"write\" (func $write)) (export \"now\" (func $now))",
            )
    });
    let folder = Scenario::new();
    costs_that_record_alone(
        &folder.file("web.wasm", bytes),
        "trap",
        "wasi:http/types@0.2.0#now is denied: an operator has no HTTP",
    );
}

/// A component for another host is refused with the name of that host.
#[test]
fn foreign_components_are_told_what_to_do() {
    let exports = |name: &str| wat(&format!("(component (instance $i) (export \"{name}\" (instance $i)))"));
    refused(exports("wasi:cli/run@0.2.0"), &["a command"]);
    refused(exports("wasi:http/incoming-handler@0.2.0"), &["web component"]);
    refused(exports("wasm-graph:processor/map@1.1.0"), &["Azure IoT Operations"]);
    refused(exports("sage:operator/mapper@0.2.0"), &["newer contract", "upgrade sage-host"]);
    refused(wat("(module)"), &["core module", "wasm-tools component new --adapt"]);
    let streams = "(component (type $s (stream u8)) (import \"f\" (func (param \"s\" $s))))";
    refused(wat(streams), &["WASI 0.3", "wasm32-wasip2"]);
    let newer = "(import \"sage:operator/log@0.9.0\" (instance (export \"f\" (func))))";
    refused(WatGuest { before: newer.to_owned(), ..WatGuest::default() }.build(), &["newer contract"]);
}

/// `inspect` says what becomes of each import.
#[test]
fn inspect_marks_what_is_denied_and_what_is_refused() {
    let instance = |name: &str| format!("(import \"{name}\" (instance (export \"f\" (func))))");
    let names = ["wasi:http/types@0.2.0", "wasi:sockets/tcp@0.2.0", "wasi:keyvalue/store@0.2.0"];
    let component = WatGuest { before: names.map(instance).concat(), ..WatGuest::default() };
    let folder = Scenario::new();
    let path = folder.file("marked.wasm", component.build());
    let inspect = |format: &str| {
        let mut command = std::process::Command::new(folder.command("run").get_program());
        let ran = command.args(["inspect", "--output", format]).arg(&path).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    let text = inspect("text");
    for line in [
        "wasi:http/types@0.2.0  (denied at use)",
        "wasi:sockets/tcp@0.2.0  (denied at use, but for addresses in capabilities.connect)",
        "wasi:keyvalue/store@0.2.0  (refused: this host does not provide it)",
        "sage:operator/output@0.1.0\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let told: serde_json::Value = serde_json::from_str(&inspect("json")).unwrap();
    let access = ["wasi:http/types@0.2.0", "wasi:keyvalue/store@0.2.0", "sage:operator/log@0.1.0"];
    let access = access.map(|name| told["access"][name].as_str().unwrap().to_owned());
    assert_eq!(access, ["denied-at-use", "refused", "granted"]);
}

#[test]
fn a_granted_interface_with_a_function_that_is_not_there() {
    let before = "(import \"sage:operator/metrics@0.1.0\" (instance (export \"delete-everything\" (func))))";
    let component = WatGuest { before: before.to_owned(), ..WatGuest::default() };
    refused(component.build(), &["delete-everything"]);
}

#[test]
fn ten_thousand_exports() {
    for (what, said) in [("func $close", "exports"), ("instance $mapper", "limit")] {
        let after: String = (0..10_000).map(|i| format!("(export \"more-{i}\" ({what}))")).collect();
        let component = WatGuest { after, ..WatGuest::default() };
        refused(component.build(), &[said]);
    }
}

#[test]
fn ten_thousand_imports() {
    let before: String = (0..10_000).map(|i| format!("(import \"more-{i}\" (func))")).collect();
    let component = WatGuest { before, ..WatGuest::default() };
    refused(component.build(), &["import"]);
}

#[test]
fn components_nested_too_deep() {
    let text = format!("{}{}", "(component ".repeat(90), ")".repeat(90));
    refused(wat(&text), &[]);
}

#[test]
fn memories_and_instructions_that_are_switched_off() {
    let wide = WatGuest { after: "(core module (memory i64 1))".to_owned(), ..WatGuest::default() };
    refused(wide.build(), &["memory64"]);
    let shared = WatGuest { after: "(core module (memory 1 1 shared))".to_owned(), ..WatGuest::default() };
    refused(shared.build(), &["thread"]);
}

#[test]
fn a_file_too_large() {
    let folder = Scenario::new();
    let component = folder.file("hostile.wasm", WatGuest::default().build());
    // A sparse file: only its length is large.
    std::fs::OpenOptions::new().write(true).open(&component).unwrap().set_len(1 << 30).unwrap();
    is_refused(&component, &["1073741824", "hostile.wasm"]);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = std::fs::read(guest("map_shouts")).unwrap();
    for part in [9, 50, 1000, bytes.len() / 2, bytes.len() - 1] {
        refused(&bytes[..part], &[]);
    }
}

#[test]
fn a_flipped_bit_is_refused_or_harmless_to_others() {
    let bytes = std::fs::read(guest("map_shouts")).unwrap();
    let mut refusals = 0;
    for place in (0..16).map(|i| 8 + i * (bytes.len() - 9) / 15) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        let folder = Scenario::new();
        let component = folder.file("flipped.wasm", flipped);
        let scenario = beside_a_neighbour(&component, &format!("on_error = \"skip\"\n{TIGHT}"));
        let outcome = scenario.run();
        match outcome.exit() {
            2 => {
                assert_eq!(scenario.read("calm-out.txt"), None);
                refusals += 1;
            }
            // A changed name or constant can leave the component valid. Then the pipeline runs, with or
            // without success.
            0 | 4 => drop(outcome.expect_conservation()),
            other => panic!("byte {place}: exit {other}\n{outcome:?}"),
        }
    }
    assert!(refusals > 0, "some of the flips hit structure");
}

#[test]
fn names_of_imports_reach_people_as_plain_text() {
    let before = r#"(import "url=<https://x/\1b[31mRED\0aerror: fake\u{202e}>" (func))"#;
    let component = WatGuest { before: before.to_owned(), ..WatGuest::default() };
    let scenario = beside_a_neighbour(std::path::Path::new("hostile.wasm"), "");
    scenario.file("hostile.wasm", component.build());
    let mut inspect = scenario.command("run");
    inspect = {
        let mut command = std::process::Command::new(inspect.get_program());
        command.args(["inspect", "hostile.wasm"]).current_dir(scenario.path());
        command
    };
    for mut command in [scenario.command("run"), scenario.command("validate"), inspect] {
        let ran = command.output().unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("RED"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
        assert!(!said.lines().any(|line| line.trim_start_matches([' ', '|']).starts_with("error: fake")), "{said}");
    }
}
