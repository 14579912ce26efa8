//! Bodies that pass and bodies that do not, one table a guard.

mod message;
mod session;
mod setting;

use super::{GuardSettings, Guards};
use crate::wire::Methods;

fn settings() -> GuardSettings {
    GuardSettings {
        roots: vec!["/srv/alice".into()],
        provider_urls: vec!["https://models.example.com/v1".into()],
        mcp_urls: vec!["https://mcp.example.com".into()],
        params: vec!["newer".into()],
        ..GuardSettings::default()
    }
}

fn check_with(settings: GuardSettings, method: &str, body: &str, workspace: Option<&str>) -> Result<(), String> {
    let index = Methods::get().find(method);
    assert_ne!(index, Methods::UNKNOWN, "{method}");
    let guards = Guards::new(settings);
    assert!(guards.guards(index), "{method}");
    guards.check(index, body.as_bytes(), workspace).map_err(|denied| format!("{} {}", denied.key, denied.rule))
}

fn request(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#)
}

fn check(method: &str, params: &str) -> Result<(), String> {
    check_with(settings(), method, &request(params), None)
}

fn pass(method: &str, all: &[&str]) {
    for params in all {
        assert_eq!(check(method, params), Ok(()), "{method} {params}");
    }
}

fn refuse(method: &str, all: &[(&str, &str)]) {
    for (params, why) in all {
        assert_eq!(check(method, params), Err((*why).to_owned()), "{method} {params}");
    }
}

#[test]
fn keys_stand_once_unescaped_and_in_their_case() {
    refuse(
        "session.create",
        &[
            (r#"{"\u0070rovider":{"baseUrl":"http://10.0.0.1/"}}"#, "params.provider.baseUrl url_not_allowed"),
            (r#"{"provider":{"base\u0055rl":"http://10.0.0.1/"}}"#, "params.provider.baseUrl url_not_allowed"),
            (r#"{"workingDirectory":"/srv/alice","workingDirectory":"/etc"}"#, "params.workingDirectory duplicate_key"),
            (
                r#"{"workingDirectory":"/etc","working\u0044irectory":"/srv/alice"}"#,
                "params.workingDirectory duplicate_key",
            ),
            (
                r#"{"provider":{"baseUrl":"https://models.example.com/v1","baseUrl":"http://x/"}}"#,
                "params.provider.baseUrl duplicate_key",
            ),
            (r#"{"WorkingDirectory":"/srv/alice"}"#, "params.workingDirectory key_case"),
            (r#"{"sessionid":"x"}"#, "params.sessionId key_case"),
            (r#"{"provider":{"baseURL":"https://models.example.com/v1"}}"#, "params.provider.baseUrl key_case"),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com","Command":"x"}}}"#,
                "params.mcpServers.*.command key_case",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com"},"a":{"command":"x"}}}"#,
                "params.mcpServers.a duplicate_key",
            ),
            ("[]", "params not_an_object"),
            (r#""x""#, "params not_an_object"),
        ],
    );
    let twice = r#"{"params":{},"jsonrpc":"2.0","id":1,"method":"m","params":{"workingDirectory":"/etc"}}"#;
    assert_eq!(check_with(settings(), "session.create", twice, None), Err("params not_readable".to_owned()));
    assert_eq!(
        check_with(settings(), "session.create", r#"["2.0","m",1,{}]"#, None),
        Err("params not_readable".to_owned())
    );
}

#[test]
fn other_methods_are_not_asked() {
    let guards = Guards::new(settings());
    for name in ["session.abort", "session.getMessages", "ping", "session.nope"] {
        let index = Methods::get().find(name);
        assert!(!guards.guards(index), "{name}");
        assert_eq!(guards.check(index, b"no JSON", None), Ok(()));
    }
}

#[test]
fn refusals_say_no_value() {
    let body = request(r#"{"sessionId":"s","provider":{"baseUrl":"http://canary-1/"},"workingDirectory":"/canary-2"}"#);
    let index = Methods::get().find("session.create");
    let denied = Guards::new(settings()).check(index, body.as_bytes(), None).unwrap_err();
    assert!(!format!("{denied} {denied:?}").contains("canary"), "{denied}");
}

#[test]
fn settings_are_checked() {
    assert_eq!(settings().check(), Ok(()));
    for broken in [
        GuardSettings { roots: vec!["x".into()], ..settings() },
        GuardSettings { provider_urls: vec!["x".into()], ..settings() },
        GuardSettings { mcp_urls: vec!["http://u@x".into()], ..settings() },
        GuardSettings { commands: vec!["a b".into()], ..settings() },
    ] {
        assert!(broken.check().is_err(), "{broken:?}");
    }
}
