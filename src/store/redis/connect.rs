//! One connection to one Redis or Sentinel: TCP or a Unix socket, TLS, login.

use std::{fs, io, path::Path, sync::Arc};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::settings::{RedisSettings, Tls};
use crate::{model::Secret, store::Address};

/// Why a store cannot even be tried: a file of its TLS.
#[derive(Debug, Error)]
#[error("{file}: {why}")]
pub struct OpenError {
    /// The file.
    pub file: Box<str>,
    /// What is wrong with it.
    pub why: Box<str>,
}

/// Why there is no connection. Never holds a password.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Late,
    #[error("no address is that of a master")]
    NoMaster,
    #[error("it became a replica")]
    Demoted,
    #[error("another process answers")]
    Changed,
    #[error("the slots are at other nodes")]
    Resharded,
    #[error("{0}")]
    Strange(&'static str),
}

/// A connection; its task ends with it.
#[derive(Clone)]
pub(super) struct Wire {
    pub connection: MultiplexedConnection,
    _driver: Arc<AbortOnDropHandle<()>>,
}

/// What is told without being asked for.
pub(super) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

struct Pushes(OnPush);

impl AsyncPushSender for Pushes {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        (self.0)(info);
        Ok(())
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Opens connections.
pub(super) struct Connector {
    data: RedisConnectionInfo,
    sentinel: RedisConnectionInfo,
    tls: TlsConnector,
    always_tls: bool,
}

impl Connector {
    pub fn new(settings: &RedisSettings) -> Result<Self, OpenError> {
        let tls = client_config(settings.tls.as_ref().unwrap_or(&Tls::default()))?;
        let login = |user: Option<&str>, password: Option<&Secret>| {
            let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
            if let Some(user) = user {
                info = info.set_username(user);
            }
            if let Some(password) = password {
                info = info.set_password(password.expose());
            }
            info
        };
        Ok(Self {
            // What is published comes on the same connection, which the older protocol cannot do.
            data: login(settings.username.as_deref(), settings.password.as_ref())
                .set_protocol(ProtocolVersion::RESP3)
                .set_db(i64::from(settings.database)),
            sentinel: login(None, settings.sentinel_password.as_ref()).set_protocol(ProtocolVersion::RESP2),
            tls: TlsConnector::from(Arc::new(tls)),
            always_tls: settings.tls.as_ref().is_some_and(|tls| tls.everywhere),
        })
    }

    /// Whether nodes of which only host and port are known have TLS, when `asked` told of them.
    pub fn is_tls(&self, asked: &Address) -> bool {
        self.always_tls || asked.is_tls()
    }

    /// A connection to a Redis.
    pub async fn dial(&self, address: &Address, on_push: OnPush) -> Result<Wire, Trouble> {
        self.login(address, &self.data, settled().set_push_sender(Pushes(on_push))).await
    }

    /// A connection to a Sentinel.
    pub async fn dial_sentinel(&self, address: &Address) -> Result<Wire, Trouble> {
        self.login(address, &self.sentinel, settled()).await
    }

    async fn login(
        &self,
        address: &Address,
        info: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Wire, Trouble> {
        let stream = self.open(address).await?;
        let (connection, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
        Ok(Wire { connection, _driver: Arc::new(AbortOnDropHandle::new(tokio::spawn(driver))) })
    }

    async fn open(&self, address: &Address) -> Result<Box<dyn Stream>, Trouble> {
        let (host, port) = match address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp { host, port, .. } => (&**host, *port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if !self.is_tls(address) {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Trouble::Strange("a host's name for no TLS"))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

/// The time is ours to keep: each call has its own deadline.
fn settled() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

fn client_config(tls: &Tls) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match &tls.authorities {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| wrong(file, &error))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    // The provider of the rest of the program, said outright: the process may have several.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .map_err(|error| OpenError { file: "TLS".into(), why: error.to_string().into() })?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let text = fs::read(key).map_err(|error| wrong(key, &error))?;
    // What the parser found is not told: it may be a piece of the key.
    let parsed = PrivateKeyDer::from_pem_slice(&text).map_err(|_| wrong(key, &"not a private key in PEM"))?;
    builder.with_client_auth_cert(certificates(certificate)?, parsed).map_err(|error| wrong(certificate, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let text = fs::read(file).map_err(|error| wrong(file, &error))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|error| wrong(file, &error))?;
    if read.is_empty() { Err(wrong(file, &"no certificate in PEM")) } else { Ok(read) }
}

fn wrong(file: &Path, why: &dyn std::fmt::Display) -> OpenError {
    OpenError { file: file.display().to_string().into(), why: why.to_string().into() }
}
