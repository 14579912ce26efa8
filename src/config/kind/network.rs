//! Who is meant by an address, and by a name in a certificate.

use toml::de::DeValue;

use super::Kind;
use crate::{
    config::reader::{Reader, Spot},
    model::Network,
    tls::Name,
};

/// Addresses that something comes from.
pub(in crate::config) fn network() -> Addresses {
    Addresses
}

pub(in crate::config) struct Addresses;

impl Kind for Addresses {
    type Value = Network;

    fn expects(&self) -> String {
        "an IP address, a range such as \"10.0.0.0/8\", or \"unix:\" for those who come through a Unix socket"
            .to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Network> {
        value.as_str().and_then(|text| text.parse().ok()).or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> Network {
        Network::Local
    }
}

/// A name that a certificate is for.
pub(in crate::config) fn certificate_name() -> CertificateName {
    CertificateName
}

pub(in crate::config) struct CertificateName;

impl Kind for CertificateName {
    type Value = Name;

    fn expects(&self) -> String {
        "a host's name, a URI or an email address, as it stands in a certificate".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Name> {
        let text = value.as_str().unwrap_or_default();
        let hint = text.contains('*').then(|| "whole names: a wildcard is nobody".to_owned());
        Name::read(text).or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> Name {
        Name::Dns("".into())
    }
}
