use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sage_models::{InferenceError, Onnxruntime};
use sage_test_support::{Need, skip};

/// A process loads the library only once. So each case runs in a process of its own: this test again, with
/// the library's path in this variable.
const CASE: &str = "SAGE_TEST_ONNXRUNTIME_LIBRARY";

/// Output of a process that tries to load this library.
fn tried(library: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "library::one_case", "--nocapture"])
        .env(CASE, library)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.split_once("case: ")).map(|(_, rest)| rest.to_owned());
    line.unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn one_case() {
    let Some(library) = std::env::var_os(CASE) else { return };
    match Onnxruntime::cpu(Some(Path::new(&library))) {
        Ok(_) => println!("case: loaded"),
        Err(error) => println!("case: {}: {error}", error.code()),
    }
}

#[test]
fn a_library_that_is_missing_or_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    fs::write(&text, "no library").unwrap();
    let empty = folder.path().join("empty.so");
    fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.so");
    let cases = [
        (missing, "No such file or directory"),
        (text, "file too short"),
        (empty, "it has no bytes"),
        (folder.path().to_path_buf(), "it is no plain file"),
        (PathBuf::from("/proc/kmsg"), ""),
        (PathBuf::from("libnobody-has-this.so"), "cannot open shared object file: No such file or directory"),
    ];
    for (library, why) in cases {
        let said = tried(&library);
        let begin = format!("unsupported: not supported: cannot load ONNX Runtime from {}: ", library.display());
        assert!(said.starts_with(&begin) && said.contains(why), "{said}");
    }
}

#[test]
fn a_library_that_is_another_one_is_named() {
    let said = tried(Path::new("libm.so.6"));
    assert!(said.contains("libm.so.6") && said.contains("OrtGetApiBase"), "{said}");
}

#[test]
fn a_process_has_one_library() {
    let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
        return skip(Need::Onnxruntime, "ORT_DYLIB_PATH names no library (make onnxruntime)");
    };
    Onnxruntime::cpu(None).unwrap();
    Onnxruntime::cpu(Some(Path::new(&library))).unwrap();
    let error = Onnxruntime::cpu(Some(Path::new("/elsewhere/libonnxruntime.so"))).unwrap_err();
    let InferenceError::Unsupported(reason) = error else { panic!("{error}") };
    assert!(reason.contains(&*library.to_string_lossy()) && reason.contains("/elsewhere/"), "{reason}");
}

#[test]
fn cuda_is_refused_where_the_library_has_none() {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        return skip(Need::Onnxruntime, "ORT_DYLIB_PATH names no library (make onnxruntime)");
    }
    match Onnxruntime::cuda(None, 0, Some(1 << 30)) {
        Ok(_) => skip(Need::NoCuda, "this library has CUDA"),
        Err(error) => assert_eq!(
            error.to_string(),
            "not supported: ONNX Runtime has no CUDA here: its library was built without it"
        ),
    }
}
