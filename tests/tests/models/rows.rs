//! Models with dependent rows in a pipeline, on each library, with devices in threads and in processes.

use sage_tests::onnx::{Dim, Onnx, attribute, element, numbers_attribute, tensor};

use crate::told::Told;
use sage_models::DType;
use sage_test_support::{Need, skip};

const ANY: Dim<'static> = Dim::Free("?");

/// A model that adds up over time: the output row is the sum of the input row and all rows before.
fn over_time() -> Vec<u8> {
    let (of, shape) = (element(DType::I32), [Dim::Free("time"), Dim::Is(4)]);
    let axis = tensor("axis", element(DType::I64), &[], &0_i64.to_le_bytes());
    let graph = Onnx::default().input("x", of, &shape).output("y", of, &shape).weight(&axis);
    graph.node("CumSum", &["x", "axis"], &["y"], &[]).file()
}

/// A model that adds the sum of all rows of `b`, of any number, to each row of `a`.
fn with_all_of_another() -> Vec<u8> {
    let (of, shape) = (element(DType::I32), [ANY, Dim::Is(2)]);
    let axes = tensor("axes", element(DType::I64), &[1], &0_i64.to_le_bytes());
    let graph = Onnx::default().input("a", of, &shape).input("b", of, &shape).output("y", of, &shape).weight(&axes);
    let graph = graph.node("ReduceSum", &["b", "axes"], &["sum"], &[attribute("keepdims", 1)]);
    graph.node("Add", &["a", "sum"], &["y"], &[]).file()
}

/// A model that doubles each row.
fn row_by_row() -> Vec<u8> {
    let (of, shape) = (element(DType::I32), [ANY, Dim::Is(4)]);
    let graph = Onnx::default().input("x", of, &shape).output("y", of, &shape);
    graph.node("Add", &["x", "x"], &["y"], &[]).file()
}

/// Writes a pipeline of four instances that share a device, with a model `m` that has these settings.
fn laid_out(placement: &str, backend: &str, model: &[u8], settings: &str, records: &[&str]) -> Told {
    let library = std::env::var("ORT_DYLIB_PATH")
        .map_or_else(|_| String::new(), |path| format!("onnxruntime_library = {path:?}\n"));
    let told = Told::on(&format!(
        "{library}[[device]]\nname = \"cpu0\"\nkind = \"cpu\"\ncounts_as_gpu = true\n\
        memory = \"4GiB\"\nplacement = \"{placement}\"\n"
    ));
    let told = told.resources("num_gpus = 0.25, memory = \"32MiB\"").settings("parallelism = 4\nmodels = [\"m\"]");
    told.scenario.file("m.onnx", model);
    told.lay_out(records);
    let text = told.scenario.read("pipeline.toml").unwrap();
    let table = format!(
        "[model.m]\npath = \"m.onnx\"\nbackend = \"{backend}\"\nworkspace = \"16MiB\"\n{settings}\n[pipeline]\n"
    );
    told.scenario.file("pipeline.toml", text.replace("[pipeline]\n", &table));
    told
}

/// Libraries that are available on this machine.
fn backends() -> Vec<&'static str> {
    let mut backends = vec!["tract"];
    if cfg!(feature = "onnxruntime") && std::env::var_os("ORT_DYLIB_PATH").is_some() {
        backends.push("onnxruntime");
    } else {
        skip(Need::Onnxruntime, "not built in, or ORT_DYLIB_PATH names no library (make onnxruntime)");
    }
    backends
}

/// The output of the pipeline, sorted.
#[track_caller]
fn answers(told: &Told) -> Vec<String> {
    told.start(&[]).wait().expect_exit(0).expect_conservation();
    let mut answers = told.scenario.lines("out.txt");
    answers.sort();
    answers
}

#[test]
fn no_answer_is_made_of_another_instances_rows() {
    for backend in backends() {
        for placement in ["thread", "process"] {
            for settings in ["", "batching = true\nmax_delay = \"5ms\""] {
                let told = laid_out(placement, backend, &over_time(), settings, &["run m x=i32[1,4]:1"; 200]);
                assert_eq!(answers(&told), ["y i32[1, 4] 16;"; 200], "{backend} in a {placement}, {settings}");
            }
            let records = ["run m a=i32[2,2]:1 b=i32[5,2]:1", "run m a=i32[3,2]:1 b=i32[3,2]:1"].repeat(50);
            let told =
                laid_out(placement, backend, &with_all_of_another(), "batching = true\nmax_delay = \"5ms\"", &records);
            let mut expected = ["y i32[2, 2] 96;", "y i32[3, 2] 96;"].repeat(50);
            expected.sort_unstable();
            assert_eq!(answers(&told), expected, "{backend} in a {placement}");
        }
    }
}

#[test]
fn a_call_that_is_too_long_to_run_whole_is_refused_and_not_cut() {
    let long = "too-large rows of input \"x\" in one run (rows that are not shown or declared to be independent are \
        not cut; max_rows bounds it) are 40 of 32";
    for settings in ["", "batching = false", "deterministic = true"] {
        let told = laid_out("thread", "auto", &over_time(), settings, &["run m x=i32[40,4]:0"]);
        assert_eq!(answers(&told), [long], "{settings}");
        let told = laid_out("thread", "auto", &row_by_row(), settings, &["run m x=i32[40,4]:1"]);
        assert_eq!(answers(&told), ["y i32[40, 4] 1280;"], "{settings}");
    }
    let told = laid_out("thread", "auto", &over_time(), "max_rows = 40", &["run m x=i32[40,4]:0"]);
    assert_eq!(answers(&told), ["y i32[40, 4] 0;"]);
}

#[test]
fn what_is_known_of_rows_is_told_before_the_run_and_when_the_model_is_loaded() {
    let not_shown = "each call runs whole and alone: rows are not shown to be independent: \
        CumSum (y) works along the rows (axis 0)";
    let cases = [
        (over_time(), "", not_shown, not_shown),
        (over_time(), "rows = \"independent\"", "independent: declared", "independent: declared"),
        (
            row_by_row(),
            "rows = \"whole\"",
            "each call runs whole and alone: declared",
            "each call runs whole and alone: declared",
        ),
        (
            row_by_row(),
            "",
            "independent by the graph's operators, to be confirmed by runs before rows are put together or cut",
            "independent: shown by the graph's operators, and by 8 random rows alone and in batches",
        ),
    ];
    for (model, settings, before, loaded) in cases {
        let told = laid_out("thread", "auto", &model, settings, &["open m"]);
        let output = told.scenario.command("run").args(["--host", "host.toml", "--explain"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains(&format!("model \"m\": {before}")),
            "{settings}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let outcome = told.start(&["--log-level", "info"]).wait();
        outcome.expect_exit(0);
        assert!(outcome.stderr.contains(&format!("rows={loaded}")), "{settings}: {}", outcome.stderr);
    }
    let told = laid_out("thread", "auto", &over_time(), "batching = true", &["open m"]);
    let outcome = told.start(&[]).wait();
    assert!(outcome.stderr.contains("batching = true has no effect"), "{}", outcome.stderr);
}

#[test]
fn rows_that_are_declared_and_cannot_be_are_refused_before_data_flows() {
    let of = element(DType::I32);
    let graph = Onnx::default().input("x", of, &[ANY, Dim::Is(4)]).output("y", of, &[Dim::Is(1), Dim::Is(4)]);
    let file = graph.node("ReduceMax", &["x"], &["y"], &[numbers_attribute("axes", &[0])]).file();
    let cases = [
        (
            file,
            "rows = \"independent\"",
            "rows = \"independent\" of a model without rows: the first dimension of output y is 1",
        ),
        (row_by_row(), "rows = \"indpendent\"", "did you mean \"independent\"?"),
        (row_by_row(), "rows = \"whole\"\nbatching = true", "has rows = \"whole\" and batching = true"),
    ];
    for (model, settings, said) in cases {
        let told = laid_out("thread", "auto", &model, settings, &["open m"]);
        for what in ["validate", "run"] {
            let output = told.scenario.command(what).args(["--host", "host.toml"]).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{what} {settings}: {stderr}");
            assert!(stderr.contains(said), "{what} {settings}: {stderr}");
        }
        assert_eq!(told.scenario.read("out.txt"), None, "no data flowed");
    }
}
