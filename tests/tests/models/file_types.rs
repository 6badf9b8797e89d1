use std::collections::BTreeMap;
use std::fs;

use sage_tests::{Scenario, operator};
use serde_json::Value;

use crate::told::root;

/// Label, group and MIME type by path.
fn types(lines: &str) -> BTreeMap<String, [Value; 3]> {
    let read = |line: &str| -> (String, [Value; 3]) {
        let found: Value = serde_json::from_str(line).unwrap();
        let path = found["path"].as_str().unwrap().to_owned();
        (path, ["label", "group", "mime"].map(|key| found[key].clone()))
    };
    lines.lines().map(read).collect()
}

/// The example's operator, model and files. The Python package magika determined the expected types (see
/// `SOURCE.md` there).
#[test]
fn a_real_model_tells_the_types_of_real_files_as_its_makers_program_does() {
    let example = root().join("examples/file-types");
    let scenario = Scenario::new();
    scenario.file("host.toml", fs::read(example.join("host.toml")).unwrap());
    fs::create_dir(scenario.path().join("files")).unwrap();
    for entry in fs::read_dir(example.join("files")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, scenario.path().join("files").join(path.file_name().unwrap())).unwrap();
    }
    let text = fs::read_to_string(example.join("pipeline.toml")).unwrap();
    let digest = text.lines().find(|line| line.starts_with("sha256")).unwrap();
    scenario.pipeline(&format!(
        "[model.magika]\npath = {:?}\n{digest}\n\
         [[source]]\nname = \"samples\"\nfile = {{ path = \"files/*\", format = \"whole\" }}\n\
         [[operator]]\nname = \"type\"\ncomponent = {:?}\ninput = \"samples\"\nparallelism = 2\n\
         resources = {{ num_gpus = 0.5, memory = \"128MiB\" }}\nmodels = [\"magika\"]\n\
         [[sink]]\nname = \"types\"\ninput = \"type\"\nfile = {{ path = \"types.jsonl\" }}\n",
        example.join("magika.onnx").canonicalize().unwrap(),
        operator("file_type"),
    ));
    let expected = types(&fs::read_to_string(example.join("expected/types.jsonl")).unwrap());
    assert_eq!(expected.len(), 36);
    let host = scenario.read("host.toml").unwrap();
    for placement in ["thread", "process"] {
        // In a process of its own, the device has the memory of its leases, which must suffice to load the
        // model.
        scenario.file("host.toml", format!("{host}\nplacement = \"{placement}\"\n"));
        let outcome = scenario.run_with(["--host", "host.toml"]);
        outcome.expect_exit(0).expect_conservation();
        assert_eq!(types(&scenario.read("types.jsonl").unwrap()), expected, "{placement}");
        fs::remove_file(scenario.path().join("types.jsonl")).unwrap();
    }
}
