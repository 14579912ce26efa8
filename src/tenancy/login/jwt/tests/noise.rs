//! Whatever is shown as a token, it is judged and nothing breaks.

use proptest::prelude::*;

use super::{signing::base64url, *};

fn any_header() -> impl Strategy<Value = Value> {
    let alg = prop_oneof![Just("HS256"), Just("RS256"), Just("ES256"), Just("none"), Just("PS256")];
    (alg, proptest::option::of("[resx]?")).prop_map(|(alg, kid)| header(alg, kid.as_deref()))
}

/// JSON texts, some of them claims.
fn any_claims() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<i128>().prop_map(|number| number.to_string()),
        ".{0,8}".prop_map(|text| Value::from(text).to_string()),
        Just("[\"pilotfish\"]".to_owned()),
        Just("{\"a\":[null]}".to_owned()),
    ];
    let name =
        prop_oneof![Just("exp"), Just("nbf"), Just("iss"), Just("aud"), Just("tenant"), Just("sub"), Just("iat")];
    let member = (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    proptest::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn set() -> JwtVerifier {
    verifier(&ALL, JwtKeys::Jwks(full_set()))
}

proptest! {
    #[test]
    fn any_text_is_judged(text in any::<String>(), now in any::<u64>()) {
        prop_assert!(set().verify(&Secret::new(text), now).is_err());
    }

    #[test]
    fn any_three_parts_are_judged(
        head in proptest::collection::vec(any::<u8>(), 0..80),
        body in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
        now in any::<u64>(),
    ) {
        let token = [head, body, signature].map(|part| base64url(&part)).join(".");
        prop_assert!(set().verify(&Secret::new(token), now).is_err());
    }

    #[test]
    fn any_header_and_signature_are_judged(head in any_header(), signature in proptest::collection::vec(any::<u8>(), 0..300)) {
        let body = base64url(claims().to_string().as_bytes());
        let token = format!("{}.{body}.{}", base64url(head.to_string().as_bytes()), base64url(&signature));
        prop_assert!(verify(&set(), &token).is_err());
    }

    #[test]
    fn any_signed_claims_are_judged(claims in any_claims(), now in any::<u64>()) {
        let token = Signer::secret().sign(&header("HS256", Some("s")), &claims);
        let _judged = set().verify(&Secret::new(token), now);
    }

    #[test]
    fn any_key_text_is_judged(text in any::<String>(), more in "(-----BEGIN (RSA )?PUBLIC KEY-----)?[A-Za-z0-9+/=\n]{0,80}(-----END PUBLIC KEY-----)?") {
        for text in [text, more] {
            prop_assert!(JwtVerifier::new(settings(&PUBLIC, JwtKeys::Pem(text.clone()))).is_err());
            prop_assert!(JwtVerifier::new(settings(&ALL, JwtKeys::Jwks(text))).is_err());
        }
    }
}
