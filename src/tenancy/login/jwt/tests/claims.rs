//! What a well-signed token must say.

use super::*;

fn judge(claims: &str) -> Result<Identity, JwtRefusal> {
    let verifier = JwtVerifier::new(secret_settings()).unwrap();
    verify(&verifier, &Signer::secret().sign(&header("HS256", None), claims))
}

/// The good claims, with `name` as the JSON text `value`, or without it.
fn with(name: &str, value: Option<&str>) -> String {
    let mut all: Vec<String> = Vec::new();
    for (key, known) in claims().as_object().unwrap() {
        if key != name {
            all.push(format!("\"{key}\":{known}"));
        }
    }
    all.extend(value.map(|value| format!("\"{name}\":{value}")));
    format!("{{{}}}", all.join(","))
}

#[test]
fn times_are_checked_against_the_given_now() {
    let at = |offset: i64| NOW.checked_add_signed(offset).unwrap().to_string();
    let rows = [
        ("exp", at(0), Ok(())), // The leeway is 30 s.
        ("exp", at(-29), Ok(())),
        ("exp", at(-30), Err(JwtRefusal::Expired)),
        ("exp", at(-3_600), Err(JwtRefusal::Expired)),
        ("exp", "0".into(), Err(JwtRefusal::Expired)),
        ("exp", "0.5".into(), Err(JwtRefusal::Expired)),
        ("exp", format!("{}.25", NOW + 9), Ok(())),
        ("exp", "253402300799".into(), Ok(())),
        ("nbf", at(30), Ok(())),
        ("nbf", at(31), Err(JwtRefusal::NotYet)),
        ("nbf", at(86_400), Err(JwtRefusal::NotYet)),
        ("nbf", "253402300799".into(), Err(JwtRefusal::NotYet)),
        ("nbf", "0".into(), Ok(())),
    ];
    for (name, value, expected) in rows {
        assert_eq!(judge(&with(name, Some(&value))).map(drop), expected, "{name}: {value}");
    }
    assert_eq!(judge(&with("nbf", None)), Ok(ann()));
    assert_eq!(judge(&with("exp", None)), Err(JwtRefusal::Missing("exp")));
}

#[test]
fn times_that_are_no_times_are_refused() {
    let values = [
        "null",
        "true",
        "\"1900000000\"",
        "[1900000000]",
        "{}",
        "-1",
        "-0.5",
        "1e300",
        "253402300800",
        "1800000600000",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
    ];
    for value in values {
        for name in ["exp", "nbf"] {
            assert_eq!(judge(&with(name, Some(value))), Err(JwtRefusal::Claim(name)), "{name}: {value}");
        }
    }
    for value in ["1e400", "NaN", "Infinity", "01", "0x7fffffff", "+1"] {
        assert_eq!(judge(&with("exp", Some(value))), Err(JwtRefusal::Malformed), "{value}");
    }
}

#[test]
fn no_now_overflows() {
    let mut settings = secret_settings();
    settings.leeway = super::super::MAX_LEEWAY;
    let verifier = JwtVerifier::new(settings).unwrap();
    let token = Secret::new(Signer::secret().sign(&header("HS256", None), &with("exp", Some("253402300799"))));
    assert_eq!(verifier.verify(&token, u64::MAX), Err(JwtRefusal::Expired));
    assert_eq!(verifier.verify(&token, 0), Err(JwtRefusal::NotYet));
}

#[test]
fn the_issuer_is_exact() {
    assert_eq!(judge(&with("iss", None)), Err(JwtRefusal::Missing("iss")));
    for value in ["\"https://issuer.example/\"", "\"\"", "\"HTTPS://issuer.example\"", "\"evil\""] {
        assert_eq!(judge(&with("iss", Some(value))), Err(JwtRefusal::Issuer), "{value}");
    }
    for value in ["null", "1", "[\"https://issuer.example\"]", "{}"] {
        assert_eq!(judge(&with("iss", Some(value))), Err(JwtRefusal::Claim("iss")), "{value}");
    }
}

#[test]
fn the_audience_is_one_or_one_of_several() {
    let rows = [
        ("\"pilotfish\"", Ok(ann())),
        ("[\"pilotfish\"]", Ok(ann())),
        ("[\"other\",\"pilotfish\"]", Ok(ann())),
        ("\"other\"", Err(JwtRefusal::Audience)),
        ("\"pilotfish2\"", Err(JwtRefusal::Audience)),
        ("\"other pilotfish\"", Err(JwtRefusal::Audience)),
        ("[]", Err(JwtRefusal::Audience)),
        ("[\"other\"]", Err(JwtRefusal::Audience)),
        ("[\"pilotfish\",1]", Err(JwtRefusal::Claim("aud"))),
        ("[[\"pilotfish\"]]", Err(JwtRefusal::Claim("aud"))),
        ("{\"pilotfish\":true}", Err(JwtRefusal::Claim("aud"))),
        ("null", Err(JwtRefusal::Claim("aud"))),
        ("1", Err(JwtRefusal::Claim("aud"))),
    ];
    for (value, expected) in rows {
        assert_eq!(judge(&with("aud", Some(value))), expected, "{value}");
    }
    assert_eq!(judge(&with("aud", None)), Err(JwtRefusal::Missing("aud")));
}

#[test]
fn names_are_strings_that_can_be_printed() {
    let long = format!("\"{}\"", "a".repeat(129));
    let values = [
        "null",
        "1",
        "true",
        "[\"alice\"]",
        "{\"name\":\"alice\"}",
        "\"\"",
        "\"a b\"",
        "\"a\\nb\"",
        "\"\\u0000\"",
        "\"al\\u0131ce\"",
        "\"\\u202eecila\"",
        &long,
    ];
    for value in values {
        assert_eq!(judge(&with("tenant", Some(value))), Err(JwtRefusal::Claim("tenant")), "{value}");
        assert_eq!(judge(&with("sub", Some(value))), Err(JwtRefusal::Claim("user")), "{value}");
    }
    assert_eq!(judge(&with("tenant", None)), Err(JwtRefusal::Missing("tenant")));
    assert_eq!(judge(&with("sub", None)), Ok(Identity::of("alice")), "no user is named");
    let user = judge(&with("sub", Some("\"auth0|ann@example.com\""))).unwrap().user;
    assert_eq!(user.as_deref(), Some("auth0|ann@example.com"));
}

#[test]
fn claims_may_be_nested() {
    let rows = [
        ("org.tenant", json!({ "org": { "tenant": "alice" } }), Some("alice")),
        ("a.b.c", json!({ "a": { "b": { "c": "alice" } } }), Some("alice")),
        ("https://example.com/tenant", json!({ "https://example.com/tenant": "alice" }), Some("alice")),
        ("org.tenant", json!({ "org.tenant": "alice", "org": { "tenant": "bob" } }), Some("alice")),
        ("org.tenant", json!({ "org": "alice" }), None),
        ("org.tenant", json!({ "org": ["tenant"] }), None),
        ("org.0", json!({ "org": ["alice"] }), None),
        ("org.tenant", json!({ "tenant": "alice" }), None),
    ];
    for (path, more, expected) in rows {
        let verifier = JwtVerifier::new(JwtSettings { tenant_claim: path.into(), ..secret_settings() }).unwrap();
        let mut all = claims();
        all.as_object_mut().unwrap().remove("tenant");
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = verify(&verifier, &Signer::secret().sign(&header("HS256", None), &all.to_string()));
        assert_eq!(found.as_ref().ok().map(|found| &*found.tenant), expected, "{path}: {found:?}");
    }
}

#[test]
fn the_user_claim_is_read_only_if_asked_for() {
    let verifier = JwtVerifier::new(JwtSettings { user_claim: None, ..secret_settings() }).unwrap();
    let token = Signer::secret().sign(&header("HS256", None), &with("sub", Some("[]")));
    assert_eq!(verify(&verifier, &token), Ok(Identity::of("alice")));
}

#[test]
fn claims_that_are_no_object_are_refused() {
    for body in ["", "[]", "1", "null", "\"x\"", "{", "{}{}", "\u{feff}{}"] {
        assert_eq!(judge(body), Err(JwtRefusal::Malformed), "{body:?}");
    }
    assert_eq!(judge("{}"), Err(JwtRefusal::Missing("exp")));
    assert_eq!(judge(&"[".repeat(5_000)), Err(JwtRefusal::Malformed));
    for (name, twice) in
        [("exp", "1,\"exp\":1900000000"), ("tenant", "\"alice\",\"tenant\":\"bob\""), ("aud", "1,\"\\u0061ud\":1")]
    {
        assert_eq!(judge(&with(name, Some(twice))), Err(JwtRefusal::Malformed), "{name} is there twice");
    }
}
