//! Bodies put together by chance: nothing panics, and what passes is harmless to a reader that takes the last of two keys.

use proptest::prelude::*;
use serde_json::Value;

use super::{GuardSettings, Guards};
use crate::wire::Methods;

const KEYS: &[&str] = &[
    "workingDirectory",
    "WorkingDirectory",
    "configDir",
    "additionalDirectories",
    "mcpServers",
    "command",
    "url",
    "type",
    "provider",
    "baseUrl",
    "providers",
    "options",
    "kind",
    "sessionId",
    "customAgents",
    "attachments",
    "messages",
    "message",
    "path",
    "filePath",
    "name",
    "tools",
    "envValueMode",
    "cloud",
    "prov\\u0069der",
    "p\\u0061th",
    "base\\u0055rl",
    "model",
];

const TEXTS: &[&str] = &[
    "/srv/alice",
    "/srv/alice/x",
    "/srv/alice/../bob",
    "/etc",
    "x",
    "~",
    "http",
    "sse",
    "stdio",
    "https://mcp.example.com/a",
    "https://models.example.com/v1",
    "http://10.0.0.1/",
    "https://models.example.com@evil/",
    "create",
    "resume",
    "resumeLast",
    "direct",
    "indirect",
    "usage",
    "cwd",
    "sh",
    "file",
    "github_file",
    "\\u002fetc",
];

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(TEXTS).prop_map(|text| format!("\"{text}\""))
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![5 => text(), 1 => Just("null".to_owned()), 1 => Just("false".to_owned()), 1 => Just("7".to_owned())];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let member = (prop::sample::select(KEYS), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

/// A member as a client writes it, with a text that may be right.
fn likely() -> impl Strategy<Value = String> {
    const SHAPES: &[&str] = &[
        r#""workingDirectory":@"#,
        r#""configDir":@"#,
        r#""additionalDirectories":["/srv/alice",@]"#,
        r#""provider":{"baseUrl":@}"#,
        r#""prov\u0069der":{"base\u0055rl":@}"#,
        r#""providers":[{"baseUrl":@}]"#,
        r#""mcpServers":{"a":{"type":"http","url":@}}"#,
        r#""mcpServers":{"a":{"type":@,"url":"https://mcp.example.com/a"}}"#,
        r#""mcpServers":{"a":{"command":@,"url":"https://mcp.example.com/a"}}"#,
        r#""customAgents":[{"mcpServers":{"a":{"url":@}}}]"#,
        r#""envValueMode":@"#,
        r#""cloud":@"#,
        r#""kind":@"#,
        r#""options":{"configDir":@}"#,
        r#""attachments":[{"type":"file","path":@}]"#,
        r#""attachments":[{"type":@,"p\u0061th":"/srv/alice/x"}]"#,
        r#""attachments":[{"type":"github_file","path":@}]"#,
        r#""messages":[{"attachments":[{"filePath":@}]}]"#,
        r#""message":{"attachments":[{"path":@}]}"#,
        r#""name":@"#,
        r#""model":@"#,
    ];
    (prop::sample::select(SHAPES), text()).prop_map(|(shape, text)| shape.replace('@', &text))
}

fn params() -> impl Strategy<Value = String> {
    let likely = prop::collection::vec(likely(), 0..4).prop_map(|members| format!("{{{}}}", members.join(",")));
    prop_oneof![3 => likely, 1 => json()]
}

fn guards() -> Guards {
    Guards::new(GuardSettings {
        roots: vec!["/srv/alice".into()],
        provider_urls: vec!["https://models.example.com/v1".into()],
        mcp_urls: vec!["https://mcp.example.com".into()],
        ..GuardSettings::default()
    })
}

fn inside(value: &Value) -> bool {
    value.as_str().is_some_and(|text| (text == "/srv/alice" || text.starts_with("/srv/alice/")) && !text.contains(".."))
}

fn texts<'v>(value: &'v Value, check: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts(item, check)),
        Value::Null => {}
        other => check(other),
    }
}

fn servers(servers: &Value) {
    for server in servers.as_object().into_iter().flat_map(|servers| servers.values()) {
        assert!(server.get("command").is_none_or(Value::is_null), "{server}");
        let url = server.get("url").and_then(Value::as_str);
        assert!(server.is_null() || url.is_some_and(|url| url.starts_with("https://mcp.example.com/")), "{server}");
    }
}

/// What a configuration may say, read a second way.
fn configuration(params: &Value) {
    for key in ["workingDirectory", "configDir", "additionalDirectories"] {
        params.get(key).into_iter().for_each(|value| texts(value, &mut |text| assert!(inside(text), "{key}: {text}")));
    }
    for provider in params
        .get("provider")
        .into_iter()
        .chain(params.get("providers").and_then(Value::as_array).into_iter().flatten())
    {
        let url = provider.get("baseUrl").filter(|url| !url.is_null());
        assert!(url.is_none_or(|url| url == "https://models.example.com/v1"), "{provider}");
    }
    params.get("mcpServers").into_iter().for_each(servers);
    let agents = params.get("customAgents").and_then(Value::as_array).into_iter().flatten();
    agents.filter_map(|agent| agent.get("mcpServers")).for_each(servers);
    assert!(params.get("envValueMode").is_none_or(|mode| mode.is_null() || mode == false || mode == "direct"));
    assert!(params.get("cloud").is_none_or(|cloud| cloud.is_null() || cloud == false));
}

fn attachments(holder: &Value) {
    for item in holder.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        let github = item.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("github_"));
        for path in ["path", "filePath"].iter().filter_map(|key| item.get(key)).filter(|path| !path.is_null()) {
            assert!(
                inside(path) || github && path.as_str().is_some_and(|path| !path.starts_with(['/', '~'])),
                "{item}"
            );
        }
    }
}

fn passes(method: &str, body: &str) -> bool {
    guards().check(Methods::get().find(method), body.as_bytes(), None).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_passes_is_harmless(params in params()) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        let read: Value = serde_json::from_str(&body).unwrap();
        let params = &read["params"];
        if passes("session.create", &body) {
            configuration(params);
        }
        if passes("sessions.open", &body) {
            configuration(params);
            params.get("options").into_iter().for_each(configuration);
            prop_assert!(params["kind"] == "create" || params["kind"] == "resume");
        }
        if passes("session.send", &body) {
            attachments(params);
            params.get("message").into_iter().for_each(attachments);
            params.get("messages").and_then(Value::as_array).into_iter().flatten().for_each(attachments);
        }
        if passes("session.commands.invoke", &body) {
            prop_assert!(params.get("name").is_none_or(|name| name.is_null() || name == "usage"));
        }
    }

    #[test]
    fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
        let guards = guards();
        let mut broken = br#"{"params":{"provider":{"baseUrl":"https://models.example.com/v1"},"attachments":[{"path":"/srv/alice"}],"name":"/usage"}}"#.to_vec();
        let end = broken.len();
        for (offset, byte) in body.iter().take(3).enumerate() {
            broken[(at + offset) % end] = *byte;
        }
        for row in 0..400 {
            let method = crate::wire::MethodIndex(row);
            if guards.guards(method) {
                let _ = guards.check(method, &body, Some("/w"));
                let _ = guards.check(method, &broken, None);
            }
        }
    }
}
