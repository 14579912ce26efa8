//! The keys that may sign, each for one algorithm.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKey,
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RsaPublicKeyComponents},
};
use jsonwebtoken::DecodingKey;

use super::{JwtAlgorithm, JwtError, JwtKeys, JwtRefusal, jwks, pem};
use crate::model::Secret;

/// Keys of one set.
pub const MAX_KEYS: usize = 64;
/// Keys that are tried for one token.
const MAX_TRIED: usize = 8;
/// The shortest secret of HS256 in bytes (RFC 7518, 3.2): as long as the hash.
const MIN_SECRET: usize = 32;

/// All keys of one verifier.
pub struct Keys {
    all: Vec<Key>,
    /// Whether a token's `kid` picks the key. Keys that stand alone have no id that a token could name.
    by_id: bool,
    /// Keys of a set that are not used, and why.
    pub left_out: Vec<String>,
}

/// A key works with one algorithm, its own.
pub struct Key {
    pub id: Option<String>,
    pub algorithm: JwtAlgorithm,
    pub key: DecodingKey,
}

impl Keys {
    /// Reads and checks the keys for `algorithms`.
    pub fn read(keys: &JwtKeys, algorithms: &[JwtAlgorithm]) -> Result<Self, JwtError> {
        match keys {
            JwtKeys::Jwks(text) => {
                let (all, left_out) = jwks::read(text, algorithms)?;
                if all.is_empty() {
                    return Err(JwtError::NoKey(left_out));
                }
                Ok(Self { all, by_id: true, left_out })
            }
            JwtKeys::Pem(text) => {
                let wrong = algorithms.iter().find(|algorithm| **algorithm == JwtAlgorithm::Hs256);
                Self::alone(pem::read(text)?, algorithms, wrong)
            }
            JwtKeys::Secret(text) => {
                let wrong = algorithms.iter().find(|algorithm| **algorithm != JwtAlgorithm::Hs256);
                Self::alone(vec![secret(text)?], algorithms, wrong)
            }
        }
    }

    /// Keys that were given for these very algorithms: each has to be of use, and no algorithm may be of the `wrong` kind.
    fn alone(all: Vec<Key>, algorithms: &[JwtAlgorithm], wrong: Option<&JwtAlgorithm>) -> Result<Self, JwtError> {
        if let Some(algorithm) = wrong {
            return Err(JwtError::AlgorithmWithoutKey(algorithm.name()));
        }
        match all.iter().position(|key| !algorithms.contains(&key.algorithm)) {
            Some(place) => {
                Err(JwtError::Key { key: name(place, None), why: "the algorithm that it is for is not allowed" })
            }
            None => Ok(Self { all, by_id: false, left_out: Vec::new() }),
        }
    }

    /// The keys that may have signed a token: those with its `kid`, or all of the algorithm if it names none.
    pub fn candidates(&self, algorithm: JwtAlgorithm, kid: Option<&str>) -> Result<Vec<&DecodingKey>, JwtRefusal> {
        let kid = kid.filter(|_| self.by_id);
        let fits = |key: &&Key| key.algorithm == algorithm && (kid.is_none() || key.id.as_deref() == kid);
        let found: Vec<_> = self.all.iter().filter(fits).map(|key| &key.key).collect();
        if found.len() > MAX_TRIED { Err(JwtRefusal::NoKeyId) } else { Ok(found) }
    }
}

/// What a key is called in errors: its place, from 1, and its id.
pub fn name(place: usize, id: Option<&str>) -> String {
    let number = place + 1;
    match id {
        Some(id) => format!("key {number} (kid {:?})", id.chars().take(64).collect::<String>()),
        None => format!("key {number}"),
    }
}

/// What is wrong with a key, if anything. Tried now, so that a key that can never verify anything is no surprise later.
pub fn fault(bytes: &[u8], algorithm: JwtAlgorithm) -> Option<&'static str> {
    match algorithm {
        JwtAlgorithm::Hs256 if bytes.len() < MIN_SECRET => Some("the secret is shorter than 32 bytes"),
        JwtAlgorithm::Hs256 => None,
        JwtAlgorithm::Rs256 => (!is_rsa(bytes)).then_some(RSA),
        JwtAlgorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).err().map(|_| EC),
    }
}

/// Whether this is the DER of an RSA key of a size that can be used. The crate looks at the size only with a signature.
fn is_rsa(der: &[u8]) -> bool {
    PublicKey::from_der(der).is_ok_and(|key| {
        let modulus = key.modulus();
        let bytes = modulus.big_endian_without_leading_zero();
        let unused = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
        (2048..=8192).contains(&(8 * bytes.len() - unused))
    })
}

/// The DER of an RSA key in two parts; `None` if they make none.
pub fn rsa_der(n: &[u8], e: &[u8]) -> Option<Vec<u8>> {
    let der: PublicKeyX509Der<'_> = RsaPublicKeyComponents { n, e }.as_der().ok()?;
    Some(der.as_ref().to_vec())
}

const RSA: &str = "not an RSA public key of 2048 to 8192 bits";
const EC: &str = "not a public key of the curve P-256";

/// A public key as a "secret" is the oldest trick of all: whoever has it, and that is everybody, could sign.
fn secret(text: &Secret) -> Result<Key, JwtError> {
    let algorithm = JwtAlgorithm::Hs256;
    let key = DecodingKey::from_secret(text.expose().as_bytes());
    let public = text.expose().contains("-----BEGIN");
    let why =
        if public { Some("a PEM text is not a shared secret") } else { fault(text.expose().as_bytes(), algorithm) };
    match why {
        Some(why) => Err(JwtError::Key { key: "the secret".into(), why }),
        None => Ok(Key { id: None, algorithm, key }),
    }
}
