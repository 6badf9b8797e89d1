use std::path::PathBuf;

use clap::Args;
use sage_serve::tls::Fingerprint;

use crate::printer::OutputFormat;

/// Options of every client.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// Socket of the server [default: SAGE_HOST_SOCKET, the server of SAGE_HOST_SERVER, the one of
    /// `context use`, otherwise /run/sage-host/serve.sock for root, sage-host/serve.sock in
    /// XDG_RUNTIME_DIR for others]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["server", "context"])]
    pub(crate) socket: Option<PathBuf>,
    /// Server over TCP: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with = "context")]
    pub(crate) server: Option<String>,
    /// Server that `context add` knows by this name
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// File with the token for the server [default: the token in SAGE_HOST_TOKEN, otherwise the file of the
    /// context]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the authorities that may have signed the server's certificate, in PEM [default: the file of the
    /// context, otherwise those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate, by its SHA-256, whoever signed it [default: the one of the context]
    #[arg(long, value_name = "SHA256")]
    pub(crate) pin: Option<Fingerprint>,
    /// Tenant whose jobs are meant [default: the one of the token]
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Send the token to another machine without encryption
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}
