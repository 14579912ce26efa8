//! JWTs: HS256, RS256 and ES256, nothing else.

mod claims;
mod jwks;
mod keys;
mod pem;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use jsonwebtoken::{Algorithm, crypto::verify, dangerous::insecure_decode_claims, errors::ErrorKind};

use self::{
    claims::{Claims, Path, Rules},
    keys::Keys,
};
use super::MAX_TOKEN_BYTES;
use crate::model::{Identity, Secret};

/// The longest leeway, in seconds: clocks that differ by more are wrong.
const MAX_LEEWAY: u64 = 3600;

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

    fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::HS256 => Some(Self::Hs256),
            Algorithm::RS256 => Some(Self::Rs256),
            Algorithm::ES256 => Some(Self::Es256),
            _ => None,
        }
    }

    fn of_crate(self) -> Algorithm {
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
    #[error("there are {0} keys, at most {max} are looked at", max = keys::MAX_KEYS)]
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
    /// Longer than [`MAX_TOKEN_BYTES`].
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

/// Checks JWTs.
pub struct JwtVerifier {
    algorithms: Vec<JwtAlgorithm>,
    keys: Keys,
    rules: Rules,
}

impl JwtVerifier {
    /// Reads the keys. Keys of a JWKS that are for something else are left out, see [`JwtVerifier::left_out`]; a broken
    /// one is an error, and so is a set without a key that can be used.
    pub fn new(settings: JwtSettings) -> Result<Self, JwtError> {
        let JwtSettings { algorithms, keys, issuer, audience, tenant_claim, user_claim, leeway } = settings;
        if algorithms.is_empty() {
            return Err(JwtError::NoAlgorithm);
        }
        if issuer.is_empty() {
            return Err(JwtError::NoIssuer);
        }
        if audience.is_empty() {
            return Err(JwtError::NoAudience);
        }
        if leeway > MAX_LEEWAY {
            return Err(JwtError::Leeway);
        }
        let tenant = Path::new("tenant", tenant_claim)?;
        let user = user_claim.map(|claim| Path::new("user", claim)).transpose()?;
        let keys = Keys::read(&keys, &algorithms)?;
        Ok(Self { algorithms, keys, rules: Rules { issuer, audience, tenant, user, leeway } })
    }

    /// The keys of the JWKS that are not used, and why. Fit to be logged.
    pub fn left_out(&self) -> &[String] {
        &self.keys.left_out
    }

    /// Who the token says the client is, if it holds at `now_unix` (seconds).
    pub fn verify(&self, token: &Secret, now_unix: u64) -> Result<Identity, JwtRefusal> {
        let token = token.expose();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtRefusal::TooLong);
        }
        let (algorithm, kid) = self.read_header(token)?;
        let claims = self.read_claims(token, algorithm, kid.as_deref())?;
        self.rules.judge(&claims, now_unix)
    }

    /// The algorithm, if it is allowed, and the key's id. Keys that a header brings along or points to are ignored.
    fn read_header(&self, token: &str) -> Result<(JwtAlgorithm, Option<String>), JwtRefusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            // The crate's list has no `none`; what is not on it is an unknown variant of `alg`, or no JSON at all.
            ErrorKind::Json(error) if error.is_data() => JwtRefusal::Algorithm,
            _ => JwtRefusal::Malformed,
        })?;
        let algorithm = JwtAlgorithm::of(header.alg).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(JwtRefusal::Algorithm)?;
        let plain = header.typ.as_deref().is_none_or(is_access_token);
        if !plain || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(JwtRefusal::Header);
        }
        Ok((algorithm, header.kid))
    }

    /// The claims, once a key has vouched for them. A key works with its own algorithm only, never with one that the
    /// token picks.
    fn read_claims(&self, token: &str, algorithm: JwtAlgorithm, kid: Option<&str>) -> Result<Claims, JwtRefusal> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwtRefusal::Malformed)?;
        let mut refusal = JwtRefusal::UnknownKey;
        for key in self.keys.candidates(algorithm, kid)? {
            match verify(signature, message.as_bytes(), key, algorithm.of_crate()) {
                // The crate's careful way to decode reads a clock, and has its own idea of claims.
                Ok(true) => return insecure_decode_claims(token).map_err(|_| JwtRefusal::Malformed),
                Ok(false) => refusal = JwtRefusal::Signature,
                Err(_) => return Err(JwtRefusal::Malformed),
            }
        }
        Err(refusal)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// Other types (a logout token, say) come from the same issuer for the same audience, and mean something else.
fn is_access_token(typ: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ))
}
