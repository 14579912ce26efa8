//! Two tenants, every method of the table, every place of an id, every spelling: nothing of the other tenant's is reached,
//! told or given away, and what is denied does not reach a backend.

use std::collections::BTreeSet;

use pilotfish::wire::{Methods, methods::Route};
use serde_json::{Value, json};

use super::rig::{ALICE, BOB, Ids, Spelt, login, two};
use crate::{
    fake_cli::FakeCli,
    session::rig::{Rig, create},
};

/// Stands in alice's prompt, so in her session's summary and history.
const CANARY: &str = "canary-7f3a91";

/// How an id is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    PrefixOf,
    EscapedValue,
    EscapedKey,
    OtherCase,
    OtherKey,
    Twice,
    TwiceEscaped,
    InArray,
    InObject,
}

const FORMS: &[Form] = &[
    Form::Plain,
    Form::PrefixOf,
    Form::EscapedValue,
    Form::EscapedKey,
    Form::OtherCase,
    Form::OtherKey,
    Form::Twice,
    Form::TwiceEscaped,
    Form::InArray,
    Form::InObject,
];

impl Form {
    /// `"key":value` with `id` in this spelling; `list` where ids stand in an array, `record` in objects of one.
    fn member(self, key: &str, id: &str, own: &str, list: bool, record: bool) -> String {
        let wrap = |text: String| {
            let item = if record { format!(r#"{{"sessionId":{text}}}"#) } else { text };
            if list { format!("[{item}]") } else { item }
        };
        let plain = wrap(json!(id).to_string());
        let escaped = escaped(key);
        match self {
            Self::Plain => format!(r#""{key}":{plain}"#),
            Self::PrefixOf => format!(r#""{key}":{}"#, wrap(json!(id[..id.len() - 3]).to_string())),
            Self::EscapedValue => {
                format!(r#""{key}":{}"#, wrap(format!(r#""\u{:04x}{}""#, id.as_bytes()[0], &id[1..])))
            }
            Self::EscapedKey => format!(r#""{escaped}":{plain}"#),
            Self::OtherCase => format!(r#""{key}":{}"#, wrap(json!(id.to_uppercase()).to_string())),
            Self::OtherKey => format!(r#""{}{}":{plain}"#, key[..1].to_uppercase(), &key[1..]),
            Self::Twice => format!(r#""{key}":{},"{key}":{plain}"#, wrap(json!(own).to_string())),
            Self::TwiceEscaped => format!(r#""{key}":{},"{escaped}":{plain}"#, wrap(json!(own).to_string())),
            Self::InArray => format!(r#""{key}":[{plain}]"#),
            Self::InObject => format!(r#""{key}":{{"sessionId":{plain}}}"#),
        }
    }
}

/// The key with its last letter as an escape.
fn escaped(key: &str) -> String {
    let (start, last) = key.split_at(key.len() - 1);
    format!(r"{start}\u{:04x}", last.as_bytes()[0])
}

/// Params for `method` with `id` at `path` (a path of the table).
fn params(method: &str, path: &str, form: Form, id: &str, own: &str) -> String {
    let path = path.trim_start_matches("params.").trim_end_matches('?');
    let list = path.contains("[]");
    let record = path.ends_with("[].sessionId");
    let keys: Vec<&str> = path.trim_end_matches(".sessionId[]").split("[]").next().unwrap_or(path).split('.').collect();
    let (last, outer) = keys.split_last().expect("a key");
    let mut member = form.member(last, id, own, list, record);
    for key in outer.iter().rev() {
        member = format!(r#""{key}":{{{member}}}"#);
    }
    let kind = match (method, keys[0]) {
        ("sessions.open", "sessionId") => r#""kind":"resume","#,
        ("sessions.open", "options") => r#""kind":"create","#,
        ("sessions.open", "metadata") => r#""kind":"handoff","#,
        ("sessions.open", _) => r#""kind":"remote","#,
        _ => "",
    };
    let needs_own = keys[0] != "sessionId" && method.starts_with("session.");
    let session = if needs_own { format!(r#""sessionId":{},"#, json!(own)) } else { String::new() };
    format!("{{{kind}{session}{member}}}")
}

/// The id places of a method; of one without any the usual place, for good measure.
fn paths(method: &str) -> Vec<String> {
    let table = Methods::get();
    let row = table.row(table.find(method));
    let ids: Vec<String> = row.ids.iter().filter(|path| !path.contains('(')).cloned().collect();
    if ids.is_empty() { vec!["params.sessionId".into()] } else { ids }
}

fn methods() -> impl Iterator<Item = &'static str> {
    let skipped = ["other", "connect", "$/cancelRequest"];
    Methods::get().names().into_iter().filter(move |name| !skipped.contains(name))
}

fn is_denied(method: &str) -> bool {
    let table = Methods::get();
    table.row(table.find(method)).shared == "deny"
}

fn has_ids(method: &str) -> bool {
    let table = Methods::get();
    !table.row(table.find(method)).ids.is_empty()
}

/// Alice has a session with the canary in it; bob has one of his own.
async fn ground(ids: Ids) -> (Rig, String, String) {
    let rig = two(ids, 1).await;
    let alice = login(&rig, ALICE).await;
    let (foreign, own) = (ids.id("alice", "secret"), ids.id("bob", "own"));
    create(&alice, &foreign).await;
    alice.call("session.send", json!({"sessionId": foreign, "prompt": CANARY})).await.expect("hers");
    alice.next_event(&foreign, "session.idle").await;
    // She stays connected: her session is live all the time.
    std::mem::forget(alice);
    (rig, foreign, own)
}

#[tokio::test]
async fn nothing_foreign_is_reached_by_any_method_in_any_spelling_under_the_prefix_rule() {
    matrix(Ids::Prefix).await;
}

#[tokio::test]
async fn nothing_foreign_is_reached_by_any_method_in_any_spelling_under_the_registry() {
    matrix(Ids::Registry).await;
}

async fn matrix(ids: Ids) {
    let (rig, foreign, own) = ground(ids).await;
    let absent = ids.id("zoe", "nobody"); // As long as the foreign one, and nobody's.
    let absent = format!("{absent:x<width$}", width = foreign.len());
    let mut bob = Spelt::login(&rig, BOB).await;
    bob.call("session.create", &json!({"sessionId": own}).to_string()).await;
    let before = rig.cli[0].frames().len();
    let mut calls = 0;
    for method in methods() {
        for path in paths(method) {
            for form in FORMS {
                let makes =
                    method == "session.create" || method == "sessions.open" && path.contains("options.sessionId");
                if makes && ids == Ids::Registry && matches!(form, Form::PrefixOf | Form::OtherCase) {
                    continue; // Another id, which nobody has: bob may make it his.
                }
                let absent = if makes { format!("{}{calls:05}", &absent[..absent.len() - 5]) } else { absent.clone() };
                let (answer, told) = bob.call_and_hear(method, &params(method, &path, *form, &foreign, &own)).await;
                let seen = format!("{answer}\n{}", told.join("\n"));
                assert!(!seen.contains(CANARY), "{method} {path} {form:?} gave the canary away: {seen}");
                let told = told.join("\n");
                assert!(!told.contains(&foreign), "{method} {path} {form:?} told of the session: {told}");
                let (other, _) = bob.call_and_hear(method, &params(method, &path, *form, &absent, &own)).await;
                let made = makes && ids == Ids::Registry && (made_something(&other) || other.contains("Unhandled"));
                // Of a method without ids the stray key means nothing; the backend says what it says.
                let unrelated = !has_ids(method) && !is_denied(method);
                assert!(
                    made || unrelated || alike(&answer, &foreign) == alike(&other, &absent),
                    "{method} {path} {form:?}: foreign {answer}, absent {other}"
                );
                assert!(!made_something(&answer) || !answer.contains(&foreign), "{method}: {answer}");
                calls += 2;
            }
        }
    }
    assert!(calls > 7_000, "only {calls} calls");
    untouched(&rig.cli[0], &foreign, before);
    // And she has not noticed anything.
    let alice = login(&rig, ALICE).await;
    let history = alice.call("session.getMessages", json!({"sessionId": foreign})).await.expect("still hers");
    assert!(history.to_string().contains(CANARY));
}

/// A session came of it.
fn made_something(answer: &str) -> bool {
    answer.contains("\"workspacePath\"") || answer.contains("\"status\":\"created\"")
}

/// The answer with the id that was asked about taken out, however it was spelt.
fn alike(answer: &str, id: &str) -> String {
    let short = &id[..id.len() - 3];
    let answer = answer.split_once("\"timestamp\"").map_or(answer, |(before, _)| before);
    answer.replace(&id.to_uppercase(), "ID").replace(id, "ID").replace(short, "SHORT")
}

/// No frame of bob's names the foreign session at a place where a session is named, and no denied method came.
fn untouched(cli: &FakeCli, foreign: &str, before: usize) {
    let stem = &foreign[..foreign.len() - 3];
    let mut came = BTreeSet::new();
    for frame in cli.frames().into_iter().skip(before) {
        came.insert(frame.method().to_owned());
        if has_ids(frame.method()) {
            let text = frame.value.to_string();
            assert!(!text.contains(stem), "reached the backend: {text}");
        }
    }
    let denied: Vec<&String> = came.iter().filter(|method| is_denied(method)).collect();
    assert!(denied.is_empty(), "denied, and reached the backend: {denied:?}");
    assert!(came.contains("session.send") || came.contains("ping"), "nothing at all came: {came:?}");
}

#[tokio::test]
async fn every_denied_method_is_answered_so_and_allowed_ones_pass() {
    let (rig, _, own) = ground(Ids::Prefix).await;
    let bob = login(&rig, BOB).await;
    create(&bob, &own).await;
    for method in methods().chain(["session.notInTheTable", "nobody.knows"]) {
        let table = Methods::get();
        let row = table.row(table.find(method));
        if row.shared == "deny" {
            let error = bob.call(method, json!({"sessionId": own})).await.expect_err("denied");
            assert_eq!((error.code, &error.data["reason"]), (-32601, &json!("denied_by_policy")), "{method}");
            assert_eq!(rig.cli[0].count(method), 0, "{method} reached the backend");
        } else if row.route == Route::Session && row.ids == ["params.sessionId"] {
            let answer = bob.call(method, json!({"sessionId": own})).await;
            let refused = answer.as_ref().is_err_and(|error| error.data["reason"] == "denied_by_policy");
            assert!(!refused, "{method}: {answer:?}");
        }
    }
}

/// Answers of a backend that name both tenants' sessions, as lists, maps and look-ups do.
#[tokio::test]
async fn lists_maps_and_look_ups_show_only_one_s_own() {
    use crate::fake_cli::Act;
    for ids in [Ids::Prefix, Ids::Registry] {
        let (rig, foreign, own) = ground(ids).await;
        let bob = login(&rig, BOB).await;
        create(&bob, &own).await;
        let entry = |id: &str, time: &str| {
            json!({"sessionId": id, "modifiedTime": time, "summary": if *id == foreign { CANARY } else { "mine" },
                "mcTaskId": "task", "context": {"cwd": "/work"}})
        };
        let list = json!({"sessions": [entry(&foreign, "2026-02-02T00:00:00Z"), entry(&own, "2026-01-01T00:00:00Z"),
            {"summary": CANARY}, {"sessionId": null, "summary": CANARY}]});
        let cli = &rig.cli[0];
        let answers = [
            ("session.list", list.clone()),
            ("sessions.list", list.clone()),
            ("sessions.listNonEmptySessionIds", json!({"sessionIds": [foreign, own]})),
            ("sessions.getSizes", json!({"sizes": {foreign.clone(): 1, own.clone(): 2}})),
            (
                "sessions.getClientMetadata",
                json!([{"sessionId": foreign, "status": "ok", "metadata": {"x": CANARY}},
                {"sessionId": own, "status": "ok", "metadata": {}}]),
            ),
            ("sessions.checkInUse", json!({"inUse": [foreign, own]})),
            ("sessions.enrichMetadata", list.clone()),
            ("sessions.findByPrefix", json!({"sessionId": foreign})),
            ("sessions.findByTaskId", json!({"sessionId": foreign})),
            ("sessions.getLastForContext", json!({"sessionId": foreign})),
            ("session.getLastId", json!({"sessionId": foreign})),
            ("session.getForeground", json!({"sessionId": foreign})),
            ("session.getMetadata", json!({"session": {"sessionId": foreign, "summary": CANARY}})),
            ("session.metadata.snapshot", json!({"sessionId": foreign, "summary": CANARY})),
            ("session.resume", json!({"sessionId": foreign, "workspacePath": CANARY})),
        ];
        for (method, answer) in &answers {
            cli.on(method, Act::Answer(answer.to_string()));
        }
        for (method, _) in &answers {
            let params = json!({"sessionId": own, "sessionIds": [own], "sessions": [{"sessionId": own}],
                "prefix": "alice--sec", "taskId": "task", "context": {"cwd": "/work"}});
            let answer = format!("{:?}", bob.call(method, params).await);
            assert!(!answer.contains(CANARY), "{method}: {answer}");
            assert!(!answer.contains(foreign.as_str()), "{method}: {answer}");
        }
        // What is bob's is there, and a look-up finds the newest of his.
        let mine = bob.call("session.list", json!({})).await.expect("a list");
        let seen: Vec<&Value> =
            mine["sessions"].as_array().expect("entries").iter().map(|one| &one["sessionId"]).collect();
        assert_eq!(seen, [&json!(own)], "{ids:?}");
        assert_eq!(bob.call("session.getLastId", json!({})).await.expect("one"), json!({"sessionId": own}));
        let task = bob.call("sessions.findByTaskId", json!({"taskId": "task"})).await.expect("one");
        assert_eq!(task, json!({"sessionId": own}));
        cli.on(
            "sessions.bulkDelete",
            Act::Answer(json!({"freedBytes": {foreign.clone(): 7, own.clone(): 8}}).to_string()),
        );
        let freed = bob.call("sessions.bulkDelete", json!({"sessionIds": [own]})).await.expect("a map");
        assert_eq!(freed, json!({"freedBytes": {own.clone(): 8}}));
    }
}

/// An array with one's own and a foreign id gets what an absent id in the same place gets.
#[tokio::test]
async fn arrays_with_foreign_ids_are_answered_as_with_absent_ones() {
    let (rig, foreign, own) = ground(Ids::Prefix).await;
    let bob = login(&rig, BOB).await;
    create(&bob, &own).await;
    rig.cli[0].on(
        "sessions.getClientMetadata",
        crate::fake_cli::Act::Answer(json!([{"sessionId": own, "status": "ok", "metadata": {}}]).to_string()),
    );
    let answer = bob.call("sessions.getClientMetadata", json!({"sessionIds": [foreign, own]})).await.expect("a list");
    assert_eq!(
        answer,
        json!([{"sessionId": foreign, "status": "notFound"}, {"sessionId": own, "status": "ok", "metadata": {}}])
    );
    rig.cli[0].on("sessions.bulkDelete", crate::fake_cli::Act::Answer(json!({"freedBytes": {}}).to_string()));
    let answer = bob.call("sessions.bulkDelete", json!({"sessionIds": [foreign]})).await.expect("a map");
    assert_eq!(answer, json!({"freedBytes": {foreign.clone(): 0}}));
    let asked = rig.cli[0].wait_for(|frame| frame.method() == "sessions.bulkDelete").await;
    assert_eq!(asked.params()["sessionIds"], json!([]));
}
