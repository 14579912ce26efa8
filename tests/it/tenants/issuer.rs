//! An issuer of JWTs: makes keys, publishes them, signs what it is told to.

use aws_lc_rs::{
    encoding::AsDer,
    hmac, rand,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

/// One key.
pub enum Issuer {
    Hs256(Vec<u8>),
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
}

impl Issuer {
    pub fn hs256(secret: &str) -> Self {
        Self::Hs256(secret.as_bytes().to_vec())
    }

    pub fn rs256() -> Self {
        Self::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")))
    }

    pub fn es256() -> Self {
        Self::Es256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    /// A JWT with these claims, and the id of the key in its header.
    pub fn sign(&self, id: &str, claims: &Value) -> String {
        self.sign_as(&json!({"alg": self.algorithm(), "typ": "JWT", "kid": id}), claims)
    }

    /// A JWT with a header of the test's choice.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = base64url(&self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match self {
            Self::Hs256(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Self::Es256(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Hs256(secret) => json!({"kty": "oct", "kid": id, "k": base64url(secret)}),
            Self::Rs256(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": id, "n": base64url(&parts.n), "e": base64url(&parts.e), "use": "sig"})
            }
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": base64url(x), "y": base64url(y)})
            }
        }
    }

    /// The public key in PEM.
    pub fn pem(&self) -> String {
        let der = match self {
            Self::Hs256(_) => panic!("a secret has no public key"),
            Self::Rs256(pair) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
            Self::Es256(pair) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
        };
        let text = encode(&der, b"+/", true);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

/// Header and claims as they are signed.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
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
