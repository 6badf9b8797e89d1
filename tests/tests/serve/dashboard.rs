use std::path::PathBuf;
use std::process::Command;

use sage_test_support::{Need, skip};
use sage_tests::operator;
use serde_json::json;

use super::over_tcp::token;
use super::serving::{ENDLESS, Serving, text};

/// A text that would become more than text in a careless page.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// Chromium and the packages of `make browser`.
fn browser() -> Option<(PathBuf, PathBuf)> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let packages = home.join(".cache/sage-host/browser/node_modules");
    let chromium =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].iter().map(PathBuf::from).find(|path| path.exists());
    chromium.filter(|_| packages.is_dir()).map(|chromium| (chromium, packages))
}

#[test]
fn every_view_is_readable_in_a_browser_and_texts_of_strangers_stay_texts() {
    if std::env::var_os("SAGE_TEST_BROWSER").is_none() {
        return skip(Need::Browser, "make dashboard-test runs it");
    }
    let Some((chromium, packages)) = browser() else {
        return skip(Need::Browser, "make browser has not got Chromium, puppeteer-core and axe-core");
    };
    let mut serving = Serving::with_host(
        "resources = { licence = 1 }\n[tenant.default]\n[tenant.blue]\njobs = 4\ncpus = 2\nmemory = \"2GiB\"\n",
    );
    serving.start();
    submit_jobs(&serving);
    let token = token(&serving, &["--role", "admin"]);
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("dashboard");
    let settings = json!({
        "url": format!("http://{}", serving.tcp()),
        "token": token,
        "packages": packages,
        "chromium": chromium,
        "out": out,
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/dashboard.mjs");
    let output = Command::new("node").arg(script).arg(settings.to_string()).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{wrong}\npictures are in {}", out.display());
    println!("{said}pictures are in {}", out.display());
}

/// Jobs that run, wait, fail and say what strangers want them to say.
fn submit_jobs(serving: &Serving) {
    let quoted = |name: &str| format!("{:?}", operator(name));
    let readings = format!(
        "[[source]]\nname = \"readings\"\ncomponent = {}\nconfig = {{ count = 9_000_000_000, sensors = 12 }}\n\
         resources = {{ num_cpus = 0.02, memory = \"16MiB\" }}\n\
         [[operator]]\nname = \"celsius\"\ncomponent = {}\ninput = \"readings\"\nparallelism = 2\n\
         resources = {{ num_cpus = 0.05, memory = \"32MiB\" }}\n\
         [[operator]]\nname = \"hot\"\ncomponent = {}\ninput = \"celsius\"\nconfig = {{ above = 30.0 }}\n\
         [[sink]]\nname = \"hot-out\"\ninput = \"hot\"\ndiscard = {{}}\n\
         [[sink]]\nname = \"archive\"\ninput = \"celsius\"\ndiscard = {{}}\n",
        quoted("made_readings"),
        quoted("celsius"),
        quoted("hot"),
    );
    let licensed = format!(
        "{ENDLESS}[[operator]]\nname = \"keep\"\ncomponent = {}\ninput = \"in\"\nresources = {{ resources = {{ licence = 1 }} }}\n\
         [[sink]]\nname = \"kept\"\ninput = \"keep\"\ndiscard = {{}}\n",
        quoted("keep_nonempty"),
    );
    // A folder, a component, labels, records and messages with names of strangers.
    let folder = format!("{HOSTILE}/");
    let component = serving.file(&format!("{folder}{HOSTILE}.wasm"), std::fs::read(operator("json_celsius")).unwrap());
    serving.file(&format!("{folder}in.jsonl"), format!("{{\"{HOSTILE}\": 1}}\n"));
    serving.file(&format!("{folder}lines.txt"), format!("{HOSTILE}\n<script>window.pwned = 1</script>\n"));
    let broken = format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = \"in.jsonl\", format = \"jsonl\" }}\n\
         [[operator]]\nname = \"celsius\"\ncomponent = {component:?}\ninput = \"in\"\n\
         [[sink]]\nname = \"out\"\ninput = \"celsius\"\nfile = {{ path = \"out.jsonl\" }}\n"
    );
    let loud = "[[source]]\nname = \"lines\"\nfile = { path = \"lines.txt\" }\n\
                [[sink]]\nname = \"out\"\ninput = \"lines\"\nstdout = {}\n";
    let label = format!("team={HOSTILE}");
    for (name, pipeline, wait) in [
        ("readings", readings.as_str(), "running"),
        ("holds", &licensed, "running"),
        ("stops", ENDLESS, "running"),
        ("loud", loud, "done"),
    ] {
        let pipeline = serving.file(&format!("{folder}{name}.toml"), pipeline);
        serving.done(&["submit", text(&pipeline), "--name", name, "--wait", wait, "--label", &label]);
    }
    let more = loud.replace("stdout = {}", "stdout = {}\n# second words");
    let pipeline = serving.file(&format!("{folder}loud.toml"), more);
    serving.done(&["rollout", "loud", text(&pipeline), "--note", HOSTILE, "--watch", "0s", "--quiet"]);
    serving.until("loud", "completed");
    assert!(!serving.run(&["rm", "readings"]).status.success());
    let pipeline = serving.file("blue.toml", ENDLESS);
    serving.done(&["submit", text(&pipeline), "--name", "blues", "--tenant", "blue", "--wait", "running"]);
    let pipeline = serving.file(&format!("{folder}broken.toml"), broken);
    assert_eq!(serving.run(&["submit", text(&pipeline), "--name", "broken", "--wait", "done"]).status.code(), Some(4));
    serving.done(&["submit", text(&serving.path(&format!("{folder}holds.toml"))), "--name", "waits"]);
    serving.until("waits", "queued");
}
