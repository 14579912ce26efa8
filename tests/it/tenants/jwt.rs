//! Logins that somebody else vouches for: JWTs with a secret, with public keys in files that change, with users.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    issuer::{Issuer, unsigned},
    rig::{assert_absent, knock, login},
};
use crate::{
    deadline::within,
    session::rig::{Plan, Rig, create},
};

const SECRET: &str = "a-secret-of-thirty-two-bytes-or-more";

/// Tenants that have no tokens of their own.
const MORE: &str =
    "[[tenant]]\nname = \"alice\"\npools = [\"copilot\"]\n[[tenant]]\nname = \"bob\"\npools = [\"copilot\"]\n";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims(tenant: &str, user: &str) -> Value {
    json!({"iss": "https://login.example.com", "aud": "pilotfish", "exp": now() + 600, "tenant": tenant, "sub": user})
}

/// The claims with one of them replaced; `null` takes it out.
fn but(mut claims: Value, name: &str, value: Value) -> Value {
    let all = claims.as_object_mut().expect("an object");
    if value.is_null() {
        all.remove(name)
    } else {
        all.insert(name.into(), value)
    };
    claims
}

/// The listener's table, behind its own keys.
fn jwt(keys: &str) -> String {
    format!(
        "[listener.jwt]\n{keys}\nissuer = \"https://login.example.com\"\naudience = \"pilotfish\"\n\
         user_claim = \"sub\"\nleeway = \"0s\""
    )
}

async fn rig(keys: &str) -> Rig {
    let env = &[("IT_JWT", SECRET)];
    Rig::with(Plan { listener: &jwt(keys), more: MORE, env, ..Plan::default() }).await
}

/// Whether a token gets in; the failure is the runtime's.
async fn gets_in(rig: &Rig, token: &str) -> bool {
    let answer = knock(&rig.proxy, token).await;
    let refusal = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32002,"message":"AUTHENTICATION_FAILED"}}"#;
    let ok = answer.contains("\"ok\":true");
    assert!(ok || answer == refusal, "{answer}");
    ok
}

/// A file of keys, removed at the end.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, text: &str) -> Self {
        let this = Self(std::env::temp_dir().join(format!("pilotfish-it-{}-{name}", std::process::id())));
        this.replace(text);
        this
    }

    /// As tools do it: a new file in the place of the old one.
    fn replace(&self, text: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, &self.0).expect("replaced");
    }

    fn key(&self, key: &str) -> String {
        format!("{key} = {{ file = \"{}\" }}", self.0.display())
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// What no issuer's key makes good.
async fn refuses_wrong_claims(rig: &Rig, issuer: &Issuer) {
    let right = || claims("alice", "ann");
    assert!(gets_in(rig, &issuer.sign("k1", &right())).await, "{}", issuer.algorithm());
    assert!(gets_in(rig, &issuer.sign("k1", &but(right(), "aud", json!(["x", "pilotfish"])))).await);
    for (name, value) in [
        ("iss", json!("https://login.example.org")),
        ("iss", Value::Null),
        ("aud", json!("somebody")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("exp", json!(now() - 5)),
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("nbf", json!(now() + 600)),
        ("tenant", json!("zoe")),
        ("tenant", json!("Alice")),
        ("tenant", json!("alice--x")),
        ("tenant", json!(["alice"])),
        ("tenant", json!("")),
        ("tenant", Value::Null),
    ] {
        let token = issuer.sign("k1", &but(right(), name, value.clone()));
        assert!(!gets_in(rig, &token).await, "{}: {name} = {value}", issuer.algorithm());
    }
    let token = issuer.sign("k1", &right());
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let other = unsigned(&json!({"alg": issuer.algorithm(), "kid": "k1"}), &claims("bob", "ann"));
    let none = unsigned(&json!({"alg": "none", "typ": "JWT"}), &right());
    let small = unsigned(&json!({"alg": "NonE", "typ": "JWT"}), &right());
    for forged in [
        format!("{message}."),
        message.to_owned(),
        format!("{other}.{signature}"),
        format!("{none}."),
        format!("{none}.{signature}"),
        format!("{small}."),
        format!("{token}.{signature}"),
        String::new(),
        "..".into(),
    ] {
        assert!(!gets_in(rig, &forged).await, "{}: {forged}", issuer.algorithm());
    }
}

#[tokio::test]
async fn a_shared_secret() {
    let rig = rig("algorithms = [\"HS256\"]\nsecret = { env = \"IT_JWT\" }").await;
    let issuer = Issuer::hs256(SECRET);
    refuses_wrong_claims(&rig, &issuer).await;
    assert!(
        !gets_in(&rig, &Issuer::hs256("another-secret-of-thirty-two-bytes").sign("k1", &claims("alice", "a"))).await
    );
    assert!(!gets_in(&rig, &Issuer::rs256().sign("k1", &claims("alice", "a"))).await);
    // Tenants as by their tokens.
    let (alice, bob) = (
        login(&rig, &issuer.sign("k1", &claims("alice", "ann"))).await,
        login(&rig, &issuer.sign("k1", &claims("bob", "ann"))).await,
    );
    create(&alice, "alice--x").await;
    assert_absent(bob.call("session.resume", json!({"sessionId": "alice--x"})).await, "session.resume", "alice--x");
    let ben = login(&rig, &issuer.sign("k1", &claims("alice", "ben"))).await;
    ben.call("session.resume", json!({"sessionId": "alice--x"})).await.expect("together");
    assert!(!rig.proxy.output().contains(SECRET));
}

#[tokio::test]
async fn a_key_set_in_a_file_that_changes() {
    let (rsa, ec, late) = (Issuer::rs256(), Issuer::es256(), Issuer::es256());
    let file = KeyFile::new("jwks.json", &json!({"keys": [rsa.jwk("k1"), ec.jwk("k2")]}).to_string());
    let rig = rig(&file.key("jwks")).await;
    refuses_wrong_claims(&rig, &rsa).await;
    let alice = || claims("alice", "ann");
    assert!(gets_in(&rig, &ec.sign("k2", &alice())).await);
    assert!(!gets_in(&rig, &ec.sign("k1", &alice())).await, "the other key's id");
    assert!(!gets_in(&rig, &late.sign("k3", &alice())).await, "not published yet");
    // A public key is no secret to sign with.
    let public = Issuer::hs256(&rsa.pem());
    assert!(!gets_in(&rig, &public.sign("k1", &alice())).await);
    let header = json!({"alg": "HS256", "kid": "k1", "jwk": rsa.jwk("k1")});
    assert!(!gets_in(&rig, &public.sign_as(&header, &alice())).await);
    let inside = json!({"alg": "ES256", "kid": "k3", "jwk": late.jwk("k3"), "jku": "https://evil.example"});
    assert!(!gets_in(&rig, &late.sign_as(&inside, &alice())).await, "a token does not bring its own key");

    let connected = login(&rig, &ec.sign("k2", &alice())).await;
    file.replace(&json!({"keys": [rsa.jwk("k1"), late.jwk("k3")]}).to_string());
    let new = late.sign("k3", &alice());
    within(|| "the new key".into(), async { while !gets_in(&rig, &new).await {} }).await;
    assert!(!gets_in(&rig, &ec.sign("k2", &alice())).await, "the old one is gone");
    assert!(gets_in(&rig, &rsa.sign("k1", &alice())).await);
    connected.call("ping", json!({})).await.expect("who is in stays in");
    // A slip of the operator locks nobody out.
    file.replace("{ \"keys\": [");
    rig.proxy.wait_for_line("the last keys of JWTs stay in force").await;
    assert!(gets_in(&rig, &new).await);
}

#[tokio::test]
async fn a_public_key_in_pem_that_changes() {
    let (old, new) = (Issuer::es256(), Issuer::es256());
    let file = KeyFile::new("issuer.pem", &old.pem());
    let rig = rig(&format!("algorithms = [\"ES256\"]\n{}", file.key("public_key"))).await;
    refuses_wrong_claims(&rig, &old).await;
    file.replace(&new.pem());
    let token = new.sign("any", &claims("alice", "ann"));
    within(|| "the new key".into(), async { while !gets_in(&rig, &token).await {} }).await;
    assert!(!gets_in(&rig, &old.sign("any", &claims("alice", "ann"))).await);
}

/// Tenant and user from the claims; users that are apart.
#[tokio::test]
async fn users_come_from_the_claims() {
    let more = "[[tenant]]\nname = \"alice\"\nusers = \"apart\"\n";
    let listener = jwt("algorithms = [\"HS256\"]\nsecret = { env = \"IT_JWT\" }\ntenant_claim = \"org.tenant\"");
    let pool = "session_id_template = \"{tenant}--{user}--\"";
    let env = &[("IT_JWT", SECRET)];
    let rig = Rig::with(Plan { pool, listener: &listener, more, env, ..Plan::default() }).await;
    let issuer = Issuer::hs256(SECRET);
    let token = |user: Value| {
        let claims = but(claims("bob", "x"), "org", json!({"tenant": "alice"}));
        issuer.sign("k1", &but(claims, "sub", user))
    };
    let (ann, ben) = (login(&rig, &token(json!("ann"))).await, login(&rig, &token(json!("ben"))).await);
    create(&ann, "alice--ann--x").await;
    create(&ann, "free").await;
    let made = ann.call("session.create", json!({})).await.expect("hers");
    assert!(made["sessionId"].as_str().is_some_and(|id| id.starts_with("alice--ann--")), "{made}");
    for id in ["alice--ann--x", "free", made["sessionId"].as_str().unwrap_or("")] {
        for method in ["session.resume", "session.delete", "session.create", "session.abort"] {
            assert_absent(ben.call(method, json!({ "sessionId": id })).await, method, id);
        }
    }
    login(&rig, &token(json!("ann"))).await.call("session.resume", json!({"sessionId": "free"})).await.expect("hers");
    // Without a user, or with one that no id can begin with, nobody can be told apart.
    for user in [Value::Null, json!("ann--x"), json!("ann-"), json!("a b"), json!(""), json!("a".repeat(90)), json!(5)]
    {
        assert!(!gets_in(&rig, &token(user.clone())).await, "{user}");
    }
}
