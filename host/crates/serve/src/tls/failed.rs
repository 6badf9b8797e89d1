use std::fmt;
use std::io;

use rustls::{CertificateError, Error};

use super::Fingerprint;

/// Why there is no encrypted connection to a server, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFailure {
    /// What is wrong.
    pub why: String,
    /// What helps, if that is known.
    pub hint: Option<String>,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl TlsFailure {
    /// The settings of the client are wrong.
    pub(super) fn of_settings(why: String) -> Self {
        Self { why, hint: None }
    }

    /// What a handshake failed with. `shown` is the server's certificate, if it came so far, and `pinned` the one that
    /// it must be.
    pub(crate) fn of_handshake(
        error: &io::Error,
        host: &str,
        (shown, pinned): (Option<Fingerprint>, Option<Fingerprint>),
    ) -> Self {
        let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    "the server closed the connection during the handshake".to_owned()
                }
                _ => format!("the handshake failed: {error}"),
            };
            return Self { why, hint: None };
        };
        match reason {
            Error::InvalidMessage(_) => Self {
                why: "the server does not speak TLS on this port".to_owned(),
                hint: Some("use http:// for it, or start it with --tls-cert and --tls-key".to_owned()),
            },
            Error::InvalidCertificate(error) => of_certificate(error, host, (shown, pinned)),
            reason => Self { why: format!("the handshake failed: {reason}"), hint: None },
        }
    }
}

fn of_certificate(
    error: &CertificateError,
    host: &str,
    (shown, pinned): (Option<Fingerprint>, Option<Fingerprint>),
) -> TlsFailure {
    let shown = shown.map(|shown| shown.to_string()).unwrap_or_default();
    let pin = format!("if the server prints the same when it starts, trust it with --pin {shown}");
    let (why, hint) = match error {
        CertificateError::NotValidForName => {
            (format!("the certificate is not for {host}"), "use a name that it has".into())
        }
        CertificateError::NotValidForNameContext { presented, .. } => (
            format!("the certificate is not for {host}, it is for {}", presented.join(", ")),
            format!("use a name that it has, or {pin}"),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the certificate has expired".to_owned(),
            "renew it on the server, which reads the new file by itself; and look at the clock of this machine".into(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("the certificate is not valid yet".to_owned(), "look at the clocks of both machines".into())
        }
        CertificateError::UnknownIssuer => (
            format!("nobody whom this machine trusts has signed the certificate {shown}"),
            format!("name the authority's file with --ca FILE, or {pin}"),
        ),
        CertificateError::ApplicationVerificationFailure => {
            let pinned = pinned.map(|pinned| pinned.to_string()).unwrap_or_default();
            (
                format!("the server shows the certificate {shown}, not {pinned}"),
                "somebody may be between you and the server; if its certificate was renewed, pin the new one".into(),
            )
        }
        error => (format!("the certificate cannot be used: {error}"), pin),
    };
    TlsFailure { why, hint: Some(hint) }
}
