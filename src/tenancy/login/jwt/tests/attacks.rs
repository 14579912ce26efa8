//! Signatures: the right ones, and every known way to do without.

use super::{
    super::keys,
    signing::{OTHER_EC, OTHER_RSA, base64url},
    *,
};
use crate::tenancy::login::MAX_TOKEN_BYTES;

#[test]
fn each_algorithm_works_with_its_key() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let secret = Signer::secret();
    let rows: [(&str, &str, &Signer, JwtVerifier); 3] = [
        ("HS256", "s", &secret, verifier(&[JwtAlgorithm::Hs256], JwtKeys::Secret(Secret::new(SECRET)))),
        ("RS256", "r", &RSA, verifier(&PUBLIC, JwtKeys::Pem(RSA.pem()))),
        ("ES256", "e", &EC, verifier(&PUBLIC, JwtKeys::Pem(EC.pem()))),
    ];
    for (algorithm, kid, signer, alone) in rows {
        for kid in [Some(kid), None] {
            let token = signer.sign(&header(algorithm, kid), &claims().to_string());
            assert_eq!(verify(&set, &token), Ok(ann()), "{algorithm} {kid:?}");
            assert_eq!(verify(&alone, &token), Ok(ann()), "{algorithm} {kid:?} alone");
        }
    }
}

#[test]
fn unsigned_tokens_are_refused() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let body = base64url(claims().to_string().as_bytes());
    for alg in [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(""), json!(null), json!(1), json!([])]
    {
        let head = base64url(json!({ "typ": "JWT", "alg": alg }).to_string().as_bytes());
        for signature in ["", "AAAA"] {
            let refusal = verify(&set, &format!("{head}.{body}.{signature}")).unwrap_err();
            assert!(matches!(refusal, JwtRefusal::Algorithm | JwtRefusal::Malformed), "{alg}: {refusal:?}");
        }
    }
    for (alg, kid) in [("HS256", "s"), ("RS256", "r"), ("ES256", "e")] {
        let head = base64url(header(alg, Some(kid)).to_string().as_bytes());
        for signature in [String::new(), base64url(&[0; 32]), base64url(&[0; 64]), base64url(&[0; 256])] {
            assert_eq!(verify(&set, &format!("{head}.{body}.{signature}")), Err(JwtRefusal::Signature), "{alg}");
        }
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let body = claims().to_string();
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let pem = verifier(&PUBLIC, JwtKeys::Pem(RSA.pem()));
    let parts = RSA.jwk("r");
    let forms = [RSA.pem(), RSA.pem().trim().to_owned(), parts["n"].as_str().unwrap().to_owned(), full_set()];
    for form in forms {
        let forger = Signer::Hmac(form.into_bytes());
        for kid in [None, Some("r"), Some("s"), Some("e")] {
            let refusal = verify(&set, &forger.sign(&header("HS256", kid), &body)).unwrap_err();
            assert!(matches!(refusal, JwtRefusal::Signature | JwtRefusal::UnknownKey), "{kid:?}: {refusal:?}");
            assert_eq!(verify(&pem, &forger.sign(&header("HS256", kid), &body)), Err(JwtRefusal::Algorithm));
        }
    }
}

#[test]
fn keys_stay_with_their_algorithm() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let secret = Signer::secret();
    let body = claims().to_string();
    let signers: [(&Signer, &str); 3] = [(&secret, "HS256"), (&RSA, "RS256"), (&EC, "ES256")];
    for (signer, own) in signers {
        for (alg, kid) in [("HS256", "s"), ("RS256", "r"), ("ES256", "e")] {
            if alg == own {
                continue;
            }
            for other in ["s", "r", "e"] {
                let expected = if other == kid { JwtRefusal::Signature } else { JwtRefusal::UnknownKey };
                assert_eq!(
                    verify(&set, &signer.sign(&header(alg, Some(other)), &body)),
                    Err(expected),
                    "{own} as {alg}"
                );
            }
            assert_eq!(verify(&set, &signer.sign(&header(alg, None), &body)), Err(JwtRefusal::Signature));
        }
    }
}

#[test]
fn only_the_configured_algorithms_count() {
    let only_rsa = verifier(&[JwtAlgorithm::Rs256], JwtKeys::Jwks(full_set()));
    let body = claims().to_string();
    let secret = Signer::secret();
    let others = [
        (&secret, "HS256"),
        (&*EC, "ES256"),
        (&*RSA, "RS384"),
        (&*RSA, "RS512"),
        (&*RSA, "PS256"),
        (&*EC, "ES384"),
        (&secret, "HS384"),
        (&secret, "HS512"),
        (&*EC, "EdDSA"),
        (&*EC, "ES256K"),
        (&*RSA, "rs256"),
        (&*RSA, "RSA-OAEP"),
    ];
    for (signer, alg) in others {
        assert_eq!(verify(&only_rsa, &signer.sign(&header(alg, None), &body)), Err(JwtRefusal::Algorithm), "{alg}");
    }
    assert_eq!(verify(&only_rsa, &RSA.sign(&header("RS256", None), &body)), Ok(ann()));
}

#[test]
fn wrong_keys_and_ids_are_refused() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let body = claims().to_string();
    let forger = Signer::Hmac(b"another secret of 32 bytes or more".to_vec());
    for (signer, alg, kid) in [(&*OTHER_RSA, "RS256", "r"), (&*OTHER_EC, "ES256", "e"), (&forger, "HS256", "s")] {
        assert_eq!(verify(&set, &signer.sign(&header(alg, Some(kid)), &body)), Err(JwtRefusal::Signature), "{alg}");
        assert_eq!(verify(&set, &signer.sign(&header(alg, None), &body)), Err(JwtRefusal::Signature), "{alg}");
    }
    for kid in ["", "R", "r ", "x", "../r", "e"] {
        assert_eq!(verify(&set, &RSA.sign(&header("RS256", Some(kid)), &body)), Err(JwtRefusal::UnknownKey), "{kid}");
    }
    let alone = verifier(&PUBLIC, JwtKeys::Pem(RSA.pem()));
    assert_eq!(verify(&alone, &RSA.sign(&header("RS256", Some("any")), &body)), Ok(ann()), "a lone key has no id");
}

#[test]
fn keys_that_a_token_brings_along_are_ignored() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let mut head = header("RS256", None);
    head["jwk"] = OTHER_RSA.jwk("r");
    head["jku"] = "https://evil.example/jwks".into();
    head["x5u"] = "https://evil.example/cert".into();
    head["x5c"] = json!(["AAAA"]);
    assert_eq!(verify(&set, &OTHER_RSA.sign(&head, &claims().to_string())), Err(JwtRefusal::Signature));
}

#[test]
fn changed_tokens_are_refused() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let secret = Signer::secret();
    for (signer, alg) in [(&secret, "HS256"), (&*RSA, "RS256"), (&*EC, "ES256")] {
        let token = signer.sign(&header(alg, None), &claims().to_string());
        let mut other = claims();
        other["tenant"] = "bob".into();
        let parts: Vec<_> = token.split('.').collect();
        let body = base64url(other.to_string().as_bytes());
        assert_eq!(verify(&set, &format!("{}.{body}.{}", parts[0], parts[2])), Err(JwtRefusal::Signature));
        let head = base64url(json!({ "alg": alg, "typ": "jwt" }).to_string().as_bytes());
        assert_eq!(verify(&set, &format!("{head}.{}.{}", parts[1], parts[2])), Err(JwtRefusal::Signature));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&set, &changed).is_err(), "{alg} at {at}");
        }
    }
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let rows = [
        (json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 }), JwtRefusal::Header),
        (json!({ "alg": "HS256", "crit": ["b64"], "b64": false }), JwtRefusal::Header),
        (json!({ "alg": "HS256", "zip": "DEF" }), JwtRefusal::Header),
        (json!({ "alg": "HS256", "enc": "A128GCM" }), JwtRefusal::Header),
        (json!({ "alg": "HS256", "typ": "logout+jwt" }), JwtRefusal::Header),
        (json!({ "alg": "HS256", "typ": "" }), JwtRefusal::Header),
        (json!({ "typ": "JWT" }), JwtRefusal::Algorithm),
        (json!({ "alg": "HS256", "kid": 1 }), JwtRefusal::Algorithm),
        (json!(["HS256"]), JwtRefusal::Algorithm),
        (json!("HS256"), JwtRefusal::Algorithm),
    ];
    for (head, expected) in rows {
        assert_eq!(verify(&set, &Signer::secret().sign(&head, &claims().to_string())), Err(expected), "{head}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let head = json!({ "alg": "HS256", "typ": typ, "more": { "a": [1] } });
        assert_eq!(verify(&set, &Signer::secret().sign(&head, &claims().to_string())), Ok(ann()), "{typ}");
    }
}

#[test]
fn garbage_is_refused() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let good = Signer::secret().sign(&header("HS256", None), &claims().to_string());
    let rows = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        "e30.e30.e30.e30".into(),
        format!("{good}.x"),
        format!("x.{good}"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', " "),
        good.replacen('.', "=.", 1),
        "ä.ö.ü".into(),
        "\0.\0.\0".into(),
    ];
    for token in rows {
        assert!(verify(&set, &token).is_err(), "{token:?}");
    }
}

#[test]
fn long_tokens_are_not_even_read() {
    let set = verifier(&ALL, JwtKeys::Jwks(full_set()));
    let mut body = claims();
    body["more"] = "x".repeat(MAX_TOKEN_BYTES).into();
    let long = Signer::secret().sign(&header("HS256", None), &body.to_string());
    assert_eq!(verify(&set, &long), Err(JwtRefusal::TooLong));
    assert_eq!(verify(&set, &".".repeat(MAX_TOKEN_BYTES + 1)), Err(JwtRefusal::TooLong));
    body["more"] = "x".repeat(MAX_TOKEN_BYTES / 2).into();
    assert_eq!(verify(&set, &Signer::secret().sign(&header("HS256", None), &body.to_string())), Ok(ann()));
}

#[test]
fn a_token_without_an_id_cannot_make_us_try_every_key() {
    let many: Vec<_> = (0..9).map(|at| OTHER_EC.jwk(&at.to_string())).collect();
    let set = verifier(&PUBLIC, JwtKeys::Jwks(jwks(&many)));
    let body = claims().to_string();
    assert_eq!(verify(&set, &OTHER_EC.sign(&header("ES256", None), &body)), Err(JwtRefusal::NoKeyId));
    assert_eq!(verify(&set, &OTHER_EC.sign(&header("ES256", Some("8")), &body)), Ok(ann()));
    let eight = verifier(&PUBLIC, JwtKeys::Jwks(jwks(&many[..8])));
    assert_eq!(verify(&eight, &OTHER_EC.sign(&header("ES256", None), &body)), Ok(ann()));
    let huge: Vec<_> = (0..=keys::MAX_KEYS).map(|at| OTHER_EC.jwk(&at.to_string())).collect();
    let error = JwtVerifier::new(settings(&PUBLIC, JwtKeys::Jwks(jwks(&huge)))).unwrap_err();
    assert_eq!(error, JwtError::TooManyKeys(keys::MAX_KEYS + 1));
}
