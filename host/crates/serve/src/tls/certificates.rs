use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Fingerprint;
use super::provider::provider;

/// The files of a server's certificate, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those of the authorities between it and a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The two files do not belong together.
    #[error("the key in {key} does not belong to the certificate in {certificate}", key = key.display(), certificate = certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// rustls refuses them.
    #[error("the certificate in {path} cannot be used: {source}", path = path.display())]
    Refused {
        /// The file of the certificate.
        path: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
}

/// The certificate of a server, which is read again when its files change. Files that are wrong then are reported, and
/// the earlier certificate stays in use.
#[derive(Debug)]
pub struct Certificates {
    files: TlsFiles,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
    marks: [Option<Mark>; 2],
    looked: Instant,
}

/// What changes with a file: device, inode, size and time of the change.
type Mark = (u64, u64, u64, i64, i64);

/// Longest file. A chain of certificates has some KiB.
const LONGEST: u64 = 1 << 20;
/// Shortest pause between two looks at the files.
const PAUSE: Duration = Duration::from_millis(500);

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn read(files: TlsFiles) -> Result<Self, TlsError> {
        let marks = marks(&files);
        let (config, fingerprint) = load(&files)?;
        Ok(Self { held: Mutex::new(Held { config, fingerprint, marks, looked: Instant::now() }), files })
    }

    /// The settings for the next connection.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= PAUSE {
            held.looked = Instant::now();
            self.look(&mut held);
        }
        Arc::clone(&held.config)
    }

    /// The certificate that is in use.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).fingerprint
    }

    /// Looks at the files now, whenever the last look was.
    pub fn look_again(&self) {
        self.look(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn look(&self, held: &mut Held) {
        let marks = marks(&self.files);
        if marks == held.marks {
            return;
        }
        held.marks = marks;
        match load(&self.files) {
            Ok((config, fingerprint)) => {
                tracing::info!(%fingerprint, "the certificate was read again");
                (held.config, held.fingerprint) = (config, fingerprint);
            }
            // Both files are seldom replaced at once, and the next look sees the other one.
            Err(error) => tracing::warn!(%error, "the earlier certificate stays in use"),
        }
    }
}

fn marks(files: &TlsFiles) -> [Option<Mark>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    })
}

fn load(files: &TlsFiles) -> Result<(Arc<ServerConfig>, Fingerprint), TlsError> {
    let malformed = |path: &Path, what: String| TlsError::Malformed { path: path.to_owned(), what };
    let text = read(&files.certificate)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| malformed(&files.certificate, format!("is not PEM: {error}")))?;
    let Some(first) = chain.first() else {
        return Err(malformed(&files.certificate, "has no certificate in PEM".to_owned()));
    };
    let fingerprint = Fingerprint::of(first);
    let text = read(&files.key)?;
    let mode = fs::metadata(&files.key).map_or(0, |found| found.permissions().mode());
    if mode & 0o004 != 0 {
        let what = format!("has a private key, and every user may read it (mode {:o})", mode & 0o7777);
        return Err(malformed(&files.key, what));
    }
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| malformed(&files.key, format!("has no private key in PEM: {error}")))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|source| match source {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        source => TlsError::Refused { path: files.certificate.clone(), source },
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), fingerprint))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn write(path: &Path, text: &str) {
        // A new file, as tools that renew certificates make it.
        let beside = path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&beside, path).unwrap();
    }

    #[test]
    fn files_that_change_are_read_again_and_wrong_ones_leave_the_earlier_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let ((certificate, key), (other, other_key)) = (made("a.example"), made("b.example"));
        write(&files.certificate, &certificate);
        write(&files.key, &key);
        let certificates = Certificates::read(files.clone()).unwrap();
        let first = certificates.fingerprint();
        certificates.look_again();
        assert_eq!(certificates.fingerprint(), first);
        // One of the two is replaced: they do not belong together.
        write(&files.certificate, &other);
        certificates.look_again();
        assert_eq!(certificates.fingerprint(), first);
        write(&files.key, &other_key);
        certificates.look_again();
        assert_ne!(certificates.fingerprint(), first);
        fs::remove_file(&files.key).unwrap();
        certificates.look_again();
        assert_ne!(certificates.fingerprint(), first);
    }

    #[test]
    fn wrong_files_are_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let ((certificate, key), (_, other_key)) = (made("a.example"), made("b.example"));
        for (of_certificate, of_key, says) in [
            ("", key.as_str(), "cert.pem has no certificate in PEM"),
            (&certificate, "", "key.pem has no private key in PEM"),
            (&certificate, &certificate, "key.pem has no private key in PEM"),
            (&certificate, &other_key, "does not belong to the certificate"),
            ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n", &key, "cert.pem is not PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key, "cannot be used"),
        ] {
            write(&files.certificate, of_certificate);
            write(&files.key, of_key);
            let error = Certificates::read(files.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        write(&files.certificate, &certificate);
        write(&files.key, &key);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Certificates::read(files.clone()).unwrap_err().to_string();
        assert!(error.ends_with("every user may read it (mode 644)"), "{error}");
        fs::remove_file(&files.certificate).unwrap();
        let error = Certificates::read(files).unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("cert.pem"), "{error}");
    }
}
