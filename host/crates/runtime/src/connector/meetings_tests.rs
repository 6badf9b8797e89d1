//! Tests the pairs of paths that must not lead to one file, and the ways in which they do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{PathRole, PathUse, StandardStreams, compare_paths};
use sage_plan::config::{Diagnostics, Span};

/// Files, links (`name -> target`), hard links (`name = target`) and pipes (`name |`).
const TREE: [&str; 24] = [
    "in.txt",
    "d/x.txt",
    "l -> d",
    "in-link.txt -> in.txt",
    "hard.txt = in.txt",
    "to-new -> d/new.txt",
    "to-to-new -> l/../to-new",
    "out.bin.partial",
    "trap.bin.partial -> in.txt",
    "op.wasm",
    "op-link.wasm -> op.wasm",
    "op-hard.wasm = op.wasm",
    "m.onnx",
    "m-link.onnx -> d/../m.onnx",
    "m-hard.onnx = m.onnx",
    "pipeline.toml",
    "p-link.toml -> pipeline.toml",
    "p-hard.toml = pipeline.toml",
    "host.toml",
    "h-link -> host.toml",
    "lib.so",
    "cache/sub/entry",
    "c -> cache/sub",
    "pipe |",
];

/// One use, another use, and the expected message; an empty message means that both are allowed.
const CASES: [(&str, &str, &str); 109] = [
    // Parts of a sink.
    ("source in.txt", "parts in-{part}.txt", ""),
    (
        "source d/o-0000000007.txt",
        "parts d/o-{part}.txt",
        "sink \"s\" writes parts to $/d/o-{part}.txt, which source \"s\" reads",
    ),
    ("source l/o-0000000007.txt", "parts d/o-{part}.txt", "which source \"s\" reads"),
    (
        "source d/o-*.txt",
        "parts d/o-{part}.txt",
        "which matches the pattern $/d/o-*.txt that source \"s\" reads once it is there",
    ),
    ("source d/o-*7.txt", "parts l/o-{part}.txt", "once it is there"),
    ("source d/p-*.txt", "parts d/o-{part}.txt", ""),
    ("parts d/o-{part}.txt", "parts l/o-{part}.txt", "which sink \"s\" writes parts to"),
    ("parts d/o-{part}.txt", "parts d/o-1{part}.txt", ""),
    ("sink d/o-0000000007.txt", "parts d/o-{part}.txt", "which sink \"s\" writes"),
    ("dead d/o-0000000007.txt", "parts d/o-{part}.txt", "sends dead letters to"),
    ("source in.txt", "appends in-link.txt", "sink \"s\" appends to $/in-link.txt, which source \"s\" reads"),
    ("sink out.txt", "appends out.txt", "which sink \"s\" writes"),
    // A source and a sink.
    ("source in.txt", "sink in.txt", "sink \"s\" writes $/in.txt, which source \"s\" reads"),
    ("source in.txt", "sink d/../in.txt", "reads as $/in.txt (the same path in another spelling)"),
    ("source d/../in.txt", "sink in.txt", "reads as $/d/../in.txt (the same path in another spelling)"),
    ("source in.txt", "sink l/../in.txt", "(the same path in another spelling)"),
    (
        "source in.txt",
        "sink in-link.txt",
        "writes $/in-link.txt, which source \"s\" reads as $/in.txt (the same file through a link)",
    ),
    ("source in-link.txt", "sink in.txt", "(the same file through a link)"),
    ("source in.txt", "sink hard.txt", "(one file of two names: a hard link or a mount)"),
    ("source in-link.txt", "sink hard.txt", "(one file of two names: a hard link or a mount)"),
    ("source d/x.txt", "sink l/x.txt", "(the same file through a link)"),
    ("source l/x.txt", "sink d/x.txt", "(the same file through a link)"),
    ("source new.txt", "sink new.txt", "which source \"s\" reads"),
    ("source d/new.txt", "sink l/new.txt", "(the same file through a link)"),
    ("source d/new.txt", "sink to-new", "(the same file through a link)"),
    ("source d/new.txt", "sink to-to-new", "(the same file through a link)"),
    ("source to-new", "sink d/new.txt", "(the same file through a link)"),
    ("source in.txt", "sink out.txt", ""),
    ("source in.txt", "sink d/in.txt", ""),
    // A pattern and a sink.
    ("source i?.txt", "sink in.txt", "writes $/in.txt, which matches the pattern $/i?.txt that source \"s\" reads"),
    ("source i?.txt", "sink d/../in.txt", "which matches the pattern $/i?.txt"),
    ("source i?.txt", "sink in-link.txt", "which matches the pattern $/i?.txt"),
    ("source i?.txt", "sink hard.txt", "that source \"s\" reads as $/in.txt"),
    ("source in-*.txt", "sink in.txt", "that source \"s\" reads as $/in-link.txt"),
    ("source *.out", "sink new.out", "which matches the pattern $/*.out that source \"s\" reads once it is there"),
    ("source *.out", "sink l/../new.out", "once it is there"),
    ("source l/*.out", "sink d/new.out", "once it is there"),
    ("source d/*.out", "sink l/new.out", "once it is there"),
    ("source **/*.out", "sink new.out", "once it is there"),
    ("source **/*.out", "sink l/new.out", "once it is there"),
    ("source **/new.txt", "sink to-new", "once it is there"),
    ("source d/*", "sink to-to-new", "once it is there"),
    ("source [a-z].out", "sink x.out", "once it is there"),
    ("source .*.out", "sink .hidden.out", "once it is there"),
    ("source *.out", "sink .hidden.out", ""),
    ("source *.out", "sink d/new.out", ""),
    ("source **/*.out", "sink d/new.txt", ""),
    ("source *.bin", "sink out.bin", "once it is there"),
    ("source *.partial", "sink out.bin", ""),
    ("source *", "sink d/new.out", ""),
    // The temporary file of a sink.
    (
        "source out.bin.partial",
        "sink out.bin",
        "sink \"s\" gathers its output in $/out.bin.partial, which source \"s\" reads",
    ),
    (
        "source in.txt",
        "sink trap.bin",
        "gathers its output in $/trap.bin.partial, which source \"s\" reads as $/in.txt",
    ),
    ("source i?.txt", "sink trap.bin", "gathers its output in $/trap.bin.partial, which matches the pattern"),
    ("sink a.bin", "sink a.bin.partial", "gathers its output in $/a.bin.partial, which sink \"s\" writes"),
    ("component out.bin.partial", "sink out.bin", "which is the component of operator \"o\""),
    ("dead out.bin.partial", "sink out.bin", "dead letters to"),
    ("pipeline out.bin.partial", "sink out.bin", "which is the pipeline file"),
    // Two sinks.
    ("sink a.bin", "sink a.bin", "sink \"s\" writes $/a.bin, which sink \"s\" writes"),
    ("sink a.bin", "sink d/../a.bin", "(the same path in another spelling)"),
    ("sink d/a.bin", "sink l/a.bin", "(the same file through a link)"),
    ("sink in.txt", "sink hard.txt", "(one file of two names: a hard link or a mount)"),
    ("sink to-new", "sink d/new.txt", "(the same file through a link)"),
    ("sink a.bin", "sink b.bin", ""),
    // Dead letters.
    ("source in.txt", "dead in.txt", "operator \"o\" sends dead letters to $/in.txt, which source \"s\" reads"),
    ("source in.txt", "dead in-link.txt", "(the same file through a link)"),
    ("source in.txt", "dead hard.txt", "(one file of two names: a hard link or a mount)"),
    ("source new.jsonl", "dead d/../new.jsonl", "(the same path in another spelling)"),
    (
        "source *.jsonl",
        "dead rejected.jsonl",
        "which matches the pattern $/*.jsonl that source \"s\" reads once it is there",
    ),
    ("source **/*.jsonl", "dead l/rejected.jsonl", "once it is there"),
    ("sink a.bin", "dead d/../a.bin", "(the same path in another spelling)"),
    ("sink d/a.bin", "dead l/a.bin", "(the same file through a link)"),
    ("dead a.jsonl", "dead d/../a.jsonl", ""),
    ("source *.jsonl", "dead d/rejected.jsonl", ""),
    // Files that the host itself reads.
    ("component op.wasm", "sink op.wasm", "which is the component of operator \"o\""),
    ("component op.wasm", "sink op-link.wasm", "(the same file through a link)"),
    ("component op-link.wasm", "dead op.wasm", "(the same file through a link)"),
    ("component op.wasm", "sink op-hard.wasm", "(one file of two names: a hard link or a mount)"),
    ("model m.onnx", "sink d/../m.onnx", "which is the file of model \"m\""),
    ("model m.onnx", "dead m-link.onnx", "(the same file through a link)"),
    ("model m-link.onnx", "sink m-hard.onnx", "(one file of two names: a hard link or a mount)"),
    ("pipeline pipeline.toml", "sink pipeline.toml", "which is the pipeline file"),
    (
        "pipeline pipeline.toml",
        "dead p-link.toml",
        "which is the pipeline file as $/pipeline.toml (the same file through a link)",
    ),
    ("pipeline p-link.toml", "sink p-hard.toml", "(one file of two names: a hard link or a mount)"),
    ("host host.toml", "sink d/../host.toml", "which is the host file"),
    ("host h-link", "dead host.toml", "(the same file through a link)"),
    ("library lib.so", "sink lib.so", "which is a library that the host loads"),
    ("cache cache", "sink cache/out.txt", "sink \"s\" writes $/cache/out.txt, which lies in the cache"),
    ("cache cache", "dead c/dead.jsonl", "which lies in the cache"),
    // Folders in which guests may write.
    ("granted d", "sink d/new.txt", "writes $/d/new.txt, which lies in $/d, where operator \"g\" may write"),
    ("granted l", "dead d/new.jsonl", "which lies in $/d, where operator \"g\" may write"),
    ("granted d", "source l/x.txt", "operator \"g\" may write in $/d, where $/d/x.txt lies, which source \"s\" reads"),
    (
        "granted d",
        "source d/*.txt",
        "where $/d/x.txt lies, which matches the pattern $/d/*.txt that source \"s\" reads",
    ),
    ("granted .", "component op.wasm", "where $/op.wasm lies, which is the component of operator \"o\""),
    ("granted .", "model m.onnx", "which is the file of model \"m\""),
    ("granted .", "pipeline pipeline.toml", "which is the pipeline file"),
    ("granted .", "host host.toml", "which is the host file"),
    ("granted .", "library lib.so", "which is a library that the host loads"),
    ("granted .", "cache cache", "operator \"g\" may write in $, where the cache lies"),
    ("granted c", "cache cache", "operator \"g\" may write in $/cache/sub, where the cache lies"),
    ("granted cache/sub/entry/..", "cache cache", ""),
    ("granted d", "source in.txt", ""),
    ("granted d", "sink out2.bin", ""),
    ("granted d", "cache cache", ""),
    ("granted none", "sink none", ""),
    ("component op.wasm", "source op-hard.wasm", ""),
    // Paths that are not regular files.
    ("source pipe", "sink pipe", "which source \"s\" reads"),
    ("sink pipe", "sink pipe", "which sink \"s\" writes"),
    ("dead pipe", "dead pipe", ""),
    ("source /dev/null", "sink /dev/null", ""),
];

fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in TREE {
        let at = |name: &str| folder.path().join(name);
        let words: Vec<&str> = entry.split(' ').collect();
        fs::create_dir_all(at(words[0]).parent().unwrap()).unwrap();
        match words[..] {
            [name, "->", target] => symlink(target, at(name)).unwrap(),
            [name, "=", target] => fs::hard_link(at(target), at(name)).unwrap(),
            [name, "|"] => {
                let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
                rustix::fs::mknodat(rustix::fs::CWD, at(name), kind, mode, 0).unwrap();
            }
            [name] => fs::write(at(name), "x\n").unwrap(),
            _ => panic!("{entry}"),
        }
    }
    folder
}

fn path_use(root: &Path, written: &str) -> PathUse {
    let (role, path) = written.split_once(' ').unwrap();
    let role = match role {
        "source" => PathRole::Source("s".to_owned()),
        "sink" => PathRole::Sink("s".to_owned()),
        "parts" => PathRole::SinkParts("s".to_owned()),
        "appends" => PathRole::SinkAppends("s".to_owned()),
        "dead" => PathRole::DeadLetters("operator \"o\"".to_owned()),
        "component" => PathRole::Component("operator \"o\"".to_owned()),
        "model" => PathRole::Model("m".to_owned()),
        "pipeline" => PathRole::PipelineFile,
        "host" => PathRole::HostFile,
        "library" => PathRole::Library,
        "cache" => PathRole::OwnFolder("the cache"),
        "granted" => PathRole::Granted("operator \"g\"".to_owned()),
        _ => panic!("{written}"),
    };
    PathUse { role, path: root.join(path), span: Some(Span { start: 0, end: 0 }) }
}

/// The messages for some uses, with `$` for the folder.
fn said(root: &Path, uses: &[&str]) -> Vec<String> {
    let uses: Vec<_> = uses.iter().map(|written| path_use(root, written)).collect();
    let mut errors = Diagnostics::new(None);
    compare_paths(&uses, &StandardStreams::default(), &mut errors);
    errors.iter().map(|error| error.message.replace(root.to_str().unwrap(), "$")).collect()
}

#[test]
fn two_paths_that_lead_to_one_file_are_refused_however_they_are_written() {
    let folder = tree();
    let root = folder.path().canonicalize().unwrap();
    let mut wrong = Vec::new();
    for (one, other, expected) in CASES {
        for (first, second) in [(one, other), (other, one)] {
            let said = said(&root, &[first, second]);
            // If both uses write, either may be named first.
            let names_both = |said: &String| {
                said.contains(expected) || (one.starts_with("sink") && said.contains('(') == expected.contains('('))
            };
            let right =
                if expected.is_empty() { said.is_empty() } else { said.len() == 1 && said.iter().all(names_both) };
            if !right {
                wrong.push(format!("{first} + {second}\n  expected {expected:?}\n  said {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * CASES.len(), wrong.join("\n"));
}

#[test]
fn an_output_that_cannot_be_written_is_known_before_it_is_opened() {
    let folder = tree();
    let root = folder.path().canonicalize().unwrap();
    symlink("no/out.txt", root.join("to-no")).unwrap();
    symlink("circle", root.join("circle")).unwrap();
    fs::create_dir(root.join("odd.partial")).unwrap();
    for (written, expected) in [
        ("sink no/out.txt", "sink \"s\": the folder \"$/no\" of \"$/no/out.txt\" does not exist"),
        ("sink to-no", "sink \"s\": \"$/to-no\" is a link to \"no/out.txt\", whose folder does not exist"),
        ("sink circle", "sink \"s\": cannot write to \"$/circle\": Too many levels of symbolic links (os error 40)"),
        ("sink in.txt/out", "sink \"s\": cannot write to \"$/in.txt/out\": Not a directory (os error 20)"),
        ("sink d", "sink \"s\": \"$/d\" is a folder, the sink writes a file"),
        (
            "sink hard.txt",
            "sink \"s\": \"$/hard.txt\" has 2 hard links, and a new file would take the place of this one alone",
        ),
        (
            "dead no/x",
            "operator \"o\": cannot write dead letters to \"$/no/x\": No such file or directory (os error 2)",
        ),
        ("dead d", "operator \"o\": cannot write dead letters to \"$/d\": it is a folder"),
    ] {
        assert_eq!(said(&root, &[written]), [expected], "{written}");
    }
    // A name that is short enough alone, and too long with `.partial` after it.
    let long = said(&root, &[&format!("sink {}", "x".repeat(250))]);
    assert!(long.len() == 1 && long.iter().all(|said| said.ends_with("File name too long (os error 36)")), "{long:?}");
}

#[test]
fn nothing_is_made_or_changed_by_comparing() {
    let folder = tree();
    let root = folder.path().canonicalize().unwrap();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    said(&root, &["sink new.bin", "dead new.jsonl", "source none.txt", "sink out.bin"]);
    assert_eq!(names(), before);
    assert_eq!(fs::read(root.join("out.bin.partial")).unwrap(), b"x\n");
}
