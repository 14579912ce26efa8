//! Why there is no connection, in words for people.

use std::{fmt::Write as _, io};

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Whom the words are about.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The other one, such as "the proxy".
    pub other: &'a str,
    /// What of ours says whom we trust, such as "--ca".
    pub trusted: &'a str,
}

impl Side<'_> {
    /// What happened to a connection, where TLS is the reason; otherwise the words of the system.
    pub fn explain(&self, error: &io::Error) -> String {
        match tls(error) {
            Some(fault) => self.of_tls(fault),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!("{} closed the connection in the middle of the handshake", self.other)
            }
            None => error.to_string(),
        }
    }

    fn of_tls(&self, fault: &Error) -> String {
        let other = self.other;
        match fault {
            Error::InvalidCertificate(reason) => self.of_certificate(reason),
            Error::NoCertificatesPresented => format!("{other} shows no certificate"),
            Error::AlertReceived(alert) => self.of_alert(*alert),
            Error::InvalidMessage(_) => format!("{other} does not speak TLS"),
            Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon) => {
                format!("{other} does not take the kind of our certificate's key")
            }
            fault => format!("TLS with {other} failed: {fault}"),
        }
    }

    fn of_certificate(&self, reason: &CertificateError) -> String {
        let Self { other, trusted } = self;
        let mut text = format!("{other}'s certificate ");
        let told = match reason {
            CertificateError::UnknownIssuer => write!(text, "is not signed by anybody in {trusted}"),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => write!(text, "has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                write!(text, "is not valid yet (are the clocks right?)")
            }
            CertificateError::Revoked => write!(text, "is revoked"),
            CertificateError::BadSignature => {
                write!(text, "is signed by another one of the same name than in {trusted}")
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let presented = if presented.is_empty() { "none".to_owned() } else { presented.join(", ") };
                write!(text, "is for other names: {presented}; wanted: {}", expected.to_str())
            }
            CertificateError::NotValidForName => write!(text, "is for another name"),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                write!(text, "is not made for this purpose (its extended key usage says so)")
            }
            CertificateError::BadEncoding => write!(text, "cannot be understood"),
            other => write!(text, "is not accepted: {other}"),
        };
        debug_assert!(told.is_ok(), "a String takes everything");
        text
    }

    fn of_alert(&self, alert: AlertDescription) -> String {
        let other = self.other;
        match alert {
            AlertDescription::CertificateRequired => format!("{other} wants a certificate, and we have none"),
            AlertDescription::CertificateExpired => format!("{other} does not accept our certificate: it has expired"),
            AlertDescription::UnknownCA => {
                format!("{other} does not accept our certificate: it does not know who signed it")
            }
            AlertDescription::CertificateRevoked => format!("{other} does not accept our certificate: it is revoked"),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => format!("{other} does not accept our certificate"),
            AlertDescription::UnrecognisedName => format!("{other} does not know the name that we asked for"),
            AlertDescription::ProtocolVersion => format!("{other} speaks no version of TLS that we do"),
            AlertDescription::HandshakeFailure => format!("{other} and we have no way of encryption in common"),
            alert => format!("{other} ended the handshake: {alert:?}"),
        }
    }
}

/// The fault of TLS in `error`, if it is one.
fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether TLS is the reason, and trying again is of no use before somebody has mended something.
pub fn is_final(error: &io::Error) -> bool {
    tls(error).is_some()
}
