use std::path::Path;
use std::process::{Command, Output};

use sage_tests::onnx::{Dim, Onnx, attribute};
use sage_tests::program;
use serde_json::{Value, json};

fn inspect(words: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    Command::new(program()).arg("inspect").args(words).current_dir(root).output().unwrap()
}

#[test]
fn a_model_is_told_in_words() {
    let output = inspect(&["examples/file-types/magika.onnx"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "model:      examples/file-types/magika.onnx",
        "inputs:     bytes i32[?, 2048]",
        "outputs:    target_label f32[?, 214]",
        "sha256:     fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        "from:       ai.onnx 15",
        "producer:   tf2onnx 1.16.1 15c810",
        "rows:       independent: shown by the graph's operators, and by random rows alone and in batches",
    ] {
        assert!(said.lines().any(|told| told == line), "{line} is missing:\n{said}");
    }
    assert!(said.contains("tract:      runs, one row in ") && said.contains("several rows at once"), "{said}");
}

#[test]
fn a_model_whose_rows_depend_on_each_other_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.onnx");
    let shape = [Dim::Free("candidates"), Dim::Is(3)];
    let model = Onnx::default().input("x", 1, &shape).output("y", 1, &shape);
    std::fs::write(&file, model.node("Softmax", &["x"], &["y"], &[attribute("axis", 0)]).file()).unwrap();
    let said = String::from_utf8(inspect(&[file.to_str().unwrap()]).stdout).unwrap();
    let why = "each call runs whole and alone: rows are not shown to be independent: \
        Softmax (y) works along the rows (axis 0)";
    assert!(said.contains(&format!("rows:       {why}\n")) && !said.contains("several rows at once"), "{said}");
    let output = inspect(&[file.to_str().unwrap(), "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["rows"], json!({ "independent_by_graph": false, "says": why }), "{told}");
}

#[test]
fn a_model_is_told_as_json_also_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model");
    let shape = [Dim::Free("rows"), Dim::Free("?"), Dim::Is(3)];
    let model = Onnx::default().input("x", 9, &shape).output("y", 9, &shape);
    std::fs::write(&file, model.node("Identity", &["x"], &["y"], &[]).file()).unwrap();
    let output = inspect(&[file.to_str().unwrap(), "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["inputs"], json!([{ "name": "x", "type": "bool", "shape": ["rows", "", 3] }]), "{told}");
    assert_eq!((&told["operators"], &told["weight_bytes"]), (&json!(["Identity"]), &json!(0)));
    assert_eq!(told["tract"]["loads"], true, "{told}");
}

#[test]
fn a_file_that_steers_terminals_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    let model = Onnx::default().input("x\u{1b}[2J\nsha256: 00", 1, &[Dim::Is(1)]).output("y", 1, &[Dim::Is(1)]);
    std::fs::write(&file, model.node("Frob\u{7}", &[], &["y"], &[]).file()).unwrap();
    let said = String::from_utf8(inspect(&[file.to_str().unwrap()]).stdout).unwrap();
    assert!(said.contains(r"x\u{1b}[2J\nsha256: 00 f32[1]"), "{said}");
    assert!(said.contains("tract:      does not run: tract has no operator Frob"), "{said}");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
}

#[test]
fn what_is_no_model_is_said_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.onnx");
    std::fs::write(&file, "text").unwrap();
    let output = inspect(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let begin = format!("error: {} is no model that can be used: the file is no ONNX model", file.display());
    assert!(said.starts_with(&begin), "{said}");
    let missing = inspect(&["nowhere.onnx"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("error: cannot read nowhere.onnx: No such file"));
}
