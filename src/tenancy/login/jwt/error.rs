//! Why settings or tokens are refused. Nothing of a key or token is in the words.

use super::{MAX_LEEWAY, keys::MAX_KEYS};

/// Why settings are of no use. Names keys by their place and id, never by what they hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// An algorithm that we do not know.
    #[error("the algorithm must be HS256, RS256 or ES256")]
    Algorithm,
    /// No algorithm is allowed.
    #[error("no algorithm is given: name at least one of HS256, RS256 and ES256")]
    NoAlgorithm,
    /// The issuer is empty.
    #[error("the issuer is empty: any token of any issuer would need to be believed")]
    NoIssuer,
    /// The audience is empty.
    #[error("the audience is empty: tokens that were made for others would be believed")]
    NoAudience,
    /// A claim's name is empty or has an empty part.
    #[error("the {0} claim is empty or has an empty part between dots")]
    Claim(&'static str),
    /// The leeway is too long.
    #[error("the leeway is more than {MAX_LEEWAY} s")]
    Leeway,
    /// The JWKS is not JSON.
    #[error("the JWKS is not JSON (line {line}, column {column})")]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// The JWKS is JSON but not a key set.
    #[error("the JWKS has no array \"keys\"")]
    NotJwks,
    /// The PEM text is not PEM.
    #[error("the PEM text has no key in it")]
    NotPem,
    /// Too many keys to go through.
    #[error("there are {0} keys, at most {max} are looked at", max = MAX_KEYS)]
    TooManyKeys(usize),
    /// A key is broken.
    #[error("{key}: {why}")]
    Key {
        /// Which one.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There are keys, but none for these algorithms.
    #[error("no key can be used{}", list(.0))]
    NoKey(Vec<String>),
    /// An algorithm that this kind of key is never for.
    #[error(
        "{0} is allowed, but keys of this kind are not for it: HS256 goes with a secret, the others with public keys"
    )]
    AlgorithmWithoutKey(&'static str),
}

fn list(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!(": {}", notes.join("; ")) }
}

/// Why a JWT is not believed. For the record only: clients never learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefusal {
    /// Longer than [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES).
    #[error("the JWT is too long")]
    TooLong,
    /// Not three parts of base64, or not JSON inside.
    #[error("not a JWT")]
    Malformed,
    /// Signed in a way that is not allowed here, or not at all.
    #[error("the JWT's algorithm is not allowed")]
    Algorithm,
    /// The header asks for something that we do not do.
    #[error("the JWT's header asks for more than a plain JWT")]
    Header,
    /// Signed by a key that we do not have.
    #[error("the JWT's key is not known")]
    UnknownKey,
    /// It names no key, and too many could be meant.
    #[error("the JWT names no key, and there are too many to try")]
    NoKeyId,
    /// The signature is wrong.
    #[error("the JWT's signature is wrong")]
    Signature,
    /// A claim that must be there is not.
    #[error("the JWT has no claim {0}")]
    Missing(&'static str),
    /// A claim is of a wrong type or out of range.
    #[error("the JWT's claim {0} is malformed")]
    Claim(&'static str),
    /// `exp` has passed.
    #[error("the JWT has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the JWT is not valid yet")]
    NotYet,
    /// Made by somebody else.
    #[error("the JWT is of another issuer")]
    Issuer,
    /// Made for somebody else.
    #[error("the JWT is for another audience")]
    Audience,
}
