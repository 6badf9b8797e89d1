use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sage_serve::process::holder;
use sage_test_support::wait_until;
use serde_json::{Value, json};

use super::confined::groups_named;
use super::over_tcp::{ask_as, done_as, run_as, token};
use super::serving::{ENDLESS, FIRST_USER, Serving, generating, text};

/// Two tenants with a job each that has a worker.
fn two_tenants(host: &str) -> (Serving, [String; 2]) {
    let mut serving = Serving::with_host(&format!("{host}[tenant.blue]\n[tenant.green]\n"));
    serving.start();
    let tokens = ["blue", "green"].map(|tenant| token(&serving, &["--tenant", tenant, "--role", "deploy"]));
    serving.file("same.wasm", sage_tests::WatGuest::default().build());
    let pipeline = format!(
        "{}[[operator]]\nname = \"same\"\ncomponent = \"same.wasm\"\ninput = \"in\"\n",
        ENDLESS.replace("input = \"in\"", "input = \"same\"")
    );
    let pipeline = serving.file("p.toml", pipeline);
    for (token, name) in tokens.iter().zip(["of-blue", "of-green"]) {
        done_as(&serving, token, &["submit", text(&pipeline), "--name", name, "--wait", "running"]);
    }
    (serving, tokens)
}

fn id(serving: &Serving, name: &str) -> String {
    let listed: Value = serde_json::from_str(&serving.done(&["ps", "-a", "--output", "json"])).unwrap();
    let jobs = listed["jobs"].as_array().unwrap();
    jobs.iter().find(|job| job["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

/// The processes of a job: those in its control groups.
fn processes(id: &str) -> Vec<i32> {
    let groups = groups_named(Path::new("/sys/fs/cgroup"), id, 8);
    let mut found = Vec::new();
    for folder in groups.iter().flat_map(|group| fs::read_dir(group).into_iter().flatten().flatten()) {
        let text = fs::read_to_string(folder.path().join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn status(process: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// Waits until a job of a tenant is in this state.
fn until(serving: &Serving, token: &str, name: &str, state: &str) {
    wait_until(&format!("{name} is {state}"), || {
        let job = ask_as(serving, token, "GET", &format!("/v1/jobs/{name}"), "").json();
        (job["state"] == state).then_some(())
    });
}

/// Number of a job's host process.
fn host(folder: &Path) -> i32 {
    let process = wait_until("the job has a process", || holder(folder, &folder.join("alive.lock")));
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).unwrap();
    info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        sage_test_support::skip(sage_test_support::Need::Root, "only root runs jobs as other users");
    }
    root
}

#[test]
fn each_tenants_processes_have_a_user_of_their_own_and_no_rights_besides() {
    if !is_root() {
        return;
    }
    let (mut serving, [blue, _]) = two_tenants("");
    for (name, user) in [("of-blue", FIRST_USER), ("of-green", FIRST_USER + 1)] {
        let id = id(&serving, name);
        let running = wait_until("the job has a host process and a worker", || {
            Some(processes(&id)).filter(|processes| processes.len() >= 2)
        });
        for process in running {
            let status = status(process);
            let all = [user; 4].map(|user| user.to_string()).join(" ");
            assert_eq!((&status["Uid"], &status["Gid"]), (&all, &all));
            // The group of all jobs, for the ledger in a folder of root's.
            assert!(["", "1900000000"].contains(&status["Groups"].as_str()), "{}", status["Groups"]);
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(status[set], "0000000000000000", "{set}");
            }
            assert_eq!(status["NoNewPrivs"], "1");
        }
        let owner = fs::metadata(serving.path("state/data").join(name.trim_start_matches("of-"))).unwrap();
        assert_eq!((owner.uid(), owner.mode() & 0o777), (user, 0o700));
    }
    let shown: Value = ask_as(&serving, &blue, "GET", "/v1/tenants/blue", "").json();
    assert_eq!(shown["user"], FIRST_USER);
    assert!(serving.done(&["tenant", "show", "blue"]).contains("jobs run as user 1900000001"));
    // A server that was killed adopts the jobs, stops one, and the tenants keep their users.
    serving.kill();
    assert_eq!(serving.start().adopted, 2);
    done_as(&serving, &blue, &["stop", "of-blue"]);
    until(&serving, &blue, "of-blue", "stopped");
    let users: Value = serde_json::from_slice(&fs::read(serving.path("state/users.json")).unwrap()).unwrap();
    assert_eq!(users["users"], json!({ "blue": FIRST_USER, "green": FIRST_USER + 1 }));
    // Nothing of the job that ended is left for its user.
    assert!(!serving.path("j").join(id(&serving, "of-blue")).exists(), "its socket");
    assert_eq!(groups_named(Path::new("/sys/fs/cgroup"), &id(&serving, "of-blue"), 8), Vec::<String>::new());
}

/// What a process with the user of a tenant tries, without a fence of landlock: each try that succeeds is printed.
const INTRUDER: &str = r#"
import ctypes, os, signal, socket, sys
user, own_job, other_job, server, host, other_host = int(sys.argv[1]), sys.argv[2], sys.argv[3], *map(int, sys.argv[4:7])
state, leases, socket_path = sys.argv[7:10]
os.setgroups([1900000000]); os.setresgid(user, user, user); os.setresuid(user, user, user)
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, do):
    try:
        do()
    except (OSError, PermissionError):
        return
    print(name)
def ptrace(process):
    if libc.ptrace(16, process, 0, 0) == -1:
        raise PermissionError
def read(path):
    with open(path, "rb") as file:
        file.read(1)
def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
for name, process in (("server", server), ("own host", host), ("other host", other_host)):
    attempt(f"traces {name}", lambda: ptrace(process))
    attempt(f"reads the memory of {name}", lambda: read(f"/proc/{process}/mem"))
    attempt(f"reads the environment of {name}", lambda: read(f"/proc/{process}/environ"))
    attempt(f"sees the files of {name}", lambda: os.listdir(f"/proc/{process}/fd"))
for name, process in (("server", server), ("other host", other_host)):
    attempt(f"kills {name}", lambda: os.kill(process, signal.SIGKILL))
for folder in (state, state + "/jobs", state + "/data", state + "/tokens", state + "/tenants", state + "/audit",
               state + "/components", state + "/incoming", other_job, other_job + "/logs", state + "/data/green",
               state + "/cache/green"):
    attempt(f"lists {folder}", lambda: os.listdir(folder))
    attempt(f"makes a file in {folder}", lambda: write(folder + "/intruder"))
for name in ("spec.json", "state.json", "order.json", "events.jsonl", "status.json"):
    attempt(f"reads {name} of the other", lambda: read(f"{other_job}/{name}"))
for name in ("spec.json", "state.json", "order.json", "events.jsonl", "alive.lock", "rev/1/pipeline.toml"):
    attempt(f"changes its own {name}", lambda: write(f"{own_job}/{name}"))
    attempt(f"removes its own {name}", lambda: os.remove(f"{own_job}/{name}"))
    attempt(f"replaces its own {name}", lambda: os.rename(f"{own_job}/status.json", f"{own_job}/{name}"))
attempt("reads admin.token", lambda: read(state + "/admin.token"))
attempt("reads users.json", lambda: read(state + "/users.json"))
for claim in os.listdir(leases):
    attempt(f"removes {claim}", lambda: os.remove(f"{leases}/{claim}")) if os.stat(f"{leases}/{claim}").st_uid != user else None
for path in (socket_path, os.path.dirname(socket_path) + "/j/" + os.path.basename(other_job)):
    attempt(f"connects to {path}", lambda: socket.socket(socket.AF_UNIX).connect(path))
for group in sys.argv[10:]:
    for name in ("memory.limit_in_bytes", "cpu.cfs_quota_us", "memory.max", "cpu.max", "pids.max", "cpuset.cpus"):
        if os.path.exists(f"{group}/{name}"):
            attempt(f"changes {group}/{name}", lambda: write(f"{group}/{name}", "123456789"))
print("tried")
"#;

#[test]
fn code_with_the_user_of_a_tenant_reaches_nothing_of_others_even_without_a_fence() {
    if !is_root() {
        return;
    }
    let (serving, tokens) = two_tenants("");
    let jobs = ["of-blue", "of-green"].map(|name| id(&serving, name));
    let folders = jobs.clone().map(|id| serving.path("state/jobs").join(id));
    let hosts = folders.each_ref().map(|folder| host(folder).to_string());
    // The control groups of the tenant, whose limits are root's.
    let groups: Vec<PathBuf> = groups_named(Path::new("/sys/fs/cgroup"), &jobs[0], 8)
        .iter()
        .filter_map(|group| Path::new(group).ancestors().nth(3).map(Path::to_owned))
        .collect();
    for group in &groups {
        assert!(group.ends_with("sage-host/blue"), "{}", group.display());
    }
    let mut command = Command::new("python3");
    command.args(["-c", INTRUDER, &FIRST_USER.to_string(), text(&folders[0]), text(&folders[1])]);
    command.args([&serving.pid().to_string(), &hosts[0], &hosts[1], text(&serving.path("state"))]);
    command.arg(serving.path("leases")).arg(serving.socket()).args(&groups);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "tried\n", "{}", String::from_utf8_lossy(&output.stderr));
    // Both jobs and the server go on.
    for (token, name) in tokens.iter().zip(["of-blue", "of-green"]) {
        until(&serving, token, name, "running");
    }
}

#[test]
fn jobs_that_ran_as_the_user_of_the_server_go_on_as_users_of_their_own() {
    if !is_root() {
        return;
    }
    let (mut serving, [blue, _]) = two_tenants("[serve]\nusers = \"server\"\n");
    let shown: Value = ask_as(&serving, &blue, "GET", "/v1/tenants/blue", "").json();
    assert_eq!(shown["user"], Value::Null);
    let data = serving.path("state/data/blue");
    fs::create_dir(data.join("inner")).unwrap();
    let pipeline = serving.file("out.toml", generating(5, 1000, "inner/out.txt"));
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "writes", "--wait", "done"]);
    assert_eq!(fs::metadata(data.join("inner/out.txt")).unwrap().uid(), 0);
    assert!(serving.stop().success());
    let host = fs::read_to_string(serving.path("host.toml")).unwrap();
    serving.file("host.toml", host.replace("users = \"server\"", "uids = { first = 70000, count = 10 }"));
    // The running jobs are adopted as they are; the next attempts have users.
    assert_eq!(serving.start().adopted, 2);
    for name in ["writes", "of-blue"] {
        done_as(&serving, &blue, &[if name == "writes" { "start" } else { "restart" }, name]);
    }
    wait_until("the job ran again", || {
        Some(fs::metadata(data.join("inner/out.txt")).ok()?.uid()).filter(|owner| *owner == 70_001)
    });
    until(&serving, &blue, "writes", "completed");
    until(&serving, &blue, "of-blue", "running");
    assert_eq!(fs::metadata(&data).unwrap().uid(), 70_001);
    let logs = serving.path("state/jobs").join(id(&serving, "writes")).join("logs");
    assert_eq!(fs::metadata(logs).unwrap().uid(), 70_001);
}

#[test]
fn what_the_user_of_a_tenant_does_not_reach_is_said() {
    if !is_root() {
        return;
    }
    let closed = tempfile::Builder::new().prefix("sg-closed-").tempdir().unwrap();
    let host = format!("[tenant.blue]\nfolders = [{{ path = {:?}, write = true }}]\n", closed.path());
    let mut serving = Serving::with_host(&host);
    serving.start();
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    let pipeline = serving.file("p.toml", generating(1, 1000, text(&closed.path().join("out.txt"))));
    let refused = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "p", "--wait", "done"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("user 1900000001 of tenant blue may not write in"), "{said}");
    assert!(said.contains("setfacl -m u:1900000001:rwx"), "{said}");
    chown(closed.path(), Some(FIRST_USER), None).unwrap();
    done_as(&serving, &blue, &["submit", text(&pipeline), "--wait", "done"]);
    assert_eq!(fs::metadata(closed.path().join("out.txt")).unwrap().uid(), FIRST_USER);

    // A state folder below a closed one is refused when the server starts.
    assert!(serving.stop().success());
    fs::set_permissions(serving.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    let words = serving.command();
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("has mode 700") && said.contains("chmod o+x"), "{said}");
    // A user that does not exist is refused too.
    fs::set_permissions(serving.path(""), fs::Permissions::from_mode(0o711)).unwrap();
    serving.file("host.toml", "[tenant.blue]\nuser = \"no-such-user\"\n");
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("there is no user \"no-such-user\" in /etc/passwd"), "{said}");
}
