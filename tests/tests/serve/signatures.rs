//! Signatures of components with the real `ssh-keygen`: what counts, what does not, and what is found out later.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sage_serve::store::{Digest, StoredFile};
use sage_test_support::{Need, skip};
use sage_tests::WatGuest;
use serde_json::Value;

use super::serving::{Serving, generating, text};

fn ssh_keygen() -> Option<()> {
    let there = Command::new("ssh-keygen").arg("-?").stdin(Stdio::null()).output().is_ok();
    there.then_some(()).or_else(|| {
        skip(Need::SshKeygen, "make ssh-keygen has not got it");
        None
    })
}

/// A key of this kind; returns its path.
fn key(folder: &Path, kind: &[&str], comment: &str) -> PathBuf {
    let path = folder.join(format!("{}-{}", comment.replace('@', "-"), kind.join("")));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", comment, "-t"]).args(kind).arg("-f").arg(&path);
    assert!(command.status().unwrap().success());
    path
}

fn public(key: &Path) -> String {
    fs::read_to_string(key.with_added_extension("pub")).unwrap().trim().to_owned()
}

/// Signs a file; returns the path of the signature.
fn sign(key: &Path, namespace: &str, file: &Path) -> PathBuf {
    let signature = file.with_added_extension("sig");
    let _ = fs::remove_file(&signature);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(key).arg(file);
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    signature
}

/// A server of which blue needs signatures by these lines.
fn serving(lines: &[String]) -> Serving {
    let signers: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
    let mut serving = Serving::with_host(&format!(
        "[tenant.blue]\nsignatures = \"required\"\nsigners = [{}]\nisolation = \"thread\"\n[tenant.default]\n",
        signers.join(", ")
    ));
    serving.start();
    serving
}

fn component(serving: &Serving, name: &str) -> PathBuf {
    let mut bytes = WatGuest::default().build();
    // A custom section makes each component another one.
    bytes.extend([0, u8::try_from(name.len() + 1).unwrap(), u8::try_from(name.len()).unwrap()]);
    bytes.extend(name.bytes());
    serving.file(&format!("parts/{name}.wasm"), bytes)
}

fn pipeline(serving: &Serving, name: &str) -> PathBuf {
    let text = generating(10, 1000, "out.txt").replace(
        "[[sink]]\nname = \"out\"\ninput = \"in\"",
        &format!(
            "[[operator]]\nname = \"copy\"\ncomponent = \"{name}.wasm\"\ninput = \"in\"\n[[sink]]\nname = \"out\"\n\
             input = \"copy\""
        ),
    );
    serving.file(&format!("parts/{name}.toml"), text)
}

const BLUE: [&str; 2] = ["--tenant", "blue"];

fn refused(serving: &Serving, words: &[&str], says: &str) {
    let output = serving.run(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
    assert!(said.contains(says), "{words:?}: {said}");
}

#[test]
fn keys_of_each_kind_sign_what_a_tenant_runs() {
    let Some(()) = ssh_keygen() else { return };
    let keys = tempfile::tempdir().unwrap();
    let kinds: [&[&str]; 4] = [&["ed25519"], &["ecdsa", "-b", "256"], &["ecdsa", "-b", "384"], &["rsa", "-b", "2048"]];
    let keys: Vec<PathBuf> = kinds.iter().map(|kind| key(keys.path(), kind, "ci@blue")).collect();
    let serving = serving(&keys.iter().map(|key| public(key)).collect::<Vec<_>>());
    for (number, key) in keys.iter().enumerate() {
        let name = format!("copy{number}");
        let file = component(&serving, &name);
        sign(key, "sage-host", &file);
        let pipeline = pipeline(&serving, &name);
        serving.done(&[&["submit", text(&pipeline), "--name", &name, "--wait", "done"], &BLUE[..]].concat());
        let deployed = serving.done(&[&["deploy", text(&file)], &BLUE[..]].concat());
        assert!(deployed.ends_with("signed by ci@blue\n"), "{deployed}");
    }
    let listed = serving.done(&[&["components"], &BLUE[..]].concat());
    assert_eq!(listed.matches("ci@blue").count(), 4, "{listed}");
    // The owner of the machine needs none.
    let file = component(&serving, "own");
    let deployed = serving.done(&["deploy", text(&file)]);
    assert!(!deployed.contains("signed"), "{deployed}");
}

#[test]
fn what_is_unsigned_or_signed_otherwise_is_refused_before_it_is_stored() {
    let Some(()) = ssh_keygen() else { return };
    let keys = tempfile::tempdir().unwrap();
    let [ci, old, git, stranger] =
        ["ci@blue", "old@blue", "git@blue", "eve"].map(|name| key(keys.path(), &["ed25519"], name));
    let serving = serving(&[
        public(&ci),
        format!("old@blue valid-before=\"20200101Z\" {}", public(&old)),
        format!("git@blue namespaces=\"git\" {}", public(&git)),
    ]);
    let file = component(&serving, "copy");
    let pipeline = pipeline(&serving, "copy");
    let submit = [&["submit", text(&pipeline)], &BLUE[..]].concat();
    let deploy = [&["deploy", text(&file)], &BLUE[..]].concat();
    for words in [&submit, &deploy] {
        refused(&serving, words, "has no signature, which the tenant requires");
    }
    for (key, namespace, says) in [
        (&ci, "file", "the signature is for the namespace \"file\", not for \"sage-host\""),
        (&stranger, "sage-host", "is none of the allowed signers"),
        (&old, "sage-host", "the key of old@blue is not valid now: until 2020-01-01T00:00:00Z"),
        (&git, "sage-host", "git@blue may not sign for the namespace"),
    ] {
        sign(key, namespace, &file);
        for words in [&submit, &deploy] {
            refused(&serving, words, says);
        }
    }
    // A signature of other bytes, one that is cut, and one that is none.
    let other = component(&serving, "other");
    let signature = sign(&ci, "sage-host", &other);
    let whole = fs::read_to_string(&signature).unwrap();
    for (spoilt, says) in [
        (whole.clone(), "the signature of ci@blue is of other bytes"),
        (whole[..whole.len() / 2].to_owned(), "the signature cannot be read"),
        ("x".to_owned(), "the signature cannot be read"),
        ("y".repeat(9000), "cannot read the signature"),
    ] {
        fs::write(file.with_added_extension("sig"), spoilt).unwrap();
        refused(&serving, &deploy, says);
    }
    let stored: Value = serving.client().of_tenant(Some("blue".parse().unwrap())).get("/v1/components").unwrap();
    assert_eq!(stored["components"].as_array().unwrap().len(), 0, "{stored}");
    sign(&ci, "sage-host", &file);
    serving.done(&[&submit[..], &["--wait", "done"]].concat());
}

#[test]
fn bytes_that_were_swapped_and_signers_that_were_removed_are_found_before_the_next_load() {
    let Some(()) = ssh_keygen() else { return };
    let keys = tempfile::tempdir().unwrap();
    let [ci, next] = ["ci@blue", "next@blue"].map(|name| key(keys.path(), &["ed25519"], name));
    let mut serving = serving(&[public(&ci), public(&next)]);
    let file = component(&serving, "copy");
    sign(&ci, "sage-host", &file);
    let pipeline = pipeline(&serving, "copy");
    serving.done(&[&["submit", text(&pipeline), "--name", "a", "--wait", "done"], &BLUE[..]].concat());
    let client = || serving.client().of_tenant(Some("blue".parse().unwrap()));
    let digest = Digest::of(&fs::read(&file).unwrap());
    let stored: StoredFile = client().get(&format!("/v1/components/{digest}")).unwrap();
    assert_eq!((stored.signer.as_deref(), stored.used_by), (Some("ci@blue"), 1));

    let at = serving.path(&format!("state/tenants/blue/components/{}/{}", &digest.hex()[..2], &digest.hex()[2..]));
    let bytes = fs::read(&at).unwrap();
    // The user of the tenant reads it.
    fs::set_permissions(&at, Permissions::from_mode(0o644)).unwrap();
    fs::write(&at, fs::read(component(&serving, "other")).unwrap()).unwrap();
    let started = |serving: &Serving| {
        let client = serving.client().of_tenant(Some("blue".parse().unwrap()));
        let before: Value = client.get("/v1/jobs/a").unwrap();
        client.post::<Value>("/v1/jobs/a/start", &serde_json::json!({})).unwrap();
        sage_test_support::wait_until("it has ended", || {
            let job: Value = client.get("/v1/jobs/a").unwrap();
            (job["exit_code"].is_u64() && job["attempt"] != before["attempt"]).then_some(job)
        })
    };
    let swapped = started(&serving);
    assert_eq!(swapped["state"], "rejected");
    assert!(swapped["why"].as_str().unwrap().contains("is not what was uploaded"), "{swapped}");
    fs::write(&at, bytes).unwrap();
    assert_eq!(started(&serving)["state"], "completed");

    // The owner removes the signer, and the next start finds it.
    serving.stop();
    let host = fs::read_to_string(serving.path("host.toml")).unwrap();
    fs::write(serving.path("host.toml"), host.replace(&format!("{:?}, ", public(&ci)), "")).unwrap();
    serving.start();
    let removed = started(&serving);
    assert_eq!(removed["state"], "rejected");
    assert!(removed["why"].as_str().unwrap().contains("is none of the allowed signers"), "{removed}");
}

#[test]
fn a_server_whose_signers_cannot_be_read_does_not_start() {
    let serving = Serving::with_host("");
    let signers = serving.file("signers", "# nobody\n");
    let cases = [
        ("signers = [\"ssh-ed25519 AAAA\"]".to_owned(), "signers of [tenant.blue], line 1: "),
        (format!("signers_file = {signers:?}"), "names nobody, and signatures are required"),
        ("signers_file = \"/none/signers\"".to_owned(), "cannot read the signers in /none/signers"),
    ];
    for (line, says) in cases {
        serving.file("host.toml", format!("[tenant.blue]\nsignatures = \"required\"\n{line}\n"));
        let words = serving.command();
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(says), "{said}");
    }
}
