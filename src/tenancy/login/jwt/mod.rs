//! JWTs: HS256, RS256 and ES256, nothing else.
//!
//! # Layout
//! - `settings`: what is asked; `error`: what may be wrong with it, and with a token.
//! - `keys`: who may sign, read from a key set (`jwks`) or from `pem`.
//! - `claims`: what a signed token must say.

mod claims;
mod error;
mod jwks;
mod keys;
mod pem;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;

use jsonwebtoken::{crypto::verify, dangerous::insecure_decode_claims, errors::ErrorKind};

use self::{
    claims::{Claims, Path, Rules},
    keys::Keys,
};
pub use self::{
    error::{JwtError, JwtRefusal},
    settings::{JwtAlgorithm, JwtKeys, JwtSettings},
};
use super::MAX_TOKEN_BYTES;
use crate::model::{Identity, Secret};

/// The longest leeway, in seconds: clocks that differ by more are wrong.
const MAX_LEEWAY: u64 = 3600;

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
