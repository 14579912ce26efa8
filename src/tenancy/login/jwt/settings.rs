//! What is asked of a JWT.

use std::{fmt, str::FromStr};

use jsonwebtoken::Algorithm;

use super::JwtError;
use crate::model::Secret;

/// What a JWT must be to be believed.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The algorithms that may be used.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Who may sign.
    pub keys: JwtKeys,
    /// `iss` must be this.
    pub issuer: String,
    /// `aud` must be or hold this.
    pub audience: String,
    /// The claim with the tenant's name: a claim of exactly this name, else a path such as `org.tenant`.
    pub tenant_claim: String,
    /// The claim with the user's name, likewise. A token without it names no user.
    pub user_claim: Option<String>,
    /// How far the issuer's clock may be off, in seconds.
    pub leeway: u64,
}

/// The keys that may sign.
#[derive(Clone)]
pub enum JwtKeys {
    /// The text of a JSON Web Key Set.
    Jwks(String),
    /// One or more public keys in PEM.
    Pem(String),
    /// The shared secret of HS256.
    Secret(Secret),
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwks(_) => "Jwks(***)",
            Self::Pem(_) => "Pem(***)",
            Self::Secret(_) => "Secret(***)",
        })
    }
}

/// How a JWT may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256: a shared secret.
    Hs256,
    /// RSA PKCS#1 1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl JwtAlgorithm {
    /// The name in a JWT's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::HS256 => Some(Self::Hs256),
            Algorithm::RS256 => Some(Self::Rs256),
            Algorithm::ES256 => Some(Self::Es256),
            _ => None,
        }
    }

    pub(super) fn of_crate(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
        }
    }
}

/// The exact name: `HS256`, `RS256` or `ES256`.
impl FromStr for JwtAlgorithm {
    type Err = JwtError;

    fn from_str(text: &str) -> Result<Self, JwtError> {
        let all = [Self::Hs256, Self::Rs256, Self::Es256];
        all.into_iter().find(|algorithm| algorithm.name() == text).ok_or(JwtError::Algorithm)
    }
}
