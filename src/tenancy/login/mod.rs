//! Who a client is: what one listener asks for, and what an answer is worth.
//!
//! # Layout
//! - `token`: static tokens, as digests.
//! - `certificates`: names in certificates.
//! - `jwt`: signed tokens: `keys` that may sign them, `claims` that they must hold.
//! - `patience`: how long an address waits that showed wrong ones.
//!
//! # Invariants
//! - Nothing of a token is in an error, a `Debug` text or a log.
//! - A token is compared with all digests, in constant time, before anything else is tried.

mod certificates;
mod jwt;
mod patience;
#[cfg(test)]
mod tests;
mod token;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

pub use certificates::{Certificates, Certified};
pub use jwt::{JwtAlgorithm, JwtError, JwtKeys, JwtRefusal, JwtSettings, JwtVerifier};
pub use patience::Patience;
pub use token::{TokenDigest, Tokens};

use crate::{
    model::{Identity, Secret},
    tls::Name,
};

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

type Fits = Box<dyn Fn(&Identity) -> bool + Send + Sync>;

/// What one listener asks of its clients. Tokens and JWT keys can be swapped while it runs.
pub struct Login {
    tokens: Arc<ArcSwap<Tokens>>,
    jwt: Option<Arc<ArcSwap<JwtVerifier>>>,
    default: Option<(Identity, Option<TokenDigest>)>,
    /// `None`: every tenant.
    admits: Option<Vec<Arc<str>>>,
    fits: Option<Fits>,
    certificates: Certificates,
}

impl Login {
    /// A listener that asks nothing: everybody is `default`.
    pub fn nobody_asked(default: Identity) -> Self {
        let tokens = Arc::new(ArcSwap::from_pointee(Tokens::new(Vec::new())));
        Self {
            tokens,
            jwt: None,
            default: Some((default, None)),
            admits: None,
            fits: None,
            certificates: Certificates::default(),
        }
    }

    /// A listener for the tenants of `admits`. `default` is the listener's own tenant, with the token for it, if any;
    /// without one nothing is asked. A default tenant that is not admitted is dropped, so that everybody is asked.
    pub fn new(
        tokens: Arc<ArcSwap<Tokens>>,
        jwt: Option<Arc<ArcSwap<JwtVerifier>>>,
        default: Option<(Identity, Option<Secret>)>,
        admits: Vec<Arc<str>>,
    ) -> Self {
        let default = default
            .filter(|(identity, _)| admits.contains(&identity.tenant))
            .map(|(identity, token)| (identity, token.map(|token| TokenDigest::of(token.expose().as_bytes()))));
        Self { tokens, jwt, default, admits: Some(admits), fits: None, certificates: Certificates::default() }
    }

    /// Also refuses every identity that `fits` says no to: one without a user where users are apart, or with a user
    /// name that no session id can hold. A default tenant that does not fit is dropped.
    pub fn fitting(mut self, fits: impl Fn(&Identity) -> bool + Send + Sync + 'static) -> Self {
        self.default = self.default.filter(|(identity, _)| fits(identity));
        self.fits = Some(Box::new(fits));
        self
    }

    /// Also lets in those whose certificate is a tenant's.
    pub fn knowing(mut self, certificates: Certificates) -> Self {
        self.certificates = certificates;
        self
    }

    /// Whose a certificate with these names is.
    pub fn whose(&self, names: &[Name]) -> Certified {
        self.certificates.whose(names)
    }

    /// Whether somebody of whom it is known who it is may come in.
    pub fn lets_in(&self, identity: &Identity) -> Result<(), LoginRefusal> {
        if self.admits.as_ref().is_some_and(|admits| !admits.contains(&identity.tenant)) {
            return Err(LoginRefusal::Tenant);
        }
        if self.fits.as_ref().is_some_and(|fits| !fits(identity)) {
            return Err(LoginRefusal::User);
        }
        Ok(())
    }

    /// Whether a client has to show a token. If not, it is the default tenant without a word.
    pub fn asks(&self) -> bool {
        !matches!(self.default, Some((_, None)))
    }

    /// Who a client is that shows nothing; `None` where it has to show a token.
    pub fn default_identity(&self) -> Option<&Identity> {
        match &self.default {
            Some((identity, None)) => Some(identity),
            _ => None,
        }
    }

    /// Who a client with this token is; `None` if it may not come in.
    pub fn ask(&self, token: Option<&Secret>, now_unix: u64) -> Option<Identity> {
        self.judge(token, now_unix).ok()
    }

    /// As [`Login::ask`], with the reason of a refusal for the record. Clients never learn it.
    pub fn judge(&self, token: Option<&Secret>, now_unix: u64) -> Result<Identity, LoginRefusal> {
        if let Some(identity) = self.default_identity() {
            return Ok(identity.clone());
        }
        let token = token.filter(|token| !token.expose().is_empty()).ok_or(LoginRefusal::NoToken)?;
        if token.expose().len() > MAX_TOKEN_BYTES {
            return Err(LoginRefusal::TooLong);
        }
        let identity = self.identify(token, now_unix)?;
        self.lets_in(&identity)?;
        Ok(identity)
    }

    /// The static tokens first, all of them, then the JWT.
    fn identify(&self, token: &Secret, now_unix: u64) -> Result<Identity, LoginRefusal> {
        let tokens = self.tokens.load();
        let known = tokens.find(token);
        let own =
            self.default.as_ref().filter(|(_, own)| own.as_ref() == Some(&TokenDigest::of(token.expose().as_bytes())));
        if let Some(identity) = own.map(|(identity, _)| identity).or(known) {
            return Ok(identity.clone());
        }
        match &self.jwt {
            Some(jwt) if looks_like_jwt(token.expose()) => Ok(jwt.load().verify(token, now_unix)?),
            _ => Err(LoginRefusal::Unknown),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("asks", &self.asks())
            .field("default", &self.default.as_ref().map(|(identity, _)| identity))
            .field("admits", &self.admits)
            .field("jwt", &self.jwt.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a client may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// It showed nothing.
    #[error("no token")]
    NoToken,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// No tenant's, and no JWT.
    #[error("nobody's token")]
    Unknown,
    /// A JWT that does not hold.
    #[error("{0}")]
    Jwt(#[from] JwtRefusal),
    /// Somebody, but of a tenant that this listener does not serve.
    #[error("the tenant is not served here")]
    Tenant,
    /// Somebody of a tenant served here, but with no user name where one is needed, or an impossible one.
    #[error("the user name is missing or impossible")]
    User,
}

fn looks_like_jwt(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}
