use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sage_test_support::wait_until;
use sage_tests::{free_port, operator};
use serde_json::Value;

use super::over_tcp::token;
use super::prometheus::program_of_prometheus;
use super::serving::{Serving, text};

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist")
}

/// A Prometheus that scrapes a server with the settings of `dist`, each second.
struct Prometheus {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Prometheus {
    fn scraping(serving: &Serving) -> Option<Self> {
        let program = program_of_prometheus("prometheus")?;
        serving.file("prometheus/sage-host.token", token(serving, &["--role", "metrics"]));
        let rules = fs::read(dist().join("prometheus/sage-host.rules.yml")).unwrap();
        serving.file("prometheus/sage-host.rules.yml", rules);
        let settings = fs::read_to_string(dist().join("prometheus/prometheus.yml")).unwrap();
        let settings =
            settings.replace("127.0.0.1:19001", &serving.tcp().to_string()).replace("interval: 15s", "interval: 1s");
        let settings = serving.file("prometheus/prometheus.yml", settings);
        let port = free_port();
        let log = serving.path("prometheus/log");
        let child = Command::new(program)
            .arg(format!("--config.file={}", text(&settings)))
            .arg(format!("--storage.tsdb.path={}", text(&serving.path("prometheus/data"))))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let prometheus = Self { child, port, log };
        wait_until("Prometheus answers", || prometheus.text("/-/ready"));
        Some(prometheus)
    }

    /// The body of an answer with status 200.
    fn text(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // Without HTTP/1.1, the body has no chunks.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let body = self.text(path).unwrap_or_else(|| panic!("no answer to {path}"));
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"))
    }

    /// The samples of a query.
    fn samples(&self, query: &str) -> Vec<Value> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={escaped}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The queries of the Grafana dashboard, with the values of its variables for all.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(dist().join("grafana/sage-host.json")).unwrap()).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let filled = |query: &str| query.replace("$tenant", ".*").replace("$job", ".*").replace("$__rate_interval", "10s");
    targets.flatten().map(|target| filled(target["expr"].as_str().unwrap())).collect()
}

#[test]
fn every_query_of_the_grafana_dashboard_has_samples_of_a_running_job() {
    let serving = Serving::started();
    let pipeline = format!(
        "[[source]]\nname = \"in\"\ngenerate = {{ rate = 1000, payload_bytes = 16 }}\n\
         [[operator]]\nname = \"keep\"\ncomponent = {:?}\ninput = \"in\"\n\
         [[sink]]\nname = \"out\"\ninput = \"keep\"\ndiscard = {{}}\n",
        operator("keep_nonempty")
    );
    let pipeline = serving.file("p.toml", pipeline);
    serving.done(&["submit", text(&pipeline), "--name", "celsius", "--wait", "running"]);
    let Some(prometheus) = Prometheus::scraping(&serving) else { return };
    wait_until("Prometheus has scraped the server some times", || {
        let up = prometheus.samples("sum_over_time(up{job=\"sage-host\"}[1m]) >= 4");
        (!up.is_empty()).then_some(())
    });
    let queries = queries();
    assert!(queries.len() > 20, "{queries:?}");
    for query in queries {
        let samples = prometheus.samples(&query);
        let numbers = samples.iter().filter(|sample| sample["value"][1] != "NaN").count();
        assert!(numbers > 0, "{query}: {samples:?}\n{}", fs::read_to_string(&prometheus.log).unwrap());
    }
    let jobs = prometheus.samples("sage_job_up");
    assert_eq!(jobs[0]["metric"]["job"], "celsius", "the label job is that of the server: {jobs:?}");

    let rules = || prometheus.get("/api/v1/rules")["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    let rules = wait_until("all rules were evaluated", || {
        Some(rules()).filter(|rules| rules.iter().all(|rule| rule["health"] != "unknown"))
    });
    assert!(rules.len() > 10);
    for rule in rules {
        assert_eq!((rule["health"].as_str(), rule["state"].as_str()), (Some("ok"), Some("inactive")), "{rule}");
    }
    let targets = prometheus.get("/api/v1/targets");
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "");
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    let Some(promtool) = program_of_prometheus("promtool") else { return };
    for words in [["check", "rules", "sage-host.rules.yml"], ["test", "rules", "sage-host.test.yml"]] {
        let output = Command::new(&promtool).args(words).current_dir(dist().join("prometheus")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    let read = |name: &str| fs::read_to_string(dist().join("prometheus").join(name)).unwrap();
    let (rules, tests) = (read("sage-host.rules.yml"), read("sage-host.test.yml"));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(tests.contains(&fires), "no test shows when {alert} fires");
    }
}
