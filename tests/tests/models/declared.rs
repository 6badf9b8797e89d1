#[cfg(feature = "onnxruntime")]
use sage_test_support::{Need, skip};
#[cfg(feature = "onnxruntime")]
use sage_tests::onnx::{Dim, Onnx};

use crate::told::{Told, root};

const OCR: &str = "tests/models/ocr-classifier.onnx";

/// A host with a CPU device that counts as a GPU.
fn on_a_cpu() -> Told {
    Told::on("[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\ncounts_as_gpu = true\nmemory = \"1GiB\"\n")
        .resources("num_gpus = 1, memory = \"64MiB\"")
}

/// Writes the pipeline with this model in its file; the operator lists the model.
fn declared(told: &Told, model: &str) {
    told.lay_out(&["open model"]);
    let text = told.scenario.read("pipeline.toml").unwrap();
    let text = text.replace("[pipeline]\n", &format!("[model.model]\n{model}\n[pipeline]\n"));
    told.scenario.file("pipeline.toml", text.replace("input = \"in\"\n", "input = \"in\"\nmodels = [\"model\"]\n"));
}

#[test]
fn a_model_that_cannot_be_used_is_told_before_data_flows() {
    let digest = "0".repeat(64);
    let path = root().join(OCR).canonicalize().unwrap();
    let cases = [
        ("path = \"nowhere.onnx\"".to_owned(), "nowhere.onnx: No such file"),
        (format!("path = {path:?}\nsha256 = \"{digest}\""), "declared is 000000"),
        ("path = \"broken.onnx\"".to_owned(), "model \"model\" (broken.onnx)"),
    ];
    for (model, said) in cases {
        let told = on_a_cpu();
        told.scenario.file("broken.onnx", [8, 7, 58, 255, 255, 255, 255, 15, 1, 2, 3]);
        declared(&told, &model);
        for what in ["validate", "run"] {
            let output = told.scenario.command(what).args(["--host", "host.toml"]).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{what} {model}: {stderr}");
            assert!(stderr.contains(said), "{what} {model}: {stderr}");
        }
        assert_eq!(told.scenario.read("out.txt"), None, "no data flowed");
    }
}

/// Zero of a resource is the same as no request for it.
#[test]
fn models_without_a_device_are_refused_also_where_zero_is_asked_for() {
    for resources in ["memory = \"64MiB\"", "num_gpus = 0, memory = \"64MiB\"", "num_gpus = 0.0, memory = \"64MiB\""] {
        let told = on_a_cpu().resources(resources);
        declared(&told, "path = \"model.onnx\"");
        for what in ["validate", "run"] {
            let output = told.scenario.command(what).args(["--host", "host.toml"]).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{what} {resources}: {stderr}");
            assert!(stderr.contains("asks for no device to run them on"), "{what} {resources}: {stderr}");
        }
        assert_eq!(told.scenario.read("out.txt"), None, "no data flowed");
    }
}

#[cfg(feature = "tract")]
#[test]
fn a_real_model_says_what_it_takes_and_answers() {
    let told = on_a_cpu();
    let path = root().join(OCR).canonicalize().unwrap();
    declared(&told, &format!("path = {path:?}"));
    told.scenario.file("in.txt", "open model\nrun model x=f32[2,3,48,192]:0\n");
    told.start(&[]).wait().expect_exit(0);
    let answers = told.scenario.lines("out.txt");
    assert!(answers[0].starts_with("in x f32[?,3,"), "{answers:?}");
    assert!(answers[1].contains("f32[2, 2]"), "{answers:?}");
}

/// Runs only if the path of ONNX Runtime's library is known.
#[cfg(feature = "onnxruntime")]
#[test]
fn what_onnx_runtime_is_to_run_is_tried_out_before_data_flows_too() {
    let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
        return skip(Need::Onnxruntime, "ORT_DYLIB_PATH names no library (make onnxruntime)");
    };
    let told = Told::on(&format!(
        "onnxruntime_library = {library:?}\n[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\nbackend = \"onnxruntime\"\n\
        counts_as_gpu = true\n\
         memory = \"1GiB\"\n",
    ))
    .resources("num_gpus = 1, memory = \"64MiB\"");
    let path = root().join(OCR).canonicalize().unwrap();
    declared(&told, &format!("path = {path:?}"));
    told.scenario.file("in.txt", "run model x=f32[2,3,48,192]:0\n");
    told.start(&[]).wait().expect_exit(0);
    assert!(told.scenario.lines("out.txt")[0].contains("f32[2, 2]"));

    // The file is well-formed. Only a library knows that there is no such operator.
    let shape = [Dim::Free("rows"), Dim::Is(4)];
    let unknown =
        Onnx::default().input("x", 1, &shape).output("y", 1, &shape).node("NoSuchOperator", &["x"], &["y"], &[]);
    told.scenario.file("unknown.onnx", unknown.file());
    declared(&told, "path = \"unknown.onnx\"");
    let output = told.scenario.command("validate").args(["--host", "host.toml"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("NoSuchOperator"), "{stderr}");
}

/// Numbers that no u8 can hold: ONNX does not define the result, and each library has its own.
#[cfg(all(feature = "onnxruntime", feature = "tract"))]
#[test]
fn what_two_libraries_answer_differently_is_refused_where_both_are_there() {
    use sage_tests::onnx::attribute;

    let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
        return skip(Need::Onnxruntime, "ORT_DYLIB_PATH names no library (make onnxruntime)");
    };
    let both = Told::on(&format!(
        "onnxruntime_library = {library:?}\n[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\n\
        counts_as_gpu = true\nmemory = \"1GiB\"\n",
    ))
    .resources("num_gpus = 1, memory = \"64MiB\"");
    let shape = [Dim::Free("rows"), Dim::Is(4)];
    let model = |to: i64, element: u64| {
        let graph = Onnx::default().input("x", 1, &shape).output("y", element, &shape);
        graph.node("Cast", &["x"], &["y"], &[attribute("to", to)]).file()
    };
    both.scenario.file("apart.onnx", model(2, 2));
    both.scenario.file("alike.onnx", model(11, 11));
    let validate = |model: &str| {
        declared(&both, model);
        let output = both.scenario.command("validate").args(["--host", "host.toml"]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = validate("path = \"apart.onnx\"");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("tract and ONNX Runtime answer differently to made-up inputs: output \"y\""), "{said}");
    assert!(said.contains("backend = \"onnxruntime\""), "{said}");
    for model in ["path = \"apart.onnx\"\nbackend = \"onnxruntime\"", "path = \"alike.onnx\""] {
        let (code, said) = validate(model);
        assert_eq!(code, Some(0), "{model}: {said}");
    }
    for path in [OCR, "examples/file-types/magika.onnx"] {
        let path = root().join(path).canonicalize().unwrap();
        let (code, said) = validate(&format!("path = {path:?}"));
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let told = Told::on(
        "onnxruntime_library = \"/nowhere/libonnxruntime.so\"\n[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\n\
        backend = \"onnxruntime\"\n\
         counts_as_gpu = true\nmemory = \"1GiB\"\n",
    )
    .resources("num_gpus = 1, memory = \"64MiB\"");
    let outcome = told.run(&["acquire 1"]);
    outcome.expect_exit(3);
    if cfg!(feature = "onnxruntime") {
        outcome.expect_stderr("/nowhere/libonnxruntime.so");
    } else {
        outcome.expect_stderr("onnxruntime");
    }
}

#[test]
fn a_driver_library_that_is_not_there_is_named() {
    let told = Told::on("[[device]]\nname = \"gpu0\"\nkind = \"cuda\"\nuuid = \"GPU-0\"\n")
        .resources("num_gpus = 1, memory = \"64MiB\"");
    told.lay_out(&["acquire 1"]);
    let mut command = told.scenario.command("run");
    let output =
        command.args(["--host", "host.toml"]).env("SAGE_HOST_NVML", "/nowhere/libnvidia-ml.so.1").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("/nowhere/libnvidia-ml.so.1"), "{stderr}");
}
