//! Certificates, keys, and what is made of them: bytes in, settings of rustls out. No files, no sockets, no clock of ours.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `pem` | certificates and keys as they stand in files |
//! | `server` | our side of those who come; `client`: of those whom we dial |
//! | `name` | who a certificate is for |
//! | `fault` | why there is no connection, in words for people |
//!
//! # Invariants
//! - Nothing of a key is in an error, a `Debug` text or a log.

mod client;
mod fault;
mod name;
mod pem;
mod server;

use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use self::{
    client::{ClientMaterial, client_config},
    fault::{Side, is_final},
    name::Name,
    pem::{authorities, chain, key},
    server::{ClientAuth, ServerMaterial, names_of, server_config},
};

/// Why a file cannot be used. Whose file that is the caller knows.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MaterialError {
    /// Not what it should be.
    #[error("{0}")]
    Pem(&'static str),
    /// A certificate that cannot be understood.
    #[error("certificate {place} cannot be used: {why}")]
    Certificate {
        /// From 1.
        place: usize,
        /// In the library's words.
        why: String,
    },
    /// The key is another certificate's.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// The cryptography of the whole program, said outright: the process may have several.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
