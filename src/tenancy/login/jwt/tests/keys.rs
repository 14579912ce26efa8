//! Settings and keys: the good ones, the bad ones, and what is said about them.

use aws_lc_rs::{
    encoding::AsDer,
    rsa::KeySize,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair},
};

use super::{
    signing::{OTHER_RSA, base64url, pem},
    *,
};

fn error(settings: JwtSettings) -> JwtError {
    JwtVerifier::new(settings).unwrap_err()
}

fn jwks_error(text: &str) -> String {
    error(settings(&ALL, JwtKeys::Jwks(text.into()))).to_string()
}

#[test]
fn settings_that_believe_too_much_are_refused() {
    let rows = [
        (JwtSettings { algorithms: vec![], ..secret_settings() }, JwtError::NoAlgorithm),
        (JwtSettings { issuer: String::new(), ..secret_settings() }, JwtError::NoIssuer),
        (JwtSettings { audience: String::new(), ..secret_settings() }, JwtError::NoAudience),
        (JwtSettings { leeway: 3_601, ..secret_settings() }, JwtError::Leeway),
        (JwtSettings { leeway: u64::MAX, ..secret_settings() }, JwtError::Leeway),
        (JwtSettings { tenant_claim: String::new(), ..secret_settings() }, JwtError::Claim("tenant")),
        (JwtSettings { tenant_claim: "a..b".into(), ..secret_settings() }, JwtError::Claim("tenant")),
        (JwtSettings { user_claim: Some(".a".into()), ..secret_settings() }, JwtError::Claim("user")),
    ];
    for (settings, expected) in rows {
        assert_eq!(error(settings), expected);
    }
    assert_eq!("ES256".parse(), Ok(JwtAlgorithm::Es256));
    for name in ["none", "", "hs256", "HS512", "PS256"] {
        assert_eq!(name.parse::<JwtAlgorithm>(), Err(JwtError::Algorithm));
    }
}

#[test]
fn algorithms_and_kinds_of_keys_must_go_together() {
    let secret = || JwtKeys::Secret(Secret::new(SECRET));
    for algorithms in [&PUBLIC[..], &ALL[..], &[JwtAlgorithm::Rs256]] {
        assert!(matches!(error(settings(algorithms, secret())), JwtError::AlgorithmWithoutKey("RS256")));
    }
    for pem in [RSA.pem(), EC.pem()] {
        assert!(matches!(error(settings(&ALL, JwtKeys::Pem(pem))), JwtError::AlgorithmWithoutKey("HS256")));
    }
    let wrong = error(settings(&[JwtAlgorithm::Es256], JwtKeys::Pem(RSA.pem())));
    assert_eq!(wrong.to_string(), "key 1: the algorithm that it is for is not allowed");
}

#[test]
fn weak_and_public_secrets_are_refused() {
    let refused = |text: &str| error(JwtSettings { keys: JwtKeys::Secret(Secret::new(text)), ..secret_settings() });
    assert_eq!(refused(&SECRET[1..]).to_string(), "the secret: the secret is shorter than 32 bytes");
    assert_eq!(refused("").to_string(), "the secret: the secret is shorter than 32 bytes");
    assert_eq!(refused(&RSA.pem()).to_string(), "the secret: a PEM text is not a shared secret");
    let weak = jwks(&[Signer::Hmac(vec![7; 31]).jwk("weak")]);
    assert_eq!(jwks_error(&weak), "key 1 (kid \"weak\"): the secret is shorter than 32 bytes");
}

#[test]
fn several_pem_keys_may_sign() {
    let text = format!("the old one\n{}\nthe new one\n{}{}", RSA.pem(), OTHER_RSA.pem(), EC.pem());
    let verifier = verifier(&PUBLIC, JwtKeys::Pem(text));
    for (signer, alg) in [(&*RSA, "RS256"), (&*OTHER_RSA, "RS256"), (&*EC, "ES256")] {
        assert_eq!(verify(&verifier, &signer.sign(&header(alg, None), &claims().to_string())), Ok(ann()), "{alg}");
    }
    let Signer::Rsa(pair) = &*RSA else { unreachable!("an RSA key") };
    let pkcs1 = verifier_of_pem(&pem("RSA PUBLIC KEY", pair.public_key().as_ref()));
    assert_eq!(verify(&pkcs1, &RSA.sign(&header("RS256", None), &claims().to_string())), Ok(ann()));
}

fn verifier_of_pem(text: &str) -> JwtVerifier {
    verifier(&PUBLIC, JwtKeys::Pem(text.into()))
}

#[test]
fn bad_pem_keys_are_named() {
    let Signer::Rsa(pair) = &*RSA else { unreachable!("an RSA key") };
    let Signer::Ec(ec) = &*EC else { unreachable!("an EC key") };
    let large = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let private = pem("PRIVATE KEY", pair.as_der().unwrap().as_ref());
    let ec_private = pem("EC PRIVATE KEY", ec.private_key().as_der().unwrap().as_ref());
    let p384 = pem("PUBLIC KEY", large.public_key().as_der().unwrap().as_ref());
    let relabelled = pem("PUBLIC KEY", pair.as_der().unwrap().as_ref());
    let rows = [
        (private.clone(), "key 1: a private key; only its public key belongs here"),
        (ec_private, "key 1: a private key; only its public key belongs here"),
        (format!("{}{private}", RSA.pem()), "key 2: a private key; only its public key belongs here"),
        (p384, "key 1: not a public key of the curve P-256"),
        (relabelled, "key 1: not an RSA public key of 2048 to 8192 bits"),
        (pem("CERTIFICATE", &[0]), "key 1: a certificate; `openssl x509 -pubkey -noout` prints its public key"),
        (pem("PUBLIC KEY", &[1, 2, 3]), "key 1: not a public key of RSA or of the curve P-256"),
        (pem("PUBLIC KEY", &[]), "key 1: not a public key of RSA or of the curve P-256"),
        ("-----BEGIN PUBLIC KEY".into(), "key 1: not a public key"),
        ("-----BEGIN PUBLIC KEY-----\n".into(), "key 1: not a public key of RSA or of the curve P-256"),
        (RSA.pem().replace("-----END", "-----end"), "key 1: not a public key of RSA or of the curve P-256"),
        (String::new(), "the PEM text has no key in it"),
        ("ssh-rsa AAAA".into(), "the PEM text has no key in it"),
    ];
    for (text, expected) in rows {
        assert_eq!(error(settings(&PUBLIC, JwtKeys::Pem(text))).to_string(), expected);
    }
}

#[test]
fn short_rsa_keys_are_refused() {
    let short = json!({ "kty": "RSA", "kid": "short", "n": base64url(&[0xff; 128]), "e": "AQAB" });
    assert_eq!(jwks_error(&jwks(&[short])), "key 1 (kid \"short\"): not an RSA public key of 2048 to 8192 bits");
    let mut modulus = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00]; // 1,024 bits of PKCS#1.
    modulus.extend([[0xff; 128].as_slice(), &[0x02, 0x03, 0x01, 0x00, 0x01]].concat());
    let error = error(settings(&PUBLIC, JwtKeys::Pem(pem("RSA PUBLIC KEY", &modulus))));
    assert_eq!(error.to_string(), "key 1: not an RSA public key of 2048 to 8192 bits");
    let Value::String(n) = &RSA.jwk("r")["n"] else { unreachable!("a modulus") };
    for e in [vec![], vec![0], vec![1], vec![2], vec![0, 1, 0, 1], vec![0xff; 9]] {
        let weak = json!({ "kty": "RSA", "n": n, "e": base64url(&e) });
        assert_eq!(jwks_error(&jwks(&[weak])), "key 1: not an RSA public key of 2048 to 8192 bits", "e is {e:?}");
    }
    let large = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
    let large = pem("PUBLIC KEY", large.public_key().as_der().unwrap().as_ref());
    assert!(JwtVerifier::new(settings(&PUBLIC, JwtKeys::Pem(large))).is_ok());
}

#[test]
fn bad_key_sets_are_named() {
    let broken = |key: &str, value: Value| {
        let mut jwk = RSA.jwk("b");
        jwk[key] = value;
        jwks(&[EC.jwk("good"), jwk])
    };
    let mut ec = EC.jwk("b");
    ec["y"] = ec["x"].clone();
    let rows = [
        (broken("n", json!("***")), "key 2 (kid \"b\"): a part of the key is not base64url"),
        (broken("n", json!("")), "key 2 (kid \"b\"): not an RSA public key of 2048 to 8192 bits"),
        (broken("n", json!(7)), "key 2 (kid \"b\"): a part of the key is missing"),
        (broken("e", json!(null)), "key 2 (kid \"b\"): a part of the key is missing"),
        (broken("d", json!("AQAB")), "key 2 (kid \"b\"): a private key; only its public key belongs here"),
        (broken("kid", json!(1)), "key 2: its kid is not a string"),
        (broken("kty", json!(null)), "key 2 (kid \"b\"): it has no kty"),
        (jwks(&[ec]), "key 1 (kid \"b\"): not a public key of the curve P-256"),
        (jwks(&[json!(1)]), "key 1: it has no kty"),
        ("{}".into(), "the JWKS has no array \"keys\""),
        ("[]".into(), "the JWKS has no array \"keys\""),
        ("{\"keys\":{}}".into(), "the JWKS has no array \"keys\""),
        ("{\"keys\":\n[}".into(), "the JWKS is not JSON (line 2, column 2)"),
        (String::new(), "the JWKS is not JSON (line 1, column 0)"),
        ("{\"keys\":[]}".into(), "no key can be used"),
    ];
    for (text, expected) in rows {
        assert_eq!(jwks_error(&text), expected);
    }
}

#[test]
fn keys_for_something_else_are_left_out_and_said() {
    let with = |key: &str, value: Value| {
        let mut jwk = OTHER_RSA.jwk("o");
        jwk[key] = value;
        jwk
    };
    let others = [
        with("use", json!("enc")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("RS512")),
        with("alg", json!("RSA-OAEP")),
        with("kty", json!("OKP")),
        json!({ "kty": "EC", "crv": "P-384", "kid": "o", "x": "", "y": "" }),
    ];
    for other in others {
        let set = verifier(&ALL, JwtKeys::Jwks(jwks(&[RSA.jwk("r"), other.clone()])));
        assert_eq!(set.left_out().len(), 1, "{other}");
        assert!(set.left_out()[0].starts_with("key 2 (kid \"o\") is left out: "), "{:?}", set.left_out());
        let token = OTHER_RSA.sign(&header("RS256", Some("o")), &claims().to_string());
        assert_eq!(verify(&set, &token), Err(JwtRefusal::UnknownKey));
        let alone = jwks_error(&jwks(&[other]));
        assert!(alone.starts_with("no key can be used: key 1 (kid \"o\") is left out: "), "{alone}");
    }
    let secret = JwtVerifier::new(settings(&PUBLIC, JwtKeys::Jwks(full_set()))).unwrap();
    assert_eq!(secret.left_out(), ["key 3 (kid \"s\") is left out: the algorithm that it is for is not allowed"]);
    let plain = with("key_ops", json!(["verify"]));
    assert!(verifier(&ALL, JwtKeys::Jwks(jwks(&[plain]))).left_out().is_empty());
}

#[test]
fn two_keys_may_share_an_id() {
    let set = verifier(&PUBLIC, JwtKeys::Jwks(jwks(&[RSA.jwk("x"), OTHER_RSA.jwk("x"), EC.jwk("x")])));
    for (signer, alg) in [(&*RSA, "RS256"), (&*OTHER_RSA, "RS256"), (&*EC, "ES256")] {
        assert_eq!(verify(&set, &signer.sign(&header(alg, Some("x")), &claims().to_string())), Ok(ann()));
    }
}

#[test]
fn nothing_of_a_key_is_ever_printed() {
    let key = RSA.jwk("r");
    let n = key["n"].as_str().unwrap();
    let mut broken = key.clone();
    broken["e"] = 1.into();
    let texts = [
        format!("{:?}", settings(&ALL, JwtKeys::Jwks(full_set()))),
        format!("{:?}", settings(&ALL, JwtKeys::Pem(RSA.pem()))),
        format!("{:?}", secret_settings()),
        format!("{:?}", verifier(&ALL, JwtKeys::Jwks(full_set()))),
        jwks_error(&jwks(&[broken])),
        jwks_error(&format!("{{\"keys\":[{{\"k\":\"{SECRET}\"}}]}} {SECRET}")),
        jwks_error(&format!("\"{SECRET}\"")),
    ];
    for text in texts {
        assert!(!text.contains(&n[..16]) && !text.contains(&SECRET[..8]) && !text.contains("MII"), "{text}");
    }
}
