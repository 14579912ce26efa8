//! A JSON Web Key Set (RFC 7517).

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, CommonParameters, Jwk, OctetKeyParameters, OctetKeyType},
};
use serde_json::Value;

use super::{
    JwtAlgorithm, JwtError,
    keys::{Key, MAX_KEYS, fault, name, rsa_der},
};

/// How a point with both coordinates begins (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The keys of `text` that are for `algorithms`, and notes on those that are for something else. A set holds what its
/// owner needs elsewhere, too; but a key for us that is broken is an error.
pub fn read(text: &str, algorithms: &[JwtAlgorithm]) -> Result<(Vec<Key>, Vec<String>), JwtError> {
    // The error's own text may quote the file, and a key with it.
    let set: Value =
        serde_json::from_str(text).map_err(|error| JwtError::NotJson { line: error.line(), column: error.column() })?;
    let all = set.get("keys").and_then(Value::as_array).ok_or(JwtError::NotJwks)?;
    if all.len() > MAX_KEYS {
        return Err(JwtError::TooManyKeys(all.len()));
    }
    let mut keys = Vec::with_capacity(all.len());
    let mut left_out = Vec::new();
    for (place, jwk) in all.iter().enumerate() {
        let id = jwk.get("kid").and_then(Value::as_str);
        match key(jwk, algorithms) {
            Ok((algorithm, key)) => keys.push(Key { id: id.map(Into::into), algorithm, key }),
            Err(Unfit::Other(why)) => left_out.push(format!("{} is left out: {why}", name(place, id))),
            Err(Unfit::Broken(why)) => return Err(JwtError::Key { key: name(place, id), why }),
        }
    }
    Ok((keys, left_out))
}

enum Unfit {
    /// Made for something else.
    Other(&'static str),
    /// Made for us, and of no use.
    Broken(&'static str),
}

fn key(jwk: &Value, algorithms: &[JwtAlgorithm]) -> Result<(JwtAlgorithm, DecodingKey), Unfit> {
    if jwk.get("kid").is_some_and(|id| !id.is_string()) {
        return Err(Unfit::Broken("its kid is not a string"));
    }
    let algorithm = purpose(jwk)?;
    if !algorithms.contains(&algorithm) {
        return Err(Unfit::Other("the algorithm that it is for is not allowed"));
    }
    if algorithm != JwtAlgorithm::Hs256 && jwk.get("d").is_some() {
        return Err(Unfit::Broken("a private key; only its public key belongs here"));
    }
    material(jwk, algorithm).map(|key| (algorithm, key))
}

/// The one algorithm that a key is for: its type says so, and nothing in it may say otherwise.
fn purpose(jwk: &Value) -> Result<JwtAlgorithm, Unfit> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let algorithm = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => JwtAlgorithm::Rs256,
        (Some("EC"), Some("P-256")) => JwtAlgorithm::Es256,
        (Some("oct"), _) => JwtAlgorithm::Hs256,
        (Some(_), _) => return Err(Unfit::Other("keys of its type are for none of HS256, RS256 and ES256")),
        (None, _) => return Err(Unfit::Broken("it has no kty")),
    };
    let signs = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let verifies =
        jwk.get("key_ops").is_none_or(|all| all.as_array().is_some_and(|all| all.iter().any(|one| one == "verify")));
    if !signs || !verifies {
        return Err(Unfit::Other("it is not for checking signatures"));
    }
    if jwk.get("alg").is_some_and(|named| named != algorithm.name()) {
        return Err(Unfit::Other("it is for another algorithm"));
    }
    Ok(algorithm)
}

fn material(jwk: &Value, algorithm: JwtAlgorithm) -> Result<DecodingKey, Unfit> {
    let (key, fault) = match algorithm {
        JwtAlgorithm::Rs256 => {
            let der = rsa_der(&part(jwk, "n")?, &part(jwk, "e")?).unwrap_or_default();
            (DecodingKey::from_rsa_der(&der), fault(&der, algorithm))
        }
        JwtAlgorithm::Es256 => {
            let point = [vec![UNCOMPRESSED], part(jwk, "x")?, part(jwk, "y")?].concat();
            (DecodingKey::from_ec_der(&point), fault(&point, algorithm))
        }
        JwtAlgorithm::Hs256 => {
            let secret = part(jwk, "k")?;
            (DecodingKey::from_secret(&secret), fault(&secret, algorithm))
        }
    };
    fault.map_or(Ok(key), |why| Err(Unfit::Broken(why)))
}

/// The bytes of one part of a key. The crate decodes base64url as a key's only, so it is asked for an octet key.
fn part(jwk: &Value, name: &str) -> Result<Vec<u8>, Unfit> {
    let value = jwk.get(name).and_then(Value::as_str).ok_or(Unfit::Broken("a part of the key is missing"))?;
    let octets = OctetKeyParameters { key_type: OctetKeyType::Octet, value: value.into() };
    let octets = Jwk { common: CommonParameters::default(), algorithm: AlgorithmParameters::OctetKey(octets) };
    let key = DecodingKey::from_jwk(&octets);
    let bytes = key.as_ref().ok().and_then(|key| key.try_get_as_bytes().ok());
    bytes.map(<[u8]>::to_vec).ok_or(Unfit::Broken("a part of the key is not base64url"))
}
