//! TLS from files that may change while we run.
//!
//! # Layout
//! - [`Kept`]: what is made of some files, and made anew when they change.
//! - [`ServerTls`], [`ClientTls`]: our side of those who come, and of those whom we dial.

mod kept;

use std::{fmt, path::PathBuf, sync::Arc};

use tokio_rustls::{
    TlsAcceptor, TlsConnector, TlsStream,
    rustls::{
        ClientConfig, ServerConfig,
        pki_types::{CertificateDer, ServerName},
    },
};

pub use self::kept::{FileError, Kept, Refresh, keep};
use super::Plain;
use crate::tls::{
    ClientAuth, ClientMaterial, MaterialError, Name, ServerMaterial, client_config, names_of, server_config,
};

/// The files of a listener.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// Our certificate, and those that signed it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who may have signed the certificates of those who come.
    pub client_authorities: Option<PathBuf>,
    /// Whether they are asked for one.
    pub client_auth: ClientAuth,
}

/// TLS on a listener.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Kept<ServerConfig>>);

impl ServerTls {
    /// Reads the files. `what`: whose they are, for the log.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn open(what: String, files: ServerFiles) -> Result<Self, FileError> {
        let ServerFiles { certificate, key, client_authorities, client_auth } = files;
        let paths = [certificate, key].into_iter().chain(client_authorities).collect();
        let make = move |read: &[Vec<u8>]| {
            let [certificate, key, rest @ ..] = read else { return Err(missing()) };
            let client_authorities = rest.first().map(Vec::as_slice);
            server_config(&ServerMaterial { certificate, key, client_authorities, client_auth })
        };
        Kept::open(what, paths, Box::new(make)).map(|kept| Self(Arc::new(kept)))
    }

    /// What looks at the files.
    pub fn refresh(&self) -> Arc<dyn Refresh> {
        self.0.clone()
    }

    /// Our side of the handshake. Without a deadline: the caller has one.
    ///
    /// # Errors
    /// The other side does not speak TLS, or its certificate is not right.
    pub async fn accept(&self, plain: Plain) -> std::io::Result<(Box<TlsStream<Plain>>, Vec<Name>)> {
        let stream = TlsAcceptor::from(self.0.current()).accept(plain).await?;
        let names = names_of(stream.get_ref().1.peer_certificates());
        Ok((Box::new(stream.into()), names))
    }
}

/// The files of those who dial.
#[derive(Clone, Debug, Default)]
pub struct ClientFiles {
    /// Who may have signed the other side's certificate; `None`: those that the machine trusts.
    pub authorities: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whom the other side's certificate has to be for, where that is not the host that is dialled.
    pub server_name: Option<String>,
}

/// TLS towards those whom we dial.
#[derive(Clone)]
pub struct ClientTls {
    kept: Arc<Kept<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Reads the files. `what`: whose they are, for the log.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn open(what: String, files: ClientFiles) -> Result<Self, FileError> {
        let ClientFiles { authorities, identity, server_name } = files;
        let (has_authorities, has_identity) = (authorities.is_some(), identity.is_some());
        let system = if has_authorities { Vec::new() } else { rustls_native_certs::load_native_certs().certs };
        let identity = identity.into_iter().flat_map(|(certificate, key)| [certificate, key]);
        let paths = authorities.into_iter().chain(identity).collect();
        let make = move |read: &[Vec<u8>]| client_of(read, has_authorities, has_identity, &system);
        let server_name = match server_name.map(ServerName::try_from) {
            Some(Err(_)) => return Err(FileError::Name),
            Some(Ok(name)) => Some(name),
            None => None,
        };
        Ok(Self { kept: Arc::new(Kept::open(what, paths, Box::new(make))?), server_name })
    }

    /// What looks at the files.
    pub fn refresh(&self) -> Arc<dyn Refresh> {
        self.kept.clone()
    }

    /// Our side of the handshake with `host`, unless the files are for another name. Without a deadline: the caller has one.
    ///
    /// # Errors
    /// The other side does not speak TLS, or its certificate is not right, or ours is not to it.
    pub async fn connect(&self, plain: Plain, host: Option<&str>) -> std::io::Result<Box<TlsStream<Plain>>> {
        let name = match (&self.server_name, host) {
            (Some(name), _) => name.clone(),
            (None, Some(host)) => ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?,
            (None, None) => return Err(std::io::Error::other("no name to check the certificate by: set server_name")),
        };
        let stream = TlsConnector::from(self.kept.current()).connect(name, plain).await?;
        Ok(Box::new(stream.into()))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("kept", &self.kept).finish_non_exhaustive()
    }
}

fn client_of(
    read: &[Vec<u8>],
    has_authorities: bool,
    has_identity: bool,
    system: &[CertificateDer<'static>],
) -> Result<ClientConfig, MaterialError> {
    let (authorities, rest) = if has_authorities { (read.first(), read.get(1..)) } else { (None, Some(read)) };
    let identity = match rest {
        Some([certificate, key, ..]) if has_identity => Some((certificate.as_slice(), key.as_slice())),
        _ if has_identity => return Err(missing()),
        _ => None,
    };
    client_config(&ClientMaterial { authorities: authorities.map(Vec::as_slice), system, identity })
}

fn missing() -> MaterialError {
    MaterialError::Other("a file is missing".to_owned())
}
