//! A run never overwrites its own input and never reads its own output, however the paths are spelled.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use sage_test_support::{Need, skip};
use tempfile::TempDir;

use crate::program::{Ran, command, sage_host};

/// Writes a pipeline file with one source and one sink.
fn pipeline(folder: &Path, name: &str, source: &str, sink: &str) {
    let text = format!("[[source]]\nname = \"in\"\n{source}\n\n[[sink]]\nname = \"out\"\ninput = \"in\"\n{sink}\n");
    fs::write(folder.join(name), text).unwrap();
}

/// A folder with input files, and with links and hard links to them.
fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("sub")).unwrap();
    fs::write(at("in.txt"), "a\nb\n").unwrap();
    symlink("in.txt", at("link.txt")).unwrap();
    symlink("sub", at("folder")).unwrap();
    folder
}

/// Runs `line` in a shell in which `$SAGE` is the program.
fn shell(folder: &Path, line: &str) -> Ran {
    let like = command(folder, &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder).env("SAGE", env!("CARGO_BIN_EXE_sage-host")).stdin(Stdio::null());
    for (name, value) in like.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    Ran::of(shell.output().unwrap())
}

#[test]
fn a_sink_that_is_the_source_is_refused_by_validate_and_run_and_the_source_stays() {
    for (source, sink, how) in [
        ("in.txt", "in.txt", "which source \"in\" reads"),
        ("in.txt", "sub/../in.txt", "the same path in another spelling"),
        ("in.txt", "link.txt", "through a link"),
        ("link.txt", "in.txt", "through a link"),
        ("in.*", "in.txt", "matches the pattern in.*"),
        ("*.txt", "folder/../new.txt", "once it is there"),
        ("in.txt", "pipeline.toml", "which is the pipeline file"),
        ("in.txt", "sub/../host.toml", "which is the host file"),
    ] {
        let folder = tree();
        let file = |path: &str| format!("file = {{ path = \"{path}\" }}");
        pipeline(folder.path(), "pipeline.toml", &file(source), &file(sink));
        fs::write(folder.path().join("host.toml"), "").unwrap();
        let before = fs::read(folder.path().join("pipeline.toml")).unwrap();
        for words in ["validate", "run"] {
            let ran = sage_host(folder.path(), &[words, "pipeline.toml", "--host", "host.toml"]);
            assert_eq!(ran.code, Some(2), "{source} {sink}: {}", ran.transcript());
            let plain = ran.stderr.replace("\n  | ", " ");
            assert!(
                plain.contains(how) && plain.contains("sink \"out\" writes"),
                "{source} {sink}: {}",
                ran.transcript()
            );
        }
        assert_eq!(fs::read(folder.path().join("in.txt")).unwrap(), b"a\nb\n");
        assert_eq!(fs::read(folder.path().join("pipeline.toml")).unwrap(), before);
        assert!(!folder.path().join("new.txt").exists());
    }
}

#[test]
fn what_two_paths_meet_in_is_drawn_with_both_places() {
    let folder = tree();
    pipeline(folder.path(), "pipeline.toml", "file = { path = \"*.txt\" }", "file = { path = \"sub/../in.txt\" }");
    insta::assert_snapshot!("meeting", sage_host(folder.path(), &["validate", "pipeline.toml"]).transcript());
}

#[test]
fn a_stream_that_was_redirected_to_a_file_of_the_run_is_refused() {
    for (source, sink, line, said) in [
        ("stdin = {}", "file = { path = \"in.txt\" }", "<in.txt", "which source \"in\" reads as standard input"),
        (
            "stdin = {}",
            "file = { path = \"link.txt\" }",
            "<sub/../in.txt",
            "which source \"in\" reads as standard input",
        ),
        (
            "file = { path = \"in.txt\" }",
            "stdout = {}",
            ">>in.txt",
            "standard output with the records of sink \"out\" goes to",
        ),
        (
            "file = { path = \"*.txt\" }",
            "stdout = {}",
            ">>new.txt",
            "standard output with the records of sink \"out\" goes to",
        ),
        ("file = { path = \"in.txt\" }", "file = { path = \"out.txt\" }", ">out.txt", "standard output goes to"),
        ("file = { path = \"in.txt\" }", "discard = {}", ">>in.txt", "standard output goes to"),
    ] {
        let folder = tree();
        pipeline(folder.path(), "pipeline.toml", source, sink);
        let ran = shell(folder.path(), &format!("\"$SAGE\" run pipeline.toml {line}"));
        let plain = ran.stderr.replace("\n  | ", " ");
        assert_eq!(ran.code, Some(2), "{source} {sink} {line}: {}", ran.transcript());
        assert!(plain.contains(said), "{source} {sink} {line}: {}", ran.transcript());
        assert_eq!(fs::read(folder.path().join("in.txt")).unwrap(), b"a\nb\n");
    }
    for (source, sink, target) in [
        ("in.txt", "discard = {}", "in.txt"),
        ("*.txt", "discard = {}", "log.txt"),
        ("in.txt", "file = { path = \"out.txt\" }", "out.txt"),
    ] {
        let folder = tree();
        pipeline(folder.path(), "pipeline.toml", &format!("file = {{ path = \"{source}\" }}"), sink);
        let ran = shell(folder.path(), &format!("\"$SAGE\" run pipeline.toml 2>>{target}"));
        assert_eq!(ran.code, Some(2), "{source} {sink} {target}: {}", ran.transcript());
        let said = fs::read_to_string(folder.path().join(target)).unwrap();
        assert!(said.contains("standard error goes to"), "{said}");
    }
}

#[test]
fn streams_that_are_no_danger_are_no_meeting() {
    for line in ["</dev/null >/dev/null 2>/dev/null", ">out.txt 2>&1", "2>&1 | cat", "<in.txt >out.txt 2>log"] {
        let folder = tree();
        pipeline(folder.path(), "pipeline.toml", "file = { path = \"in.txt\" }", "stdout = {}");
        let ran = shell(folder.path(), &format!("set -e; \"$SAGE\" run pipeline.toml {line}"));
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.transcript());
    }
}

#[test]
fn a_closed_stream_is_an_error_and_not_records_lost() {
    for (source, sink, line, code, said) in [
        ("file = { path = \"in.txt\" }", "stdout = {}", ">&-", 2, "standard output is closed"),
        ("file = { path = \"in.txt\" }", "stdout = {}", "1</dev/null", 2, "standard output is open for reading only"),
        ("file = { path = \"in.txt\" }", "discard = {}", "--output json >&-", 2, "standard output is closed"),
        ("stdin = {}", "discard = {}", "<&-", 2, "standard input is closed"),
        ("stdin = {}", "discard = {}", "0>new.bin", 2, "standard input is open for writing only"),
        ("file = { path = \"in.txt\" }", "discard = {}", "--quiet >&-", 0, ""),
        ("file = { path = \"in.txt\" }", "discard = {}", "--quiet <&- >&- 2>&-", 0, ""),
    ] {
        let folder = tree();
        pipeline(folder.path(), "pipeline.toml", source, sink);
        let ran = shell(folder.path(), &format!("\"$SAGE\" run pipeline.toml {line}"));
        assert_eq!(ran.code, Some(code), "{source} {sink} {line}: {}", ran.transcript());
        assert!(ran.stderr.contains(said), "{source} {sink} {line}: {}", ran.transcript());
    }
    let folder = tree();
    pipeline(folder.path(), "pipeline.toml", "file = { path = \"in.txt\" }", "file = { path = \"out.txt\" }");
    assert_eq!(shell(folder.path(), "\"$SAGE\" validate pipeline.toml >&-").code, Some(2));
    // The run's files must not get the descriptor numbers of closed streams, or messages would be written
    // into them.
    let ran = shell(folder.path(), "\"$SAGE\" run pipeline.toml <&- >&- 2>&-");
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    assert_eq!(fs::read(folder.path().join("out.txt")).unwrap(), b"a\nb\n");
}

#[test]
fn a_file_is_refused_by_its_type_and_its_size_before_it_is_read() {
    let folder = tree();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    File::create(at("large")).unwrap().set_len(10 << 30).unwrap();
    pipeline(folder.path(), "fine.toml", "generate = { count = 1 }", "discard = {}");
    for (file, said) in [
        ("pipe", "it is a pipe, not a regular file"),
        ("sub", "it is a folder, not a regular file"),
        ("/dev/zero", "it is a device, not a regular file"),
        ("large", "it has 10737418240 bytes, at most 16777216 are allowed"),
        ("in.txt/x", "Not a directory (os error 20)"),
    ] {
        for words in [["run", file, "--quiet"].as_slice(), &["validate", file], &["run", "fine.toml", "--host", file]] {
            let ran = sage_host(folder.path(), words);
            assert_eq!(ran.code, Some(2), "{words:?}: {}", ran.transcript());
            assert!(ran.stderr.contains(said), "{words:?}: {}", ran.transcript());
        }
    }
    for (file, said) in [
        ("pipe", "component pipe is a pipe, not a regular file"),
        ("sub", "component sub is a folder, not a regular file"),
        ("/dev/zero", "component /dev/zero is a device, not a regular file"),
        ("large", "component large has 10737418240 bytes"),
    ] {
        let operator = format!("discard = {{}}\n\n[[operator]]\nname = \"op\"\ninput = \"in\"\ncomponent = \"{file}\"");
        pipeline(folder.path(), "component.toml", "generate = { count = 1 }", &operator);
        for words in [["run", "component.toml"].as_slice(), &["inspect", file]] {
            let ran = sage_host(folder.path(), words);
            assert_eq!(ran.code, Some(2), "{words:?}: {}", ran.transcript());
            assert!(ran.stderr.replace("\n  | ", " ").contains(said), "{words:?}: {}", ran.transcript());
        }
    }
}

#[test]
fn an_output_that_nothing_can_take_the_place_of_is_refused_before_data_flows() {
    let folder = tree();
    pipeline(folder.path(), "pipeline.toml", "file = { path = \"in.txt\" }", "file = { path = \"out.txt\" }");
    fs::write(folder.path().join("target"), "").unwrap();
    fs::write(folder.path().join("out.txt"), "").unwrap();
    let inside = "mount --bind target out.txt || exit 77; \"$SAGE\" run pipeline.toml; code=$?; cat target; exit $code";
    let ran = shell(folder.path(), &format!("unshare --mount sh -c '{inside}'"));
    if ran.stderr.contains("unshare") || ran.code == Some(77) || ran.code == Some(127) {
        return skip(Need::Mount, ran.stderr.trim());
    }
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.transcript());
    let said = ran.stderr.replace("\n  | ", " ");
    assert!(said.contains("is mounted by itself, and no other file can take its place"), "{}", ran.transcript());
    assert!(said.contains("mount its folder instead"), "{}", ran.transcript());
}

#[test]
fn a_name_with_control_characters_never_reaches_the_terminal_as_it_is() {
    let folder = tree();
    fs::write(folder.path().join("\u{1b}[2J\u{9b}1.jsonl"), "no json\n").unwrap();
    pipeline(folder.path(), "pipeline.toml", "file = { path = \"*.jsonl\", format = \"jsonl\" }", "discard = {}");
    pipeline(folder.path(), "\u{1b}[2J.toml", "file = { path = \"none\\u001b[2J\" }", "discard = {}");
    for words in [["run", "pipeline.toml"].as_slice(), &["run", "\u{1b}[2J.toml"], &["run", "\u{1b}none.toml"]] {
        let ran = sage_host(folder.path(), words);
        assert!(ran.code != Some(0), "{}", ran.transcript());
        let steering: Vec<char> = ran.stderr.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(steering.is_empty(), "{steering:?}: {:?}", ran.stderr);
        assert!(ran.stderr.contains("\\u{1b}"), "{}", ran.stderr);
    }
}

#[test]
fn what_an_earlier_run_has_left_is_not_read() {
    let folder = tree();
    let out = folder.path().join("results");
    fs::create_dir(&out).unwrap();
    fs::write(folder.path().join("x.txt.partial"), "half\n").unwrap();
    fs::write(folder.path().join(".hidden.txt"), "hidden\n").unwrap();
    pipeline(folder.path(), "pipeline.toml", "file = { path = \"**/*.txt*\" }", "file = { path = \"results/out\" }");
    for _ in 0..2 {
        let ran = sage_host(folder.path(), &["run", "pipeline.toml"]);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        assert_eq!(fs::read(out.join("out")).unwrap(), b"a\nb\n", "in.txt once, and nothing else");
        assert!(
            ran.stderr.replace("\n  | ", " ").contains("link.txt is the same file as in.txt and is read once"),
            "{}",
            ran.stderr
        );
    }
}
