//! `[listener.jwt]`: logins that somebody else vouches for.

use std::time::Duration;

use super::{ZERO, ms};
use crate::config::{
    kind::{
        KeyFile, WatchedSecret, choice, duration, jwks_file, line, list, one_of, optional, pem_file, watched_secret,
    },
    section::section,
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
