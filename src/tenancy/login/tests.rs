//! Logins: who gets in by what, and what happens when it is swapped.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;
const OLD: &str = "the old secret of the issuer, 32+";
const NEW: &str = "the new secret of the issuer, 32+";

fn digest(token: &str) -> TokenDigest {
    TokenDigest::of(token.as_bytes())
}

fn user(tenant: &str, user: &str) -> Identity {
    Identity { tenant: tenant.into(), user: Some(user.into()) }
}

fn tokens() -> Tokens {
    Tokens::new(vec![
        (digest("alice-1"), Identity::of("alice")),
        (digest("alice-2"), Identity::of("alice")),
        (digest("ann-1"), user("alice", "ann")),
        (digest("bob-1"), Identity::of("bob")),
        (digest("eve-1"), Identity::of("eve")),
        (digest("a.static.one"), Identity::of("bob")),
    ])
}

fn settings(keys: JwtKeys) -> JwtSettings {
    JwtSettings {
        algorithms: vec![JwtAlgorithm::Hs256],
        keys,
        issuer: "issuer".into(),
        audience: "pilotfish".into(),
        tenant_claim: "tenant".into(),
        user_claim: Some("sub".into()),
        leeway: 0,
    }
}

fn verifier(secret: &str) -> JwtVerifier {
    JwtVerifier::new(settings(JwtKeys::Secret(Secret::new(secret)))).unwrap()
}

fn jwt(secret: &str, more: &Value) -> String {
    let mut claims = json!({ "iss": "issuer", "aud": "pilotfish", "exp": NOW + 60 });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

struct Rig {
    tokens: Arc<ArcSwap<Tokens>>,
    jwt: Arc<ArcSwap<JwtVerifier>>,
    login: Login,
}

fn rig(default: Option<(Identity, Option<Secret>)>) -> Rig {
    let tokens = Arc::new(ArcSwap::from_pointee(tokens()));
    let jwt = Arc::new(ArcSwap::from_pointee(verifier(OLD)));
    let admits = vec!["alice".into(), "bob".into()];
    let login = Login::new(Arc::clone(&tokens), Some(Arc::clone(&jwt)), default, admits);
    Rig { tokens, jwt, login }
}

fn ask(login: &Login, token: &str) -> Option<Identity> {
    login.ask(Some(&Secret::new(token)), NOW)
}

fn judge(login: &Login, token: &str) -> Result<Identity, LoginRefusal> {
    login.judge(Some(&Secret::new(token)), NOW)
}

#[test]
fn each_token_says_who_it_is() {
    let login = rig(None).login;
    assert!(login.asks());
    assert_eq!(login.default_identity(), None);
    let rows = [
        ("alice-1", Some(Identity::of("alice"))),
        ("alice-2", Some(Identity::of("alice"))),
        ("ann-1", Some(user("alice", "ann"))),
        ("bob-1", Some(Identity::of("bob"))),
        ("a.static.one", Some(Identity::of("bob"))),
        ("eve-1", None),
        ("alice-", None),
        ("alice-12", None),
        ("ALICE-1", None),
        ("alice-1\0", None),
        (" alice-1", None),
        ("", None),
    ];
    for (token, expected) in rows {
        assert_eq!(ask(&login, token), expected, "{token:?}");
    }
}

#[test]
fn refusals_have_reasons() {
    let login = rig(None).login;
    assert_eq!(login.judge(None, NOW), Err(LoginRefusal::NoToken));
    assert_eq!(judge(&login, ""), Err(LoginRefusal::NoToken));
    assert_eq!(judge(&login, "x"), Err(LoginRefusal::Unknown));
    assert_eq!(judge(&login, "eve-1"), Err(LoginRefusal::Tenant));
    assert_eq!(judge(&login, "a.b.c"), Err(LoginRefusal::Jwt(JwtRefusal::Malformed)));
    assert_eq!(judge(&login, "a.b.c.d"), Err(LoginRefusal::Unknown));
    assert_eq!(judge(&login, &"a".repeat(MAX_TOKEN_BYTES + 1)), Err(LoginRefusal::TooLong));
    assert_eq!(judge(&login, &".".repeat(MAX_TOKEN_BYTES)), Err(LoginRefusal::Unknown));
}

#[test]
fn nobody_is_asked_where_there_is_one_tenant() {
    let login = Login::nobody_asked(Identity::of("solo"));
    assert!(!login.asks());
    assert_eq!(login.default_identity(), Some(&Identity::of("solo")));
    assert_eq!(login.ask(None, NOW), Some(Identity::of("solo")));
    assert_eq!(ask(&login, "whatever"), Some(Identity::of("solo")));
    let open = rig(Some((Identity::of("bob"), None))).login;
    assert!(!open.asks());
    assert_eq!(ask(&open, "alice-1"), Some(Identity::of("bob")), "the listener says who comes in");
}

#[test]
fn the_listeners_own_token_goes_first() {
    let login = rig(Some((Identity::of("bob"), Some(Secret::new("alice-1"))))).login;
    assert!(login.asks());
    assert_eq!(login.default_identity(), None);
    assert_eq!(login.ask(None, NOW), None);
    assert_eq!(ask(&login, "alice-1"), Some(Identity::of("bob")));
    assert_eq!(ask(&login, "alice-2"), Some(Identity::of("alice")));
    let empty = rig(Some((Identity::of("bob"), Some(Secret::new(""))))).login;
    assert!(empty.asks());
    assert_eq!(ask(&empty, ""), None, "an empty token is nobody's");
}

#[test]
fn a_default_tenant_that_may_not_in_is_dropped() {
    let foreign = rig(Some((Identity::of("eve"), None))).login;
    assert!(foreign.asks());
    assert_eq!(foreign.ask(None, NOW), None);
    let unfit = rig(Some((Identity::of("bob"), None))).login.fitting(|identity| identity.user.is_some());
    assert!(unfit.asks());
    assert_eq!(unfit.ask(None, NOW), None);
}

#[test]
fn jwts_are_tried_after_the_tokens() {
    let login = rig(None).login;
    assert_eq!(ask(&login, &jwt(OLD, &json!({ "tenant": "alice", "sub": "ann" }))), Some(user("alice", "ann")));
    assert_eq!(ask(&login, &jwt(OLD, &json!({ "tenant": "bob" }))), Some(Identity::of("bob")));
    for tenant in ["eve", "Alice", "alice ", "alice--x", "*"] {
        assert_eq!(ask(&login, &jwt(OLD, &json!({ "tenant": tenant }))), None, "{tenant}");
    }
    let token = jwt(NEW, &json!({ "tenant": "alice" }));
    assert_eq!(judge(&login, &token), Err(LoginRefusal::Jwt(JwtRefusal::Signature)));
    let plain = Login::new(Arc::new(ArcSwap::from_pointee(tokens())), None, None, vec!["alice".into()]);
    assert_eq!(judge(&plain, &token), Err(LoginRefusal::Unknown));
}

#[test]
fn users_must_fit() {
    let apart = |identity: &Identity| {
        &*identity.tenant != "alice" || identity.user.as_deref().is_some_and(|user| !user.contains("--"))
    };
    let login = rig(None).login.fitting(apart);
    assert_eq!(judge(&login, "alice-1"), Err(LoginRefusal::User));
    assert_eq!(ask(&login, "ann-1"), Some(user("alice", "ann")));
    assert_eq!(ask(&login, "bob-1"), Some(Identity::of("bob")));
    assert_eq!(judge(&login, &jwt(OLD, &json!({ "tenant": "alice" }))), Err(LoginRefusal::User));
    assert_eq!(judge(&login, &jwt(OLD, &json!({ "tenant": "alice", "sub": "a--b" }))), Err(LoginRefusal::User));
    assert_eq!(ask(&login, &jwt(OLD, &json!({ "tenant": "alice", "sub": "ann" }))), Some(user("alice", "ann")));
}

#[test]
fn swaps_count_at_once() {
    let rig = rig(None);
    let (old, new) = (jwt(OLD, &json!({ "tenant": "alice" })), jwt(NEW, &json!({ "tenant": "alice" })));
    assert!(ask(&rig.login, &old).is_some() && ask(&rig.login, &new).is_none());
    rig.jwt.store(Arc::new(verifier(NEW)));
    assert!(ask(&rig.login, &old).is_none() && ask(&rig.login, &new).is_some());
    rig.tokens.store(Arc::new(Tokens::new(vec![(digest("alice-3"), Identity::of("alice"))])));
    assert!(ask(&rig.login, "alice-1").is_none() && ask(&rig.login, "alice-3").is_some());
}

#[test]
fn a_key_set_can_be_rotated() {
    let jwk = |id: &str, secret: &str| {
        let key = jsonwebtoken::jwk::Jwk::from_encoding_key(
            &EncodingKey::from_secret(secret.as_bytes()),
            jsonwebtoken::Algorithm::HS256,
        );
        let mut jwk = serde_json::to_value(key.unwrap()).unwrap();
        jwk["kid"] = id.into();
        jwk
    };
    let of = |keys: &[Value]| {
        let keys = JwtKeys::Jwks(json!({ "keys": keys }).to_string());
        Arc::new(JwtVerifier::new(settings(keys)).unwrap())
    };
    let rig = rig(None);
    let sign = |id: &str, secret: &str| {
        let header = Header { kid: Some(id.into()), ..Header::default() };
        let claims = json!({ "iss": "issuer", "aud": "pilotfish", "exp": NOW + 60, "tenant": "alice" });
        encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    let steps = [
        (of(&[jwk("1", OLD)]), [true, false]),
        (of(&[jwk("1", OLD), jwk("2", NEW)]), [true, true]),
        (of(&[jwk("2", NEW)]), [false, true]),
    ];
    for (verifier, expected) in steps {
        rig.jwt.store(verifier);
        let found = [("1", OLD), ("2", NEW)].map(|(id, secret)| ask(&rig.login, &sign(id, secret)).is_some());
        assert_eq!(found, expected);
    }
}

#[test]
fn nothing_of_a_token_is_ever_printed() {
    let rig = rig(Some((Identity::of("bob"), Some(Secret::new("own-secret")))));
    let token = jwt(NEW, &json!({ "tenant": "alice", "sub": "canary" }));
    let texts = [
        format!("{:?}", rig.login),
        format!("{:?} {:?}", rig.tokens, rig.jwt),
        format!("{:?}", digest("alice-1")),
        judge(&rig.login, &token).unwrap_err().to_string(),
        format!("{:?}", judge(&rig.login, &token)),
    ];
    let parts: Vec<_> = token.split('.').chain(["canary", "own-secret", "alice-1"]).collect();
    for text in texts {
        assert!(!parts.iter().any(|part| text.contains(part)), "{text}");
    }
}

proptest! {
    #[test]
    fn no_token_breaks_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200), dots in "[.A-Za-z0-9_-]{0,90}", now in any::<u64>()) {
        let login = rig(Some((Identity::of("bob"), Some(Secret::new("own"))))).login;
        for token in [String::from_utf8_lossy(&bytes).into_owned(), dots] {
            let found = login.ask(Some(&Secret::new(token.as_str())), now);
            prop_assert!(found.is_none() || ["own", "alice-1", "alice-2", "ann-1", "bob-1"].contains(&token.as_str()));
        }
    }
}
