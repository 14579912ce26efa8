//! Public keys in PEM, one after another.

use jsonwebtoken::DecodingKey;

use super::{
    JwtAlgorithm, JwtError,
    keys::{Key, MAX_KEYS, fault, name},
};

const BEGIN: &str = "-----BEGIN ";

/// Every key of `text`. Each has to be of use: somebody put it there on purpose.
pub fn read(text: &str) -> Result<Vec<Key>, JwtError> {
    let starts: Vec<_> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    if starts.is_empty() {
        return Err(JwtError::NotPem);
    }
    if starts.len() > MAX_KEYS {
        return Err(JwtError::TooManyKeys(starts.len()));
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let blocks = starts.iter().zip(ends).map(|(start, end)| text.get(*start..end).unwrap_or_default());
    blocks.enumerate().map(|(place, block)| key(place, block)).collect()
}

fn key(place: usize, block: &str) -> Result<Key, JwtError> {
    let broken = |why| JwtError::Key { key: name(place, None), why };
    let label = block.strip_prefix(BEGIN).and_then(|rest| rest.split_once("-----")).map_or("", |(label, _)| label);
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
        "CERTIFICATE" => return Err(broken("a certificate; `openssl x509 -pubkey -noout` prints its public key")),
        label if label.ends_with("PRIVATE KEY") => {
            return Err(broken("a private key; only its public key belongs here"));
        }
        _ => return Err(broken("not a public key")),
    }
    let rsa = DecodingKey::from_rsa_pem(block.as_bytes()).map(|key| (JwtAlgorithm::Rs256, key));
    let ec = || DecodingKey::from_ec_pem(block.as_bytes()).map(|key| (JwtAlgorithm::Es256, key));
    let (algorithm, key) =
        rsa.or_else(|_| ec()).map_err(|_| broken("not a public key of RSA or of the curve P-256"))?;
    match key.try_get_as_bytes().map_or(Some("not a public key"), |bytes| fault(bytes, algorithm)) {
        Some(why) => Err(broken(why)),
        None => Ok(Key { id: None, algorithm, key }),
    }
}
