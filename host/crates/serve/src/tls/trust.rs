use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::provider::provider;
use super::{Fingerprint, TlsFailure};

/// Whom a client trusts to be the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// A certificate that an authority of this system has signed, for the name of the server.
    #[default]
    System,
    /// The same with the authorities in a file, in PEM.
    Authorities(PathBuf),
    /// This very certificate, whatever its name and its time are.
    Pinned(Fingerprint),
}

impl Trust {
    /// The settings of a connection, and where the certificate of the server is noted.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub(crate) fn settings(&self) -> Result<(ClientConfig, Arc<Watched>), TlsFailure> {
        let watched = Arc::new(Watched { checks: self.checks()?, seen: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFailure::of_settings(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&watched) as _)
            .with_no_client_auth();
        Ok((config, watched))
    }

    fn checks(&self) -> Result<Checks, TlsFailure> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Pinned(fingerprint) => return Ok(Checks::Pin(*fingerprint)),
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Ok(Checks::NoRoots);
                }
            }
            Self::Authorities(path) => {
                let wrong = |what: String| TlsFailure::of_settings(format!("{} {what}", path.display()));
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
                let certificates = certificates.map_err(|error| wrong(format!("cannot be read as PEM: {error}")))?;
                for certificate in certificates {
                    roots
                        .add(certificate)
                        .map_err(|error| wrong(format!("has a certificate that is none: {error}")))?;
                }
                if roots.is_empty() {
                    return Err(wrong("has no certificate".to_owned()));
                }
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        verifier.map(Checks::Chain).map_err(|error| TlsFailure::of_settings(error.to_string()))
    }
}

/// Checks the certificate of a server, and remembers it for messages.
#[derive(Debug)]
pub(crate) struct Watched {
    checks: Checks,
    seen: Mutex<Option<Fingerprint>>,
}

#[derive(Debug)]
enum Checks {
    Chain(Arc<WebPkiServerVerifier>),
    Pin(Fingerprint),
    /// The system has no authorities.
    NoRoots,
}

impl Watched {
    /// The certificate that the server showed.
    pub(crate) fn seen(&self) -> Option<Fingerprint> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificate that it must show.
    pub(crate) fn pinned(&self) -> Option<Fingerprint> {
        if let Checks::Pin(fingerprint) = &self.checks { Some(*fingerprint) } else { None }
    }
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint::of(certificate);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        match &self.checks {
            Checks::Chain(verifier) => verifier.verify_server_cert(certificate, intermediates, name, ocsp, now),
            Checks::Pin(pinned) if *pinned == shown => Ok(ServerCertVerified::assertion()),
            Checks::Pin(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            Checks::NoRoots => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
