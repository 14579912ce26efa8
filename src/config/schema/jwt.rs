//! `[listener.jwt]`: logins that somebody else vouches for.

use std::time::Duration;

use super::{ZERO, ms};
use crate::{
    config::{
        kind::{
            KeyFile, WatchedSecret, choice, duration, jwks_file, line, list, one_of, optional, pem_file, watched_secret,
        },
        section::section,
    },
    tenancy::{JwtAlgorithm, JwtError, JwtKeys, JwtSettings, JwtVerifier},
};

section! {
    /// JSON Web Tokens (JWT) that clients may `connect` with. One of `jwks`, `public_key` and `secret` says what they are checked with.
    pub struct Jwt {
        /// The signatures that are taken. "HS256" goes with `secret` and nothing else does.
        pub algorithms: Vec<Algorithm> = list(one_of::<Algorithm>()), value("[\"RS256\", \"ES256\"]");
        /// The issuer's public keys as a JSON Web Key Set; the file is read again when it changes.
        pub jwks: Option<KeyFile> = optional(jwks_file()), absent("{ file = \"/etc/pilotfish/jwks.json\" }");
        /// The issuer's public key in PEM; the file is read again when it changes.
        pub public_key: Option<KeyFile> = optional(pem_file()), absent("{ file = \"/etc/pilotfish/issuer.pem\" }");
        /// The key that is shared with the issuer, 32 bytes or more; a file is read again when it changes.
        pub secret: Option<WatchedSecret> = optional(watched_secret()), absent("{ file = \"/run/secrets/jwt-key\" }");
        /// The `iss` that a token has to have.
        pub issuer: String = line(), required("\"https://login.example.com\"");
        /// The `aud` that a token has to have.
        pub audience: String = line(), required("\"pilotfish\"");
        /// The claim that names the tenant.
        pub tenant_claim: String = line(), text("tenant");
        /// The claim that names the user. Without it: nobody is told apart from the others of the tenant.
        pub user_claim: Option<String> = optional(line()), absent("\"sub\"");
        /// How far the issuer's clock may be off.
        pub leeway: Duration = duration(ZERO, ms(300_000)), text("30s");
    }
}

choice! {
    /// How a JWT is signed.
    pub enum Algorithm {
        /// RSA with SHA-256
        Rs256 = "RS256",
        /// ECDSA on P-256 with SHA-256
        Es256 = "ES256",
        /// HMAC with SHA-256: whoever can check can also sign
        Hs256 = "HS256",
    }
}

impl Jwt {
    /// The keys as they were read with the config; `None` where the file names no source of them.
    pub fn keys(&self) -> Option<JwtKeys> {
        let jwks = self.jwks.as_ref().map(|file| JwtKeys::Jwks(file.text.clone()));
        let pem = || self.public_key.as_ref().map(|file| JwtKeys::Pem(file.text.clone()));
        jwks.or_else(pem).or_else(|| self.secret.as_ref().map(|secret| JwtKeys::Secret(secret.text.clone())))
    }

    /// What checks tokens with `keys`.
    ///
    /// # Errors
    /// The keys cannot be used.
    pub fn verifier(&self, keys: JwtKeys) -> Result<JwtVerifier, JwtError> {
        let mut algorithms: Vec<JwtAlgorithm> = self.algorithms.iter().map(|algorithm| algorithm.of_jwt()).collect();
        loop {
            let tried = JwtVerifier::new(self.settings(algorithms.clone(), keys.clone()));
            match tried {
                // One key has one algorithm; that others would be taken too is no mistake.
                Err(JwtError::AlgorithmWithoutKey(name)) if algorithms.len() > 1 => {
                    algorithms.retain(|algorithm| algorithm.name() != name);
                }
                tried => return tried,
            }
        }
    }

    fn settings(&self, algorithms: Vec<JwtAlgorithm>, keys: JwtKeys) -> JwtSettings {
        JwtSettings {
            algorithms,
            keys,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            tenant_claim: self.tenant_claim.clone(),
            user_claim: self.user_claim.clone(),
            leeway: self.leeway.as_secs(),
        }
    }
}

impl Algorithm {
    fn of_jwt(self) -> JwtAlgorithm {
        match self {
            Self::Rs256 => JwtAlgorithm::Rs256,
            Self::Es256 => JwtAlgorithm::Es256,
            Self::Hs256 => JwtAlgorithm::Hs256,
        }
    }
}
