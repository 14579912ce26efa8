//! `[listener.tls]` and `[pool.NAME.tls]`: certificates and keys, in files that are read again when they change.

use std::path::PathBuf;

use crate::config::{
    kind::{choice, line, one_of, optional, path},
    section::section,
};

section! {
    /// TLS of a listener. Its files are read again when they change; ones that are no good change nothing.
    pub struct ListenerTls {
        /// Its certificate in PEM, followed by those that signed it.
        pub cert: PathBuf = path(), required("\"/etc/pilotfish/tls.crt\"");
        /// The key of it in PEM, without a passphrase.
        pub key: PathBuf = path(), required("\"/etc/pilotfish/tls.key\"");
        /// Who may have signed the certificates of clients, in PEM.
        pub client_ca: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/clients-ca.crt\"");
        /// Whether clients show a certificate. Without it: "required" where there is a `client_ca`, otherwise "off".
        pub client_auth: Option<ClientAuth> = optional(one_of::<ClientAuth>()), absent("\"optional\"");
    }
}

impl ListenerTls {
    /// Whether clients show a certificate.
    pub fn client_auth(&self) -> ClientAuth {
        let usual = if self.client_ca.is_some() { ClientAuth::Required } else { ClientAuth::Off };
        self.client_auth.unwrap_or(usual)
    }
}

choice! {
    /// Whether clients show a certificate.
    pub enum ClientAuth {
        /// they are not asked
        Off = "off",
        /// they may; one that is not right is refused
        Optional = "optional",
        /// they have to
        Required = "required",
    }
}

section! {
    /// TLS towards the backends. Its files are read again when they change; ones that are no good change nothing.
    pub struct BackendTls {
        /// Who may have signed their certificates, in PEM. Without it: those that the machine trusts.
        pub ca: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/backends-ca.crt\"");
        /// Our own certificate in PEM, where they ask for one.
        pub cert: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/tls.crt\"");
        /// The key of it in PEM.
        pub key: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/tls.key\"");
        /// The name that their certificates are for. Without it: the host of each address.
        pub server_name: Option<String> = optional(line()), absent("\"copilot-cli.internal\"");
    }
}
