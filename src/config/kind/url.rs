//! Beginnings of URLs: where a tenant may send its sessions.

use toml::de::DeValue;

use super::Kind;
use crate::{
    config::reader::{Reader, Spot},
    tenancy::GuardSettings,
};

/// What allows every URL.
const ANY_URL: &str = "*";

/// What an allow-list of `tenancy` takes: a URL, with or without port and path, that others begin with, or `*`.
pub(in crate::config) fn url_prefix() -> UrlPrefix {
    UrlPrefix
}

pub(in crate::config) struct UrlPrefix;

impl Kind for UrlPrefix {
    type Value = String;

    fn expects(&self) -> String {
        "\"https://host\", \"https://host:port/path\", \"https://*.domain\" or \"*\"".to_owned()
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
    let Some((_, rest)) = text.split_once("://") else {
        return Some((!text.is_empty()).then(|| "the scheme is missing, such as `https://`".to_owned()));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Some(Some("without a user and password".to_owned()));
    }
    if text.contains('?') {
        return Some(Some("without a query: it would not be compared".to_owned()));
    }
    let rules = GuardSettings { provider_urls: vec![text.to_owned()], ..GuardSettings::default() };
    let in_path = rest.contains('*').then(|| "a `*` stands for the first parts of a host".to_owned());
    rules.check().is_err().then_some(in_path)
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
            "https://*.example.com",
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
            "ftp://a",
            "https://a:",
            "https://a:70000",
            "https://u:p@a",
            "https://a.*.com",
            "https://a/../b",
            "https://a/%2e",
            "https://a?b",
            "https://a/b#c",
            "https://a b",
            "https://[x]",
            "https://a\\b",
        ];
        for text in refused {
            assert!(wrong(text).is_some(), "{text}");
        }
    }
}
