//! Names that could be taken for one another: no pair of tenants reaches each other's sessions, and names with which that
//! could happen are errors of the config.

use std::fmt::Write as _;

use serde_json::json;

use super::rig::{Ids, Spelt, absent, params};
use crate::{
    fake_cli::FakeCli,
    process::Pilotfish,
    session::rig::{Plan, Rig},
};

/// As long as a name may be.
const LONGEST: &str = "a-b_A-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const ALIKE: &[&str] = &["a", "a-b", "a_b", "A", LONGEST];
const ALIKE_IN_REGISTRY: &[&str] = &["a", "a-b", "a_b", "A", LONGEST, "a-", "a.b"];

/// A tenant of the rig, logged in.
struct Tenant {
    name: &'static str,
    session: String,
    talk: Spelt,
}

/// All of `names` in front of one fake, each with a session that has had a turn.
async fn all(ids: Ids, names: &[&'static str]) -> (Rig, Vec<Tenant>) {
    let tokens: Vec<(String, String)> =
        (0..names.len()).map(|at| (format!("IT_T{at}"), format!("token-of-tenant-number-{at:04}"))).collect();
    let mut more = String::new();
    for (name, (env, _)) in names.iter().zip(&tokens) {
        writeln!(more, "[[tenant]]\nname = \"{name}\"\ntokens = [{{ env = \"{env}\" }}]").expect("memory");
    }
    let env: Vec<(&str, &str)> = tokens.iter().map(|(name, value)| (&**name, &**value)).collect();
    let rig = Rig::with(Plan { pool: ids.lines(), more: &more, env: &env, ..Plan::default() }).await;
    let mut tenants = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let session = match ids {
            Ids::Prefix => format!("{name}--board"),
            Ids::Registry => format!("board-of-number-{at}"),
        };
        let mut talk = Spelt::login(&rig, &tokens[at].1).await;
        let made = talk.call("session.create", &json!({"sessionId": session}).to_string()).await;
        assert!(made.contains("workspacePath"), "{name}: {made}");
        talk.call(
            "session.send",
            &json!({"sessionId": session, "prompt": format!("canary of {session}.")}).to_string(),
        )
        .await;
        rig.cli[0].wait_for_live(&session, true).await;
        tenants.push(Tenant { name, session, talk });
    }
    (rig, tenants)
}

const METHODS: &[&str] = &[
    "session.resume",
    "session.send",
    "session.getMessages",
    "session.getMetadata",
    "session.abort",
    "session.create",
    "session.detach",
    "session.destroy",
    "session.delete",
    "sessions.fork",
];

/// As it stands in JSON: one id may be the end of another.
fn quoted(id: &str) -> String {
    format!("\"{id}\"")
}

async fn no_pair_reaches_the_other(ids: Ids, names: &[&'static str]) {
    let (rig, mut tenants) = all(ids, names).await;
    let sessions: Vec<(String, String)> = tenants.iter().map(|one| (one.name.into(), one.session.clone())).collect();
    let before = rig.cli[0].frames().len();
    for tenant in &mut tenants {
        for (other, session) in sessions.iter().filter(|(other, _)| *other != tenant.name) {
            for method in METHODS {
                let (answer, told) = tenant.talk.call_and_hear(method, &params(method, session)).await;
                assert_eq!(answer, absent(method, session), "{} -> {other}: {method}", tenant.name);
                assert!(!told.iter().any(|told| told.contains(&quoted(session))), "{} heard {told:?}", tenant.name);
            }
            if ids == Ids::Prefix {
                let id = format!("{other}--x");
                let made = tenant.talk.call("session.create", &json!({ "sessionId": id }).to_string()).await;
                assert_eq!(made, absent("session.create", &id), "{} -> {other}", tenant.name);
            }
        }
        let list = tenant.talk.call("session.list", "{}").await;
        let seen: Vec<&str> = sessions.iter().filter(|(_, id)| list.contains(&quoted(id))).map(|(n, _)| &**n).collect();
        assert_eq!(seen, [tenant.name], "{list}");
        let last = tenant.talk.call("session.getLastId", "{}").await;
        assert!(last.contains(&quoted(&tenant.session)), "{} -> {last}", tenant.name);
    }
    untouched(&rig.cli[0], &sessions, before);
    for tenant in &mut tenants {
        let history = tenant.talk.call("session.getMessages", &json!({"sessionId": tenant.session}).to_string()).await;
        assert!(history.contains(&format!("canary of {}.", tenant.session)), "{}: {history}", tenant.name);
        assert!(!history.contains(super::rig::PROMPT), "{}: {history}", tenant.name);
    }
}

/// No session was named to the backend, but those that are somebody's own in questions of ours.
fn untouched(cli: &FakeCli, sessions: &[(String, String)], before: usize) {
    for frame in cli.frames().into_iter().skip(before) {
        let text = frame.value.to_string();
        let named = sessions.iter().any(|(_, id)| text.contains(&quoted(id))) || text.contains("--x\"");
        assert!(!named, "reached the backend: {text}");
    }
    assert_eq!(cli.live().len(), sessions.len(), "all are live, and no other is: {:?}", cli.live());
}

#[tokio::test]
async fn no_pair_of_alike_names_reaches_each_other_under_the_prefix_rule() {
    no_pair_reaches_the_other(Ids::Prefix, ALIKE).await;
}

#[tokio::test]
async fn no_pair_of_alike_names_reaches_each_other_under_the_registry() {
    no_pair_reaches_the_other(Ids::Registry, ALIKE_IN_REGISTRY).await;
}

/// Sessions without a name get one that is their tenant's.
#[tokio::test]
async fn ids_that_we_make_belong_to_their_tenant() {
    let (_rig, mut tenants) = all(Ids::Prefix, ALIKE).await;
    let mut ids = Vec::new();
    for tenant in &mut tenants {
        let made = tenant.talk.call("session.create", "{}").await;
        let read: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        let id = read["result"]["sessionId"].as_str().unwrap_or_else(|| panic!("{}: {made}", tenant.name)).to_owned();
        assert!(id.starts_with(&format!("{}--", tenant.name)) && id.len() <= 128, "{id}");
        ids.push(id);
    }
    for (at, tenant) in tenants.iter_mut().enumerate() {
        for (of, id) in ids.iter().enumerate() {
            let answer = tenant.talk.call("session.abort", &json!({ "sessionId": id }).to_string()).await;
            assert_eq!(answer == absent("session.abort", id), at != of, "{} -> {id}: {answer}", tenant.name);
        }
    }
}

/// Starts pilotfish with one tenant of this name, which it has to refuse: what it said of the name.
async fn refused(name: &str, pool: &str) -> String {
    let name = toml::Value::from(name).to_string();
    let more = format!("[[tenant]]\nname = {name}\ntokens = [{{ env = \"IT_T\" }}]\n");
    let addresses = ["127.0.0.1:1".parse().expect("an address")];
    let config = Plan { pool, more: &more, ..Plan::default() }.config(&addresses);
    let line = config.lines().position(|line| line == format!("name = {name}")).expect("it stands there") + 1;
    let mut proxy = Pilotfish::spawn(&config, &[("IT_T", "a-token-of-somebody-0001")]);
    eprintln!("{name:?} in a pool with {pool:?}"); // Which one it was, if it is not refused.
    let said = proxy.wait_for_line(&format!("pilotfish.toml:{line}:8: error: tenant[0].name: ")).await;
    assert!(!proxy.exit().await.success(), "{name}");
    said
}

#[tokio::test]
async fn impossible_names_are_errors_of_the_config() {
    let long = format!("{LONGEST}a");
    let impossible = [
        "a-",
        "-a",
        "a--b",
        "a---b",
        "",
        "a*",
        "[a]",
        "a+",
        "a.b",
        "(a|b)",
        "^a",
        "a b",
        &long,
        "\u{e4}",
        "\u{430}",
        "a\u{200b}",
    ];
    for name in impossible {
        refused(name, "").await;
    }
    // Another delimiter, other names.
    refused("a-b", "session_id_template = \"{tenant}-\"").await;
    refused("a_b", "session_id_template = \"{tenant}_\"").await;
    for name in ["", "a*", "[a]", "a+", &long, "\u{e4}"] {
        refused(name, Ids::Registry.lines()).await;
    }
}
