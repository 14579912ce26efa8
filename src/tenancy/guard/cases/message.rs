//! Files and commands.

use super::*;

#[test]
fn attachments_stay_below_roots_and_workspace() {
    let file = |path: &str| format!(r#"{{"type":"file","path":"{path}","displayName":"d"}}"#);
    let places = [
        ("session.send", r#"{"sessionId":"s","prompt":"p","attachments":[@]}"#, "params.attachments[].path"),
        ("session.fleet.start", r#"{"sessionId":"s","attachments":[@]}"#, "params.attachments[].path"),
        (
            "session.sendMessages",
            r#"{"sessionId":"s","messages":[{"prompt":"a"},{"prompt":"p","attachments":[@]}]}"#,
            "params.messages[].attachments[].path",
        ),
        (
            "session.queue.insertAt",
            r#"{"sessionId":"s","position":0,"message":{"prompt":"p","attachments":[@]}}"#,
            "params.message.attachments[].path",
        ),
        (
            "session.extensions.sendAttachmentsToMessage",
            r#"{"sessionId":"s","attachments":[@]}"#,
            "params.attachments[].path",
        ),
    ];
    for (method, template, key) in places {
        let with = |item: &str| template.replace('@', item);
        pass(method, &[&with(""), &with(&file("/srv/alice/a.txt"))]);
        refuse(method, &[(&with(&file("/etc/hostname")), &format!("{key} path_outside_roots"))]);
        for path in ["a.txt", "../a.txt", "~/x", "file:///srv/alice/x", "/srv/alice/../bob/x"] {
            refuse(method, &[(&with(&file(path)), &format!("{key} path_not_plain"))]);
        }
        let body = request(&with(&file("/home/c/.copilot/session-state/s/files/a")));
        assert_eq!(check_with(settings(), method, &body, Some("/home/c/.copilot/session-state/s")), Ok(()));
        assert!(check_with(settings(), method, &body, Some("/home/c/.copilot/session-state/s2")).is_err());
        refuse(
            method,
            &[(
                &with(r#"{"type":"selection","filePath":"/etc/x"}"#),
                &key.replace(".path", ".filePath path_outside_roots"),
            )],
        );
        pass(
            method,
            &[&with(
                r#"{"type":"blob","data":"aGk=","mimeType":"text/plain"},{"type":"github_file","path":"src/a.rs","url":"https://github.com/a"}"#,
            )],
        );
        for item in [
            r#"{"type":"github_file","path":"/etc/x"}"#,
            r#"{"type":"github_file","path":"../x"}"#,
            r#"{"type":"nope","path":"x"}"#,
            r#"{"path":"x"}"#,
            "5",
            r#"{"type":"file","path":"/srv/alice/a","path":"/etc/x"}"#,
            r#"{"type":"github_file","path":"x","type":"file"}"#,
            r#"{"type":"file","Path":"/etc/x"}"#,
            r#"{"type":"file","path":5}"#,
        ] {
            assert!(check(method, &with(item)).is_err(), "{method} {item}");
        }
    }
    refuse(
        "session.send",
        &[
            (
                r#"{"sessionId":"s","attachment\u0073":[{"type":"file","path":"/etc/x"}]}"#,
                "params.attachments[].path path_outside_roots",
            ),
            (
                r#"{"sessionId":"s","attachments":{"0":{"type":"file","path":"/etc/x"}}}"#,
                "params.attachments not_a_list",
            ),
            (
                r#"{"sessionId":"s","attachments":[],"attachments":[{"type":"file","path":"/etc/x"}]}"#,
                "params.attachments duplicate_key",
            ),
            (r#"{"sessionId":"s","messages":{"attachments":[]}}"#, "params.messages not_a_list"),
        ],
    );
    pass(
        "session.send",
        &[
            r#"{"sessionId":"s","prompt":"see \"attachments\": [\"/etc/x\"]"}"#,
            r#"{"sessionId":"s","prompt":"\u00e4"}"#,
        ],
    );
}

#[test]
fn a_message_without_a_file_is_not_parsed() {
    let body = r#"{"jsonrpc":"2.0","params":{"sessionId":"s","prompt":"p" this is no JSON"#;
    assert_eq!(check_with(settings(), "session.send", body, None), Ok(()));
}

#[test]
fn slash_commands_are_on_a_list() {
    let places = [
        ("session.commands.invoke", "name"),
        ("session.commands.execute", "commandName"),
        ("session.commands.enqueue", "command"),
    ];
    for (method, key) in places {
        for name in ["usage", "/usage", "//USAGE", " compact focus on x", "/review all", "rename\\tx"] {
            pass(method, &[&format!(r#"{{"sessionId":"s","{key}":"{name}"}}"#)]);
        }
        let why = format!("params.{key} command_not_allowed");
        for name in [
            "allow-all",
            "yolo",
            "YOLO",
            "/permissions",
            "add-dir /etc",
            "cwd",
            "cd",
            "mcp",
            "plugin",
            "remote",
            "share",
            "sandbox",
            "session",
            "sessions",
            "chronicle",
            "env",
            "every",
            "after",
            "loop",
            "model",
            "models",
            "memory",
            "skills",
            "list-dirs",
            "blame",
            "init",
            "subconscious",
            "",
            "/",
            "/ usage",
            "usage\\u0000",
            "\\u0061llow-all",
            "us\\u200bage",
            "usage;allow-all",
            "nope",
        ] {
            refuse(method, &[(&format!(r#"{{"sessionId":"s","{key}":"{name}"}}"#), &why)]);
        }
        refuse(
            method,
            &[
                (&format!(r#"{{"sessionId":"s","{key}":["usage"]}}"#), &format!("params.{key} not_a_command")),
                (
                    &format!(r#"{{"sessionId":"s","{key}":"usage","{key}":"cwd"}}"#),
                    &format!("params.{key} duplicate_key"),
                ),
            ],
        );
        let more = GuardSettings { commands: vec!["/Deploy".into()], ..settings() };
        assert_eq!(check_with(more, method, &request(&format!(r#"{{"{key}":"deploy now"}}"#)), None), Ok(()));
    }
}
