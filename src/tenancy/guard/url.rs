//! Addresses that a backend may be sent to: scheme, host, port and the beginning of the path, each compared by itself.
//! What two readers of addresses could read in two ways is refused.

use std::str::FromStr;

use super::{Denied, GuardError, tree::Tree};

const NOT_PLAIN: (&str, &str) =
    ("url_not_plain", "use a plain http(s) address: no user, no escapes in the host, no `..`");
const NOT_ALLOWED: (&str, &str) = ("url_not_allowed", "the operator has not allowed this address for the tenant");

/// The addresses that a tenant may name.
#[derive(Clone, Debug, Default)]
pub struct UrlRules {
    any: bool,
    rules: Vec<Url>,
}

impl UrlRules {
    /// Rules that cannot be read match nothing; [`UrlRules::check`] names them. `*` allows every plain address.
    pub fn new(rules: &[String]) -> Self {
        Self {
            any: rules.iter().any(|rule| rule == "*"),
            rules: rules.iter().filter_map(|rule| rule.parse().ok()).collect(),
        }
    }

    /// Whether `rule` can be read.
    pub fn check(rule: &str) -> Result<(), GuardError> {
        if rule == "*" { Ok(()) } else { rule.parse::<Url>().map(|_| ()) }
    }

    /// The address at `key`.
    pub fn one(&self, key: &str, value: &Tree<'_>) -> Result<(), Denied> {
        let url = value.text().and_then(|text| text.parse::<Url>().ok()).ok_or_else(|| Denied::at(key, NOT_PLAIN))?;
        let plain_host = !url.host.starts_with("*.");
        let allowed = plain_host && (self.any || self.rules.iter().any(|rule| rule.covers(&url)));
        if allowed { Ok(()) } else { Err(Denied::at(key, NOT_ALLOWED)) }
    }
}

/// An address, taken apart. As a rule its host may begin with `*.` for every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    scheme: String,
    host: String,
    port: u16,
    path: Vec<String>,
}

impl Url {
    fn covers(&self, other: &Self) -> bool {
        let host = match self.host.strip_prefix('*') {
            Some(suffix) => other.host.ends_with(suffix),
            None => self.host == other.host,
        };
        host && self.scheme == other.scheme && self.port == other.port && other.path.starts_with(&self.path)
    }
}

impl FromStr for Url {
    type Err = GuardError;

    fn from_str(text: &str) -> Result<Self, GuardError> {
        read(text).ok_or(GuardError::Url)
    }
}

fn read(text: &str) -> Option<Url> {
    // Readers strip blanks and tabs, turn `\` into `/` and IDNs into punycode: none of it may stand here.
    if text.len() > 2048 || text.bytes().any(|byte| !byte.is_ascii_graphic() || b"\\\"<>^`{|}#".contains(&byte)) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (host, port) = host_and_port(authority, default_port)?;
    let path = rest.split('?').next().unwrap_or_default();
    Some(Url { scheme, host, port, path: segments(path)? })
}

fn host_and_port(authority: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (inner, after) = inner.split_once(']')?;
            let plain =
                !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
            (plain.then(|| format!("[{}]", inner.to_ascii_lowercase()))?, after)
        }
        None => {
            let colon = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(colon);
            (name(host)?, port)
        }
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, default_port)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some((host, digits.parse().ok()?)),
        _ => None,
    }
}

fn name(host: &str) -> Option<String> {
    let labels = host.strip_prefix("*.").unwrap_or(host).split('.');
    let plain = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    labels.clone().all(plain).then(|| host.to_ascii_lowercase())
}

/// The segments of a path without a closing `/`. Dots, and slashes in disguise, are refused: readers resolve them.
fn segments(path: &str) -> Option<Vec<String>> {
    let lower = path.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%25", "//"].iter().any(|trick| lower.contains(trick)) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let dots = |part: &&str| matches!(*part, "." | "..");
    (!parts.iter().any(dots)).then(|| parts.iter().map(|part| (*part).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn passes(rules: &[&str], url: &str) -> bool {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        UrlRules::new(&rules).one("k", &Tree::Text(Cow::Borrowed(url))).is_ok()
    }

    const RULES: &[&str] =
        &["https://models.example.com/v1", "http://127.0.0.1:9999", "https://*.corp.example", "http://[::1]:80/"];

    #[test]
    fn addresses_under_a_rule_pass() {
        for url in [
            "https://models.example.com/v1",
            "https://models.example.com/v1/",
            "HTTPS://Models.Example.COM:443/v1/chat",
            "https://models.example.com/v1?api=2",
            "http://127.0.0.1:9999",
            "http://127.0.0.1:9999/v1",
            "https://a.corp.example/",
            "https://a.b.corp.example/x",
            "http://[::1]/",
        ] {
            assert!(passes(RULES, url), "{url}");
        }
    }

    #[test]
    fn look_alikes_do_not() {
        for url in [
            "",
            "*",
            "models.example.com/v1",
            "//models.example.com/v1",
            "https:models.example.com/v1",
            "https:/models.example.com/v1",
            "http://models.example.com/v1",
            "http://models.example.com:443/v1",
            "https://models.example.com/v1/\t../x",
            "https://models.example.com/v1/ü",
            "https://models.example.com/v1/x#y",
            "https://models.example.com",
            "https://models.example.com/v10",
            "https://models.example.com/V1",
            "https://models.example.com/v1/../admin",
            "https://models.example.com/v1/%2e%2e/admin",
            "https://models.example.com/v1/%2E./x",
            "https://models.example.com/v1/..%2fx",
            "https://models.example.com/v1%2f..",
            "https://models.example.com//v1",
            "https://models.example.com/v1/%252e%252e/x",
            "https://models.example.com:444/v1",
            "https://models.example.com:/v1",
            "https://models.example.com:+443/v1",
            "https://models.example.com:99999/v1",
            "https://models.example.com@evil.com/v1",
            "https://evil.com@models.example.com/v1",
            "https://u:p@models.example.com/v1",
            "https://models.example.com.evil.com/v1",
            "https://evilmodels.example.com/v1",
            "https://models.example.com./v1",
            "https://.models.example.com/v1",
            "https://models.example.com\\@evil.com/v1",
            "https://evil.com\\models.example.com/v1",
            "https://models.example.com\t/v1",
            " https://models.example.com/v1",
            "https://models.example.com/v1#x",
            "https://models.example.com%2eevil.com/v1",
            "https://%6dodels.example.com/v1",
            "https://mоdels.example.com/v1",
            "https://models。example.com/v1",
            "ht\ntps://models.example.com/v1",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://models.example.com/v1",
            "http://127.1:9999",
            "http://2130706433:9999",
            "http://0x7f.0.0.1:9999",
            "http://127.0.0.1:9998",
            "http://127.0.0.1",
            "https://corp.example/",
            "https://evilcorp.example/",
            "https://*.corp.example/",
            "http://[::1%25eth0]/",
            "http://[::1",
            "http://[::ffff:127.0.0.1]:9999/",
        ] {
            assert!(!passes(RULES, url), "{url}");
        }
    }

    #[test]
    fn a_star_takes_every_plain_address() {
        assert!(passes(&["*"], "https://anything.example:8443/x"));
        assert!(!passes(&["*"], "https://u@anything.example/"));
        assert!(!passes(&["*"], "file:///etc/passwd"));
        assert!(
            !passes(&["*"], "https://a..example/")
                && !passes(&["*"], "https://a.example./")
                && !passes(&["*"], "https:///x")
        );
        assert!(!passes(&[], "https://anything.example/"));
        assert!(!passes(&["nonsense", "https://"], "https://nonsense/"));
        assert!(UrlRules::check("*").is_ok() && UrlRules::check("https://a.b/c").is_ok());
        assert!(UrlRules::check("a.b").is_err() && UrlRules::check("https://u@a.b").is_err());
    }
}
