//! An issuer: makes keys, publishes them, signs what it is told to.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    hmac, rand,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

/// The secret of HS256.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
pub static OTHER_RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);
pub static EC: LazyLock<Signer> = LazyLock::new(Signer::ec);
pub static OTHER_EC: LazyLock<Signer> = LazyLock::new(Signer::ec);

pub enum Signer {
    Hmac(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl Signer {
    pub fn secret() -> Self {
        Self::Hmac(SECRET.as_bytes().to_vec())
    }

    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn ec() -> Self {
        Self::Ec(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()))
    }

    /// A JWT with exactly this header and these claims.
    pub fn sign(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.as_bytes()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", base64url(&signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match self {
            Self::Hmac(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    /// The public key as SubjectPublicKeyInfo in PEM.
    pub fn pem(&self) -> String {
        match self {
            Self::Hmac(_) => unreachable!("a secret has no public key"),
            Self::Rsa(pair) => pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref()),
            Self::Ec(pair) => pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref()),
        }
    }

    /// The key as a JWK with the given id.
    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Hmac(secret) => json!({ "kty": "oct", "kid": id, "k": base64url(secret) }),
            Self::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "kid": id, "n": base64url(&parts.n), "e": base64url(&parts.e), "use": "sig" })
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": base64url(x), "y": base64url(y) })
            }
        }
    }
}

/// A key set of these keys.
pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = encode(der, b"+/", true);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub fn base64url(bytes: &[u8]) -> String {
    encode(bytes, b"-_", false)
}

fn encode(bytes: &[u8], last: &[u8; 2], pads: bool) -> String {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..=chunk.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
        }
        if pads {
            text.push_str(&"=".repeat(3 - chunk.len()));
        }
    }
    text
}

#[test]
fn base64_is_as_in_the_rfc() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(encode(bytes.as_bytes(), b"+/", true), text);
    }
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
}
