//! Our side of those who come.

use std::sync::Arc;

use tokio_rustls::rustls::{
    DEFAULT_VERSIONS, ServerConfig,
    pki_types::CertificateDer,
    server::{ServerSessionMemoryCache, WebPkiClientVerifier},
};

use super::{MaterialError, Name, authorities, chain, key, pem::refused, provider};

/// Whether those who come show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may; then it has to be right.
    Optional,
    /// They have to.
    Required,
}

/// What stands in the files.
#[derive(Clone, Copy)]
pub struct ServerMaterial<'a> {
    /// Our certificate and those that signed it.
    pub certificate: &'a [u8],
    /// Its key.
    pub key: &'a [u8],
    /// Who may have signed the certificates of those who come.
    pub client_authorities: Option<&'a [u8]>,
    /// Whether they are asked for one.
    pub client_auth: ClientAuth,
}

/// Sessions that may be resumed without the whole handshake.
const RESUMABLE: usize = 1024;

/// Settings for a listener.
///
/// # Errors
/// A file is not right.
pub fn server_config(material: &ServerMaterial<'_>) -> Result<ServerConfig, MaterialError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(|error| refused(&error))?;
    let builder = match material.client_authorities.filter(|_| material.client_auth != ClientAuth::Off) {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(pem)?), provider());
            let verifier =
                if material.client_auth == ClientAuth::Optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| MaterialError::Other(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain(material.certificate)?, key(material.key)?);
    let mut config = config.map_err(|error| refused(&error))?;
    config.session_storage = ServerSessionMemoryCache::new(RESUMABLE);
    Ok(config)
}

/// Who somebody is that showed these certificates.
pub fn names_of(shown: Option<&[CertificateDer<'_>]>) -> Vec<Name> {
    shown.and_then(<[_]>::first).map(|own| Name::all(own)).unwrap_or_default()
}
