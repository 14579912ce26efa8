//! Certificates and keys as they stand in files.

use tokio_rustls::rustls::{
    Error, InconsistentKeys, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::MaterialError;

/// The certificates of a file: one's own first, then those that signed it.
///
/// # Errors
/// There is none, or one is broken.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|_| MaterialError::Pem("no certificate in PEM, or a broken one"))?;
    if all.is_empty() { Err(MaterialError::Pem("no certificate in PEM")) } else { Ok(all) }
}

/// The private key of a file.
///
/// # Errors
/// There is none. What was found is not told: it may be a piece of the key.
pub fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, MaterialError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| MaterialError::Pem("no private key in PEM without a passphrase"))
}

/// Those who may have signed, from a file.
///
/// # Errors
/// There is none, or one is broken.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, MaterialError> {
    let mut roots = RootCertStore::empty();
    for (place, certificate) in chain(pem)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| MaterialError::Certificate { place: place + 1, why: error.to_string() })?;
    }
    Ok(roots)
}

/// What the library says when certificate and key are put together.
pub(super) fn refused(error: &Error) -> MaterialError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => MaterialError::Mismatch,
        other => MaterialError::Other(other.to_string()),
    }
}
