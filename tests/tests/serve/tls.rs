use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use sage_serve::tls::Fingerprint;
use sage_test_support::wait_until;
use sage_tests::program;

use super::serving::{Serving, text};

/// A certificate with its key, and the file of the authority that signed it.
struct Made {
    certificate: String,
    key: String,
    authority: String,
    fingerprint: String,
}

/// Makes a certificate for these names. `days`: when it expires, from now.
fn made(names: &[&str], days: i64) -> Made {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(DnType::CommonName, "an authority");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a server");
    let year = |days: i64| 2026 + i32::try_from(days / 365).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(year(days), 6, 1));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    Made {
        fingerprint: Fingerprint::of(certificate.der()).to_string(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        authority: authority.pem(),
    }
}

/// Puts files in place as programs that renew certificates do.
fn install(serving: &Serving, made: &Made) {
    for (name, content) in [("cert.pem", &made.certificate), ("key.pem", &made.key), ("ca.pem", &made.authority)] {
        let beside = serving.file(&format!("{name}.new"), content);
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(beside, serving.path(name)).unwrap();
    }
}

fn tls_command(serving: &Serving) -> Vec<String> {
    let mut words = serving.command();
    for (option, file) in [("--tls-cert", "cert.pem"), ("--tls-key", "key.pem")] {
        words.extend([option.to_owned(), text(&serving.path(file)).to_owned()]);
    }
    words
}

fn with_tls(names: &[&str], days: i64) -> (Serving, Made) {
    let mut serving = Serving::with_host("");
    let made = made(names, days);
    install(&serving, &made);
    let words = tls_command(&serving);
    serving.start_as(Command::new(&words[0]).args(&words[1..]));
    (serving, made)
}

/// Lists jobs with the administrator's token, with these options.
fn ps(serving: &Serving, options: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["ps", "--token-file"]).arg(serving.path("state/admin.token")).args(options);
    command.env("XDG_CONFIG_HOME", serving.path("config")).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn url(serving: &Serving, scheme: &str) -> String {
    format!("{scheme}://{}", serving.tcp())
}

#[test]
fn a_client_reaches_a_server_whose_certificate_it_trusts_and_says_why_it_does_not_trust_another() {
    let (serving, made) = with_tls(&["localhost", "127.0.0.1"], 3650);
    let (https, ca) = (url(&serving, "https"), serving.path("ca.pem"));
    for options in [["--ca", text(&ca)], ["--pin", &made.fingerprint]] {
        let output = ps(&serving, &[&["--server", &https], &options[..]].concat());
        assert!(output.status.success(), "{options:?}: {}", said(&output));
    }
    let named = format!("https://localhost:{}", serving.tcp().port());
    assert!(ps(&serving, &["--server", &named, "--ca", text(&ca)]).status.success());
    let other = format!("sha256:{}", "0".repeat(64));
    let http = url(&serving, "http");
    for (options, says) in [
        (vec!["--server", &https], vec!["nobody whom this machine trusts has signed", "--ca FILE", &made.fingerprint]),
        (
            vec!["--server", &https, "--pin", &other],
            vec!["shows the certificate", &other, "between you and the server"],
        ),
        (vec!["--server", &http], vec!["speaks TLS only", "https://"]),
    ] {
        let output = ps(&serving, &options);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {}", said(&output));
        for words in says {
            assert!(said(&output).contains(words), "{options:?}: {}", said(&output));
        }
    }
    // A context keeps whom to trust.
    let context = |words: &[&str]| {
        let mut command = Command::new(program());
        command.arg("context").args(words).env("XDG_CONFIG_HOME", serving.path("config")).output().unwrap()
    };
    assert!(context(&["add", "pinned", "--server", &https, "--pin", &made.fingerprint]).status.success());
    assert!(context(&["add", "signed", "--server", &https, "--ca", text(&ca)]).status.success());
    for name in ["pinned", "signed"] {
        let output = ps(&serving, &["--context", name]);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    assert_eq!(context(&["add", "plain", "--server", &http, "--pin", &made.fingerprint]).status.code(), Some(2));
    // A server without TLS.
    let plain = Serving::started();
    let output = ps(&plain, &["--server", &url(&plain, "https"), "--ca", text(&ca)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("does not speak TLS on this port"), "{}", said(&output));
}

#[test]
fn a_certificate_of_another_name_or_time_is_refused_with_the_reason() {
    for (names, days, says) in [
        (&["other.example"][..], 3650, "the certificate is not for 127.0.0.1"),
        (&["127.0.0.1"][..], -365, "the certificate has expired"),
    ] {
        let (serving, made) = with_tls(names, days);
        let (https, ca) = (url(&serving, "https"), serving.path("ca.pem"));
        let output = ps(&serving, &["--server", &https, "--ca", text(&ca)]);
        assert!(said(&output).contains(says), "{}", said(&output));
        // Whoever pins a certificate trusts it whatever its name and its time are.
        assert!(ps(&serving, &["--server", &https, "--pin", &made.fingerprint]).status.success());
    }
}

fn curl(serving: &Serving, words: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "30", "--cacert"]).arg(serving.path("ca.pem"));
    let output = command.args(words).output().ok()?;
    assert!(output.status.success(), "{}", said(&output));
    Some(String::from_utf8_lossy(&output.stdout).to_lowercase())
}

#[test]
fn browsers_are_told_to_use_tls_only_and_their_cookie_is_sent_with_tls_only() {
    let (serving, _) = with_tls(&["127.0.0.1"], 3650);
    let https = url(&serving, "https");
    let Some(answer) = curl(&serving, &[&format!("{https}/v1/healthz")]) else { return };
    assert!(answer.starts_with("http/1.1 200") && answer.contains("strict-transport-security: max-age="), "{answer}");
    let token = fs::read_to_string(serving.path("state/admin.token")).unwrap();
    let body = format!("{{\"token\":\"{}\"}}", token.trim());
    let words = ["--data", &body, "--header", "x-sage-host: 1", "--header", "content-type: application/json"];
    let session = format!("{https}/v1/session");
    let answer = curl(&serving, &[&words[..], &[session.as_str()]].concat()).unwrap();
    assert!(answer.contains("set-cookie: ") && answer.contains("; httponly; samesite=strict; secure"), "{answer}");
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart_and_a_wrong_one_is_not() {
    let (serving, first) = with_tls(&["127.0.0.1"], 3650);
    let https = url(&serving, "https");
    let trusts = |made: &Made| ps(&serving, &["--server", &https, "--pin", &made.fingerprint]).status.success();
    assert!(trusts(&first));
    let second = made(&["127.0.0.1"], 3650);
    install(&serving, &second);
    wait_until("the new certificate is used", || trusts(&second).then_some(()));
    // A file that is no certificate leaves the earlier one; SIGHUP only makes the server look.
    serving.file("cert.pem", "nothing\n");
    kill_process(Pid::from_raw(i32::try_from(serving.pid()).unwrap()).unwrap(), Signal::HUP).unwrap();
    wait_until("the server says so", || serving.log().contains("the earlier certificate stays in use").then_some(()));
    assert!(trusts(&second));
    let third = made(&["127.0.0.1"], 3650);
    install(&serving, &third);
    wait_until("the third certificate is used", || trusts(&third).then_some(()));
}

#[test]
fn half_open_handshakes_and_garbage_keep_nobody_out() {
    let (serving, made) = with_tls(&["127.0.0.1"], 3650);
    let https = url(&serving, "https");
    // A record of a handshake that never goes on, from one address: all but 32 are closed at once.
    let begun: Vec<TcpStream> = (0..2000)
        .filter_map(|number| {
            let mut stream = TcpStream::connect(serving.tcp()).ok()?;
            let bytes: &[u8] = if number % 2 == 0 { &[22, 3, 1, 2, 0, 1] } else { b"" };
            let _ = stream.write_all(bytes);
            Some(stream)
        })
        .collect();
    assert!(begun.len() > 1000);
    let asked = Instant::now();
    let output = ps(&serving, &["--server", &https, "--pin", &made.fingerprint]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let descriptors = fs::read_dir(format!("/proc/{}/fd", serving.pid())).unwrap().count();
    assert!(descriptors < 150, "{descriptors} descriptors");
    drop(begun);
    for garbage in
        [&b"\x16\x03\x01\xff\xff"[..], b"\x16garbage garbage garbage", b"\x80\x80\x01\x03", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(serving.tcp()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        let _ = stream.take(1 << 20).read_to_end(&mut answer);
    }
    assert!(ps(&serving, &["--server", &https, "--pin", &made.fingerprint]).status.success());
}

#[test]
fn other_machines_may_connect_with_tls_and_wrong_files_are_refused_at_the_start() {
    let serving = Serving::with_host("");
    let made = made(&["127.0.0.1"], 3650);
    install(&serving, &made);
    let run = |words: Vec<String>| {
        let output = Command::new("timeout").args(["20", &words[0]]).args(&words[1..]).stdin(Stdio::null()).output();
        output.unwrap()
    };
    let open = |words: Vec<String>| -> Vec<String> {
        words.into_iter().map(|word| if word == "127.0.0.1:0" { "0.0.0.0:0".to_owned() } else { word }).collect()
    };
    let output = run(open(serving.command()));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("--tls-cert"), "{}", said(&output));
    serving.file("key.pem", "nothing\n");
    fs::set_permissions(serving.path("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let output = run(open(tls_command(&serving)));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("key.pem has no private key in PEM"), "{}", said(&output));
    install(&serving, &made);
    // The host file names them too, with paths from its folder.
    let host = fs::read_to_string(serving.path("host.toml")).unwrap();
    let mut serving = serving;
    serving.file("host.toml", format!("{host}[serve]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n"));
    let words = open(serving.command());
    serving.start_as(Command::new(&words[0]).args(&words[1..]));
    let https = format!("https://127.0.0.1:{}", serving.tcp().port());
    assert!(ps(&serving, &["--server", &https, "--ca", text(&serving.path("ca.pem"))]).status.success());
}

/// Asks for the jobs with the Python client, and prints them or the error.
const CLIENT: &str = "
import sys
from sage_host.connection import Connection, find
from sage_host.errors import ServerError
port, token, ca, pin = int(sys.argv[1]), open(sys.argv[2]).read().strip(), sys.argv[3] or None, sys.argv[4] or None
try:
    endpoint = find('127.0.0.1', port, path=None, token=token, tenant=None, ca=ca, pin=pin, tls=True)
    print(Connection(endpoint).json('GET', '/v1/jobs'))
except ServerError as error:
    print(error.code, error)
";

fn python(serving: &Serving, ca: &str, pin: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/src");
    let token: PathBuf = serving.path("state/admin.token");
    let mut command = Command::new("python3");
    command.args(["-c", CLIENT, &serving.tcp().port().to_string()]).arg(token).args([ca, pin]);
    let output = command.env("PYTHONPATH", source).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_python_client_trusts_authorities_and_pins_and_says_what_is_wrong() {
    let (serving, made) = with_tls(&["127.0.0.1"], 3650);
    let ca = serving.path("ca.pem");
    assert!(python(&serving, text(&ca), "").starts_with("{'jobs': []"));
    assert!(python(&serving, "", &made.fingerprint).starts_with("{'jobs': []"));
    let wrong = python(&serving, "", &"0".repeat(64));
    assert!(wrong.starts_with("unsafe ") && wrong.contains(&made.fingerprint), "{wrong}");
    let unknown = python(&serving, "", "");
    assert!(unknown.starts_with("unsafe ") && unknown.contains("unable to get local issuer certificate"), "{unknown}");
    let plain = Serving::started();
    let no_tls = python(&plain, text(&ca), "");
    assert!(no_tls.starts_with("unsafe ") && no_tls.contains("does not speak TLS on this port"), "{no_tls}");
}
