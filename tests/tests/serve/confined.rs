use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::over_tcp::{done_as, run_as, token};
use super::serving::{FIRST_USER, Serving, generating, text};

/// A pipeline that copies lines of a file to another.
fn copying(from: &str, to: &str) -> String {
    format!(
        "[[source]]\nname = \"in\"\nfile = {{ path = \"{from}\" }}\n\
         [[sink]]\nname = \"out\"\ninput = \"in\"\nfile = {{ path = \"{to}\" }}\n"
    )
}

fn tenant_with_folders() -> (tempfile::TempDir, Serving, String) {
    let shared = tempfile::Builder::new().prefix("sg-shared-").tempdir().unwrap();
    let (open, read) = (shared.path().join("open"), shared.path().join("read"));
    for folder in [&open, &read] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(read.join("in.txt"), "granted\n").unwrap();
    // The users of tenants reach them, and blue's, the first one, may write.
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&open, Some(FIRST_USER), None).unwrap();
    }
    let host = format!(
        "[tenant.blue]\nfolders = [{{ path = {open:?}, write = true }}, {{ path = {read:?} }}]\n[tenant.green]\n"
    );
    let mut serving = Serving::with_host(&host);
    let words = serving.command();
    serving.start_as(Command::new(&words[0]).args(&words[1..]).env("SAGE_OF_OWNER", "secret"));
    let blue = token(&serving, &["--tenant", "blue", "--role", "deploy"]);
    // The data folder is made with the first job.
    let first = serving.file("first.toml", generating(1, 1000, "first.txt"));
    done_as(&serving, &blue, &["submit", text(&first), "--wait", "done"]);
    (shared, serving, blue)
}

#[test]
fn a_link_in_the_folder_of_a_tenant_leads_nowhere_that_it_was_not_granted() {
    let (shared, serving, blue) = tenant_with_folders();
    let data = serving.path("state/data/blue");
    let outside = serving.file("outside/secret.txt", "secret\n");
    let of_green = serving.file("state/data/green/secret.txt", "secret\n");
    let targets =
        [outside.clone(), of_green, serving.path("state/admin.token"), "/proc/1/environ".into(), "/etc/passwd".into()];
    for (number, target) in targets.iter().enumerate() {
        symlink(target, data.join(format!("link{number}.txt"))).unwrap();
        let pipeline = serving.file("thief.toml", copying(&format!("link{number}.txt"), &format!("got{number}.txt")));
        let name = format!("thief{number}");
        let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", &name, "--wait", "done"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{}: {said}", target.display());
        assert!(said.contains("ermission denied"), "{}: {said}", target.display());
        assert!(!data.join(format!("got{number}.txt")).exists(), "{}", target.display());
    }
    // The environment of the server is not passed on, and this process's own is readable.
    symlink("/proc/self/environ", data.join("own.txt")).unwrap();
    let pipeline = serving.file("own.toml", copying("own.txt", "own-out.txt"));
    let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "own", "--wait", "done"]);
    let got = fs::read(data.join("own-out.txt")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&got).contains("SAGE_OF_OWNER"), "{output:?}");
    // A folder outside, for a sink.
    symlink(serving.path("outside"), data.join("away")).unwrap();
    let pipeline = serving.file("vandal.toml", generating(5, 1000, "away/new.txt"));
    let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "vandal", "--wait", "done"]);
    assert!(!output.status.success());
    assert_eq!(fs::read_dir(serving.path("outside")).unwrap().count(), 1);
    // A link to a granted folder is good, as is one inside of the tenant's own.
    symlink(shared.path().join("read/in.txt"), data.join("good.txt")).unwrap();
    let pipeline = serving.file("good.toml", copying("good.txt", "good-out.txt"));
    done_as(&serving, &blue, &["submit", text(&pipeline), "--wait", "done"]);
    assert_eq!(fs::read_to_string(data.join("good-out.txt")).unwrap(), "granted\n");
}

#[test]
fn a_granted_folder_is_read_and_is_written_only_if_that_was_granted() {
    let (shared, serving, blue) = tenant_with_folders();
    let path = |name: &str| shared.path().join(name).to_str().unwrap().to_owned();
    let pipeline = serving.file("p.toml", copying(&path("read/in.txt"), &path("open/out.txt")));
    done_as(&serving, &blue, &["submit", text(&pipeline), "--wait", "done"]);
    assert_eq!(fs::read_to_string(path("open/out.txt")).unwrap(), "granted\n");
    for (to, says) in
        [("read/out.txt", "a folder that may only be read"), ("other.txt", "outside of the tenant's folders")]
    {
        let pipeline = serving.file("w.toml", generating(1, 1000, &path(to)));
        let output = run_as(&serving, &blue, &["submit", text(&pipeline), "--name", "w", "--wait", "done"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && said.contains('^'), "{said}");
    }
}

#[test]
fn a_process_in_the_groups_of_a_job_may_not_use_the_socket_of_the_owner() {
    let (_shared, serving, blue) = tenant_with_folders();
    let pipeline = serving.file("e.toml", super::serving::ENDLESS);
    done_as(&serving, &blue, &["submit", text(&pipeline), "--name", "runs", "--wait", "running"]);
    let listed: serde_json::Value = serde_json::from_str(&serving.done(&["ps", "--output", "json"])).unwrap();
    let id = listed["jobs"][0]["id"].as_str().unwrap().to_owned();
    let script = "import socket,sys\nsys.stdin.readline()\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.sendall(b'GET /v1/jobs HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\nprint(s.makefile().read())";
    let ask = |groups: &[String]| {
        let mut inside = Command::new("python3");
        inside.args(["-c", script]).arg(serving.socket()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut inside = inside.spawn().expect("python3");
        for group in groups {
            fs::write(Path::new(group).join("host/cgroup.procs"), inside.id().to_string()).unwrap();
        }
        inside.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let mut said = String::new();
        inside.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        inside.wait().unwrap();
        said
    };
    let groups = groups_named(Path::new("/sys/fs/cgroup"), &id, 8);
    if groups.is_empty() {
        return sage_test_support::skip(sage_test_support::Need::Cgroup, "the job has no control groups");
    }
    assert!(ask(&[]).starts_with("HTTP/1.1 200"));
    let refused = ask(&groups);
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("inside-a-job"), "{refused}");
    done_as(&serving, &blue, &["stop", "runs", "--abort"]);
}

/// The folders of this name at most so many levels below a folder.
pub(crate) fn groups_named(folder: &Path, name: &str, levels: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // The hierarchies of version 1 have second names that are links.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if path.file_name().is_some_and(|own| own == name) {
            found.push(path.to_str().unwrap().to_owned());
        } else if levels > 0 {
            found.extend(groups_named(&path, name, levels - 1));
        }
    }
    found
}
