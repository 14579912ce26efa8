//! Our side of those whom we dial.

use tokio_rustls::rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, pki_types::CertificateDer};

use super::{MaterialError, authorities, chain, key, pem::refused, provider};

/// What stands in the files.
#[derive(Clone, Copy)]
pub struct ClientMaterial<'a> {
    /// Who may have signed the other side's certificate; `None`: those of `system`.
    pub authorities: Option<&'a [u8]>,
    /// Those that the machine trusts.
    pub system: &'a [CertificateDer<'static>],
    /// Our certificate and its key, where the other side asks for one.
    pub identity: Option<(&'a [u8], &'a [u8])>,
}

/// Settings for dialling.
///
/// # Errors
/// A file is not right.
pub fn client_config(material: &ClientMaterial<'_>) -> Result<ClientConfig, MaterialError> {
    let roots = match material.authorities {
        Some(pem) => authorities(pem)?,
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(material.system.iter().cloned());
            roots
        }
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(DEFAULT_VERSIONS)
        .map_err(|error| refused(&error))?
        .with_root_certificates(roots);
    match material.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, own)) => {
            builder.with_client_auth_cert(chain(certificate)?, key(own)?).map_err(|error| refused(&error))
        }
    }
}
