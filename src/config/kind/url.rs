//! Beginnings of URLs: where a tenant may send its sessions.

use toml::de::DeValue;

use super::{Kind, address::is_host};
use crate::config::reader::{Reader, Spot};

/// What allows every URL.
const ANY_URL: &str = "*";

/// `scheme://host`, with or without port and path, or `*`.
pub(in crate::config) fn url_prefix() -> UrlPrefix {
    UrlPrefix
}

pub(in crate::config) struct UrlPrefix;

impl Kind for UrlPrefix {
    type Value = String;

    fn expects(&self) -> String {
        "\"scheme://host\", \"scheme://host:port/path\" or such, in small letters, or \"*\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().unwrap_or_default();
        if text == ANY_URL {
            let found = "\"*\", which is every URL, also those of internal services".to_owned();
            reader.advise(spot, found, "the URLs that are needed".to_owned());
            return Some(text.to_owned());
        }
        match wrong(text) {
            None => Some(text.to_owned()),
            // A password must not reach a log.
            Some(hint) if text.contains('@') => {
                reader.refuse(spot, "a URL (not shown)".to_owned(), self.expects(), hint);
                None
            }
            Some(hint) => self.refuse(reader, spot, value, hint),
        }
    }

    fn stand_in(&self) -> String {
        String::new()
    }
}

/// `None`: it is right. Otherwise a hint, if there is one.
fn wrong(text: &str) -> Option<Option<String>> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some((!text.is_empty()).then(|| "the scheme is missing, such as `https://`".to_owned()));
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return Some(Some("without a user and password".to_owned()));
    }
    if text.contains('*') {
        return Some(Some("no wildcards: an entry is the beginning of the URLs".to_owned()));
    }
    let right = is_scheme(scheme) && is_authority(authority) && is_path(path);
    (!right).then_some(None)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rfind(':').filter(|at| !text[*at..].contains(']')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0));
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.map_or(is_host(host), |host| host.parse::<std::net::Ipv6Addr>().is_ok());
    host && port && !text.contains(|c: char| c.is_ascii_uppercase())
}

/// No query and no dots that a server would resolve: what is compared has to be what is asked for.
fn is_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'%' | b'\\' | b'"');
    text.bytes().all(plain) && !text.split('/').any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn beginnings_of_urls() {
        let right = [
            "https://api.example.com",
            "https://api.example.com/",
            "http://127.0.0.1:8080/v1",
            "https://[::1]:443/a/b",
            "https://[::1]",
            "wss://x",
        ];
        for text in right {
            assert_eq!(wrong(text), None, "{text}");
        }
        let refused = [
            "",
            "api.example.com",
            "https://",
            "https:///x",
            "HTTPS://a",
            "https://A",
            "https://a:0",
            "https://a:",
            "https://a:70000",
            "https://u:p@a",
            "https://*.example.com",
            "https://a/../b",
            "https://a/%2e",
            "https://a?b",
            "https://a/b#c",
            "https://a b",
            "https://[x]",
            "1s://a",
            "https://a\\b",
        ];
        for text in refused {
            assert!(wrong(text).is_some(), "{text}");
        }
    }
}
