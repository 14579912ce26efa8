//! What a signed token must say.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{JwtError, JwtRefusal};
use crate::model::Identity;

/// The last second of the year 9999. Later times are milliseconds by mistake, or worse.
const LAST: u64 = 253_402_300_799;
/// The longest name of a tenant or user.
const MAX_NAME: usize = 128;

/// The rules for the claims.
pub struct Rules {
    pub issuer: String,
    pub audience: String,
    pub tenant: Path,
    pub user: Option<Path>,
    pub leeway: u64,
}

impl Rules {
    /// Who `claims` name, if they hold at `now`.
    pub fn judge(&self, claims: &Claims, now: u64) -> Result<Identity, JwtRefusal> {
        self.check_time(claims, now)?;
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        let tenant = self.tenant.name(claims)?.ok_or(JwtRefusal::Missing("tenant"))?;
        let user = match &self.user {
            Some(path) => path.name(claims)?,
            None => None,
        };
        Ok(Identity { tenant: tenant.into(), user: user.map(Into::into) })
    }

    fn check_time(&self, claims: &Claims, now: u64) -> Result<(), JwtRefusal> {
        let end = date(claims, "exp")?.ok_or(JwtRefusal::Missing("exp"))?;
        if now >= end.saturating_add(self.leeway) {
            return Err(JwtRefusal::Expired);
        }
        if date(claims, "nbf")?.is_some_and(|start| now.saturating_add(self.leeway) < start) {
            return Err(JwtRefusal::NotYet);
        }
        Ok(())
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), JwtRefusal> {
        match claims.get("iss") {
            None => Err(JwtRefusal::Missing("iss")),
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(()),
            Some(Value::String(_)) => Err(JwtRefusal::Issuer),
            Some(_) => Err(JwtRefusal::Claim("iss")),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), JwtRefusal> {
        let all = match claims.get("aud").ok_or(JwtRefusal::Missing("aud"))? {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        if !all.iter().all(Value::is_string) {
            return Err(JwtRefusal::Claim("aud"));
        }
        let ours = all.iter().any(|one| one.as_str() == Some(&self.audience));
        if ours { Ok(()) } else { Err(JwtRefusal::Audience) }
    }
}

/// Seconds since 1970. A fraction is cut off `exp` and `nbf` alike; it is less than any leeway.
fn date(claims: &Claims, name: &'static str) -> Result<Option<u64>, JwtRefusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        (None, Some(seconds)) if (0.0..=LAST as f64).contains(&seconds) => seconds as u64,
        _ => return Err(JwtRefusal::Claim(name)),
    };
    if seconds > LAST { Err(JwtRefusal::Claim(name)) } else { Ok(Some(seconds)) }
}

/// Where a name stands in the claims.
pub struct Path {
    what: &'static str,
    text: String,
}

impl Path {
    /// `text` is a claim's name or a path with dots.
    pub fn new(what: &'static str, text: String) -> Result<Self, JwtError> {
        if text.split('.').any(str::is_empty) { Err(JwtError::Claim(what)) } else { Ok(Self { what, text }) }
    }

    /// The name there; `None` if there is nothing. It ends up in logs, so it has to be printable ASCII.
    fn name<'a>(&self, claims: &'a Claims) -> Result<Option<&'a str>, JwtRefusal> {
        let Some(value) = self.value(claims) else { return Ok(None) };
        let name = value.as_str().filter(|name| (1..=MAX_NAME).contains(&name.len()));
        let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
        name.map(Some).ok_or(JwtRefusal::Claim(self.what))
    }

    /// A claim of exactly this name goes first: names such as `https://example.com/tenant` have dots.
    fn value<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        claims.get(&self.text).or_else(|| {
            let mut parts = self.text.split('.');
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.as_object()?.get(part))
        })
    }
}

/// The claims of a token. None is there twice: two readers could take different ones for the truth.
pub struct Claims(Map<String, Value>);

impl Claims {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = members.next_entry()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim is there twice"));
            }
        }
        Ok(Claims(claims))
    }
}
