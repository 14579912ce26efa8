//! Who a certificate is for: its subject alternative names.

use std::fmt;

/// A name of a certificate that somebody may be known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A host's name, in small letters.
    Dns(Box<str>),
    /// A URI, such as a SPIFFE id.
    Uri(Box<str>),
    /// An email address.
    Email(Box<str>),
}

/// The object identifier of the extension, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
/// The extensions of a certificate.
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

impl Name {
    /// A name as an operator writes it: a URI has a scheme, an email address an `@`. `None`: none of the three.
    pub fn read(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !plain {
            return None;
        }
        if let Some((scheme, rest)) = text.split_once(':') {
            let mut letters = scheme.bytes();
            let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
                && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            return (is_scheme && !rest.is_empty()).then(|| Self::Uri(text.into()));
        }
        if let Some((user, host)) = text.split_once('@') {
            return (!user.is_empty() && is_host(host)).then(|| Self::email(text));
        }
        is_host(text).then(|| Self::dns(text))
    }

    /// All names of a certificate (in DER) that somebody may be known by. A certificate that is not well-formed has none; who
    /// asks has had its signature checked.
    pub fn all(certificate: &[u8]) -> Vec<Self> {
        alternatives(certificate).unwrap_or_default()
    }

    fn dns(text: &str) -> Self {
        Self::Dns(text.to_ascii_lowercase().into())
    }

    /// Hosts are the same in capitals; whether users are, is the host's to say.
    fn email(text: &str) -> Self {
        let (user, host) = text.rsplit_once('@').unwrap_or((text, ""));
        Self::Email(format!("{user}@{}", host.to_ascii_lowercase()).into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Dns(text) | Self::Uri(text) | Self::Email(text)) = self;
        f.write_str(text)
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn alternatives(certificate: &[u8]) -> Option<Vec<Name>> {
    let signed = enter(certificate, SEQUENCE)?;
    let mut body = enter(signed, SEQUENCE)?;
    let extensions = loop {
        let (tag, value, rest) = element(body)?;
        if tag == EXTENSIONS {
            break enter(value, SEQUENCE)?;
        }
        body = rest;
    };
    let mut left = extensions;
    while !left.is_empty() {
        let (_, extension, rest) = element(left)?;
        left = rest;
        let (tag, id, value) = element(extension)?;
        if tag == OBJECT_ID && id == SUBJECT_ALT_NAME {
            return names(value);
        }
    }
    Some(Vec::new())
}

/// What stands behind the extension's identifier: perhaps whether it is critical, then the names.
fn names(mut left: &[u8]) -> Option<Vec<Name>> {
    let list = loop {
        let (tag, value, rest) = element(left)?;
        if tag == OCTETS {
            break enter(value, SEQUENCE)?;
        }
        left = rest;
    };
    let (mut found, mut left) = (Vec::new(), list);
    while !left.is_empty() {
        let (tag, value, rest) = element(left)?;
        left = rest;
        let Ok(text) = std::str::from_utf8(value) else { continue };
        match tag {
            DNS if is_host(text) => found.push(Name::dns(text)),
            URI if !text.is_empty() => found.push(Name::Uri(text.into())),
            EMAIL if text.contains('@') => found.push(Name::email(text)),
            _ => {}
        }
    }
    Some(found)
}

fn enter(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    element(bytes).filter(|(tag, ..)| *tag == wanted).map(|(_, value, _)| value)
}

/// The first element: its tag, its value, and what stands behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_names_of_a_certificate() {
        let der = certificate(vec![
            SanType::DnsName("Alice.Example.org".try_into().unwrap()),
            SanType::URI("spiffe://corp/Alice".try_into().unwrap()),
            SanType::Rfc822Name("Alice@Corp.Example".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::DnsName("*.example.org".try_into().unwrap()),
        ]);
        let names: Vec<_> = Name::all(&der).iter().map(Name::to_string).collect();
        assert_eq!(names, ["alice.example.org", "spiffe://corp/Alice", "Alice@corp.example"]);
        assert_eq!(Name::all(&certificate(Vec::new())), []);
    }

    #[test]
    fn a_broken_certificate_has_no_names_and_does_no_harm() {
        let der = certificate(vec![SanType::DnsName("a.example".try_into().unwrap())]);
        for length in 0..der.len() {
            assert_eq!(Name::all(&der[..length]), []);
        }
        for at in 0..der.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut broken = der.clone();
                broken[at] ^= bits;
                let _ = Name::all(&broken);
            }
        }
    }

    #[test]
    fn as_an_operator_writes_them() {
        assert_eq!(Name::read("A.example"), Some(Name::Dns("a.example".into())));
        assert_eq!(Name::read("spiffe://corp/A"), Some(Name::Uri("spiffe://corp/A".into())));
        assert_eq!(Name::read("urn:x"), Some(Name::Uri("urn:x".into())));
        assert_eq!(Name::read("A@B.example"), Some(Name::Email("A@b.example".into())));
        for wrong in ["", " ", "a b", "*.example", "a..b", "@b", "a@", "a@b c", "://x", "1:x", "é"] {
            assert_eq!(Name::read(wrong), None, "{wrong}");
        }
    }
}
