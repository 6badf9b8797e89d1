//! Files that are made to hurt whoever opens them, and paths that are made to lead elsewhere, from a tenant.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sage_tests::wat;
use serde_json::Value;

use super::serving::{Serving, text};

const BLUE: [&str; 2] = ["--tenant", "blue"];

fn serving() -> Serving {
    let mut serving =
        Serving::with_host("compile_timeout = \"10s\"\n[tenant.blue]\nisolation = \"thread\"\n[tenant.default]\n");
    serving.start();
    serving
}

fn reading(source: &str) -> String {
    format!("[[source]]\nname = \"in\"\nfile = {source}\n[[sink]]\nname = \"out\"\ninput = \"in\"\ndiscard = {{}}\n")
}

fn through(component: &str) -> String {
    format!(
        "[[source]]\nname = \"in\"\ngenerate = {{ count = 3 }}\n\
         [[operator]]\nname = \"bomb\"\ncomponent = {component:?}\ninput = \"in\"\n\
         [[sink]]\nname = \"out\"\ninput = \"bomb\"\ndiscard = {{}}\n"
    )
}

/// Submits a pipeline of blue and returns the exit code and what was said.
fn submitted(serving: &Serving, name: &str, pipeline: &str) -> (Option<i32>, String) {
    let path = serving.file(&format!("{name}.toml"), pipeline);
    let words = [&["submit", text(&path), "--name", name, "--wait", "done"], &BLUE[..]].concat();
    let output = serving.run(&words);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// The server answers, and no job of blue is left running.
fn assert_well(serving: &Serving, name: &str) {
    let page: Value = serving.client().of_tenant(Some("blue".parse().unwrap())).get("/v1/jobs?state=live").unwrap();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 0, "{name}: {page}");
}

#[test]
fn components_that_are_bombs_are_refused_within_their_limits() {
    let serving = serving();
    let mut large = wat("(component)");
    let size = 40 << 20;
    large.extend([0]);
    // The length of a custom section, in LEB128 of five bytes.
    large.extend((0..5).map(|at| ((size >> (7 * at)) & 0x7f) as u8 | if at < 4 { 0x80 } else { 0 }));
    large.resize(large.len() + size, 0);
    let functions: String = (0..200_000).map(|_| "(func)").collect();
    let nested = |depth: usize| format!("{}{}", "(component ".repeat(depth), ")".repeat(depth));
    let blocks = format!("(component (core module (func {}{})))", "(block ".repeat(60_000), ")".repeat(60_000));
    let bombs: [(&str, Vec<u8>); 6] = [
        ("large", large),
        ("functions", wat(&format!("(component (core module {functions}))"))),
        ("nested", wat(&nested(90))),
        ("blocks", wat(&blocks)),
        ("lying", b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\x0f".to_vec()),
        ("zeros", vec![0; 1 << 20]),
    ];
    for (name, bytes) in bombs {
        serving.file(&format!("{name}.wasm"), bytes);
        let (code, said) = submitted(&serving, name, &through(&format!("{name}.wasm")));
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains("bomb") || said.contains(&format!("{name}.wasm")), "{name} names its place: {said}");
        assert_well(&serving, name);
    }
}

#[test]
fn a_compressed_bomb_is_read_as_what_it_is_within_the_limits_of_a_record() {
    let serving = serving();
    let data = serving.path("state/data/blue");
    fs::create_dir_all(&data).unwrap();
    // One line of 1 GiB of zeros, in a megabyte.
    let mut bomb =
        flate2::write::GzEncoder::new(File::create(data.join("bomb.gz")).unwrap(), flate2::Compression::best());
    for _ in 0..256 {
        bomb.write_all(&vec![b'0'; 4 << 20]).unwrap();
    }
    bomb.finish().unwrap();
    let (code, said) = submitted(&serving, "bomb", &reading("{ path = \"bomb.gz\", format = \"lines\" }"));
    assert!(code.is_some_and(|code| code == 0 || code == 4), "{said}");
    let job: Value = serving.client().of_tenant(Some("blue".parse().unwrap())).get("/v1/jobs/bomb").unwrap();
    let summary = &job["end"]["summary"];
    assert!(summary.is_object(), "{job}");
    assert!(summary["stages"][0]["records_out"].as_u64().unwrap() <= 1, "a line of 1 GiB is no record: {summary}");
    assert_well(&serving, "bomb");
}

#[test]
fn paths_that_lead_out_of_a_tenants_folders_open_nothing() {
    let serving = serving();
    let data = serving.path("state/data/blue");
    fs::create_dir_all(data.join("deep")).unwrap();
    let secret = serving.file("secret.txt", "a secret\n");
    symlink(&secret, data.join("link.txt")).unwrap();
    symlink("/", data.join("root")).unwrap();
    mknodat(CWD, data.join("zero"), FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 5)).unwrap();
    let written = [
        "/etc/shadow",
        "../../../etc/shadow",
        "deep/../../../../../etc/shadow",
        "/proc/self/environ",
        "/proc/1/environ",
        "/dev/zero",
        "/sys/kernel/notes",
        "/**",
        "/etc/*",
        "../*/secret.txt",
        text(&secret),
        "link.txt",
        "root/etc/shadow",
        "root/**",
        "\u{0}",
        "a\u{0}b",
        "%2e%2e/%2e%2e/secret.txt",
    ];
    let long = "x/".repeat(3000);
    for (number, path) in written.iter().copied().chain([long.as_str()]).enumerate() {
        let name = format!("p{number}");
        let source = format!("{{ path = {path:?}, format = \"lines\" }}").replace("\\0", "\\u0000");
        let pipeline = reading(&source).replace("discard = {}", &format!("file = {{ path = \"{name}.out\" }}"));
        let (code, said) = submitted(&serving, &name, &pipeline);
        assert!(code.is_some_and(|code| code != 0), "{path:?} was read: {said}");
        assert!(!data.join(format!("{name}.out")).exists(), "{path:?} was read");
        assert_well(&serving, path);
        if number % 3 > 0 {
            continue;
        }
        let sink =
            reading("{ path = \"deep/in.txt\" }").replace("discard = {}", &format!("file = {{ path = {path:?} }}"));
        fs::write(data.join("deep/in.txt"), "x\n").unwrap();
        let before = fs::read(&secret).unwrap();
        let (code, said) = submitted(&serving, &format!("w{number}"), &sink.replace("\\0", "\\u0000"));
        let inside = path.starts_with("%2e");
        assert!(code.is_some_and(|code| code != 0) || inside, "{path:?} was written: {said}");
        assert_eq!(fs::read(&secret).unwrap(), before);
        assert_well(&serving, path);
    }
}
