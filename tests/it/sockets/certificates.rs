//! Certificates for the tests: authorities, and what they sign.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};

use super::Folder;

/// Who signs.
pub struct Authority {
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// One whose certificate is in `NAME.crt`.
    pub fn new(folder: &Folder, name: &'static str) -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(folder.path(&format!("{name}.crt")), certificate.pem()).expect("written");
        Self { name, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for `names`, into `FILE.crt` and `FILE.key`.
    pub fn sign(&self, folder: &Folder, file: &str, names: &[SanType]) {
        self.sign_as(folder, file, names, false);
    }

    /// The same for one that has expired.
    pub fn sign_expired(&self, folder: &Folder, file: &str, names: &[SanType]) {
        self.sign_as(folder, file, names, true);
    }

    fn sign_as(&self, folder: &Folder, file: &str, names: &[SanType], expired: bool) {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
        params.subject_alt_names = names.to_vec();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{file} by {}", self.name));
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        // Not at once, as a tool would write them.
        for (ending, text) in [("crt", certificate.pem()), ("key", key.serialize_pem())] {
            let path = folder.path(&format!("{file}.{ending}"));
            std::fs::write(path.with_extension("new"), text).expect("written");
            std::fs::rename(path.with_extension("new"), path).expect("renamed");
        }
    }
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a URI"))
}

pub fn loopback() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}
