//! An issuer and its enemies.

mod attacks;
mod claims;
mod keys;
mod noise;
mod signing;

use serde_json::{Value, json};

use self::signing::{EC, RSA, SECRET, Signer, jwks};
use super::{JwtAlgorithm, JwtError, JwtKeys, JwtRefusal, JwtSettings, JwtVerifier};
use crate::model::{Identity, Secret};

/// The time of all tests.
const NOW: u64 = 1_800_000_000;

const ALL: [JwtAlgorithm; 3] = [JwtAlgorithm::Hs256, JwtAlgorithm::Rs256, JwtAlgorithm::Es256];
const PUBLIC: [JwtAlgorithm; 2] = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256];

fn settings(algorithms: &[JwtAlgorithm], keys: JwtKeys) -> JwtSettings {
    JwtSettings {
        algorithms: algorithms.to_vec(),
        keys,
        issuer: "https://issuer.example".into(),
        audience: "pilotfish".into(),
        tenant_claim: "tenant".into(),
        user_claim: Some("sub".into()),
        leeway: 30,
    }
}

fn secret_settings() -> JwtSettings {
    settings(&[JwtAlgorithm::Hs256], JwtKeys::Secret(Secret::new(SECRET)))
}

fn verifier(algorithms: &[JwtAlgorithm], keys: JwtKeys) -> JwtVerifier {
    JwtVerifier::new(settings(algorithms, keys)).unwrap()
}

/// RSA key `r`, EC key `e` and the secret `s`.
fn full_set() -> String {
    jwks(&[RSA.jwk("r"), EC.jwk("e"), Signer::secret().jwk("s")])
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "pilotfish", "exp": NOW + 600, "nbf": NOW - 600,
        "tenant": "alice", "sub": "ann",
    })
}

fn header(algorithm: &str, kid: Option<&str>) -> Value {
    let mut header = json!({ "typ": "JWT", "alg": algorithm });
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    header
}

fn ann() -> Identity {
    Identity { tenant: "alice".into(), user: Some("ann".into()) }
}

fn verify(verifier: &JwtVerifier, token: &str) -> Result<Identity, JwtRefusal> {
    verifier.verify(&Secret::new(token), NOW)
}
