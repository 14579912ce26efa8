//! The configuration of a session.

use super::*;

/// What the Node SDK 1.0.14 sends when an application sets nearly everything.
const SDK_CREATE: &str = r#"{"traceparent":"00-a-b-01","model":"m","sessionId":"alice--1","clientName":"c","reasoningEffort":"high",
    "reasoningSummary":"none","isExperimentalMode":false,"contextTier":"default","tools":[{"name":"write","description":"d",
    "parameters":{"type":"object","properties":{"workingDirectory":{"type":"string","default":"/etc"},"mcpServers":{"command":"rm"},
    "WorkingDirectory":1}},"skipPermission":true}],"toolSearch":{"enabled":true},"canvases":[],"requestCanvasRenderer":false,
    "requestExtensions":false,"extensionInfo":{"name":"x"},"canvasProvider":null,"commands":[{"name":"deploy","description":"provider"}],
    "systemMessage":{"mode":"append","content":"configDir: /etc"},"availableTools":["a"],"excludedTools":[],"toolFilterPrecedence":"excluded",
    "provider":{"type":"openai","baseUrl":"https://models.example.com/v1/","apiKey":"k","headers":{"x":"y"}},"capi":{"enableWebSocketResponses":false},
    "models":[{"id":"m","provider":"p"}],"enableSessionTelemetry":true,"sessionLimits":{"maxAiCredits":1},"modelCapabilities":{},
    "largeOutput":{"enabled":true,"maxSizeBytes":1,"outputDir":"/srv/alice/out"},"requestPermission":true,"requestUserInput":false,
    "githubMcpToolConfig":{"enableAllTools":true},"hooks":true,"workingDirectory":"/srv/alice/repo","additionalDirectories":["/srv/alice/a"],
    "streaming":true,"mcpServers":{"docs":{"type":"http","url":"https://mcp.example.com/docs","headers":{"Authorization":"Bearer x"},"tools":["*"]}},
    "mcpOAuthTokenStorage":"in-memory","envValueMode":"direct","customAgents":[{"name":"a","prompt":"p","tools":null,
    "mcpServers":{"d":{"type":"sse","url":"https://mcp.example.com"}}}],"defaultAgent":{"excludedTools":["x"]},"agent":"a",
    "configDir":"/srv/alice/config","enableConfigDiscovery":false,"skillDirectories":["/srv/alice/skills"],"pluginDirectories":[],
    "instructionDirectories":null,"disabledSkills":["x"],"infiniteSessions":{"enabled":true},"memory":{"enabled":false},"gitHubToken":"t",
    "remoteSession":"off","cloud":null,"featureFlags":{"a":true},"someNewFlag":true,"someNewNumber":5,"newer":{"any":"thing"}}"#;

#[test]
fn what_an_sdk_sends_passes() {
    pass("session.create", &[SDK_CREATE, "{}", "null", r#"{"sessionId":""}"#]);
    pass(
        "session.resume",
        &[SDK_CREATE, r#"{"sessionId":"s","disableResume":true,"continuePendingWork":true,"openCanvases":[{"a":1}]}"#],
    );
    assert_eq!(check_with(settings(), "session.create", r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, None), Ok(()));
}

#[test]
fn a_session_names_no_host_path_outside_the_roots() {
    for key in ["workingDirectory", "configDir", "extensionSdkPath", "eventsLogDirectory", "trajectoryFile"] {
        pass("session.create", &[&format!(r#"{{"{key}":"/srv/alice"}}"#), &format!(r#"{{"{key}":null}}"#)]);
        for path in [
            "/srv/bob",
            "/srv/alicex",
            "/srv/alice/../bob",
            "~/x",
            "x",
            "file:///srv/alice",
            "",
            "\\\\\\\\srv\\\\alice",
        ] {
            assert!(check("session.create", &format!(r#"{{"{key}":"{path}"}}"#)).is_err(), "{key} {path}");
        }
        for value in ["5", "true", "{}", "[]", r#"["/srv/alice"]"#] {
            assert!(check("session.resume", &format!(r#"{{"{key}":{value}}}"#)).is_err(), "{key} {value}");
        }
    }
    for key in ["additionalDirectories", "skillDirectories", "pluginDirectories", "instructionDirectories"] {
        pass(
            "session.create",
            &[&format!(r#"{{"{key}":["/srv/alice/a","/srv/alice/b"]}}"#), &format!(r#"{{"{key}":[]}}"#)],
        );
        let why = format!("params.{key}[] path_outside_roots");
        refuse("session.create", &[(&format!(r#"{{"{key}":["/srv/alice/a","/etc"]}}"#), &why)]);
        assert!(check("session.create", &format!(r#"{{"{key}":[["/srv/alice"]]}}"#)).is_err());
        assert!(check("session.create", &format!(r#"{{"{key}":{{"0":"/etc"}}}}"#)).is_err());
    }
    refuse(
        "session.create",
        &[
            (r#"{"largeOutput":{"outputDir":"/etc"}}"#, "params.largeOutput.outputDir path_outside_roots"),
            (
                r#"{"workingDirectoryContext":{"cwd":"/srv/alice","gitRoot":"/etc"}}"#,
                "params.workingDirectoryContext.gitRoot path_outside_roots",
            ),
        ],
    );
}

#[test]
fn a_session_starts_no_program_and_calls_no_stranger() {
    refuse(
        "session.create",
        &[
            (r#"{"mcpServers":{"a":{"command":"sh"}}}"#, "params.mcpServers.*.command stdio_mcp"),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com","command":"sh"}}}"#,
                "params.mcpServers.*.command stdio_mcp",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"stdio","url":"https://mcp.example.com"}}}"#,
                "params.mcpServers.*.type stdio_mcp",
            ),
            (r#"{"mcpServers":{"a":{"type":"local"}}}"#, "params.mcpServers.*.type stdio_mcp"),
            (r#"{"mcpServers":{"a":{}}}"#, "params.mcpServers.*.type stdio_mcp"),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"http://169.254.169.254/"}}}"#,
                "params.mcpServers.*.url url_not_allowed",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com@evil/"}}}"#,
                "params.mcpServers.*.url url_not_plain",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com.evil/"}}}"#,
                "params.mcpServers.*.url url_not_allowed",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com","headersHelper":"/bin/sh"}}}"#,
                "params.mcpServers.*.headersHelper param_unknown",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://mcp.example.com","cwd":"/etc"}}}"#,
                "params.mcpServers.*.cwd path_outside_roots",
            ),
            (r#"{"mcpServers":[{"command":"sh"}]}"#, "params.mcpServers not_an_object"),
            (r#"{"managedMcpServers":{"a":{"url":"http://x"}}}"#, "params.managedMcpServers.*.url url_not_allowed"),
            (
                r#"{"customAgents":[{"name":"z"},{"mcpServers":{"a":{"command":"sh"}}}]}"#,
                "params.customAgents[].mcpServers.*.command stdio_mcp",
            ),
            (
                r#"{"customAgents":{"mcpServers":{"a":{"command":"sh"}}}}"#,
                "params.customAgents.mcpServers.*.command stdio_mcp",
            ),
            (r#"{"customAgents":[{"mcp-servers":{"a":{"command":"sh"}}}]}"#, "params.customAgents[].* param_unknown"),
            (
                r#"{"defaultAgent":{"mcpServers":{"a":{"command":"sh"}}}}"#,
                "params.defaultAgent.mcpServers.*.command stdio_mcp",
            ),
            (r#"{"provider":{"baseUrl":"https://models.example.com/v2"}}"#, "params.provider.baseUrl url_not_allowed"),
            (r#"{"provider":{"baseUrl":5}}"#, "params.provider.baseUrl url_not_plain"),
            (r#"{"provider":[{"baseUrl":"http://x"}]}"#, "params.provider not_an_object"),
            (
                r#"{"providers":[{"name":"a","baseUrl":"https://models.example.com/v1"},{"baseUrl":"http://x/"}]}"#,
                "params.providers[].baseUrl url_not_allowed",
            ),
            (r#"{"providers":{"baseUrl":"http://x/"}}"#, "params.providers not_a_list"),
        ],
    );
    let program =
        request(r#"{"mcpServers":{"a":{"command":"sh","args":["-c","x"],"env":{"A":"b"},"cwd":"/srv/alice"}}}"#);
    let open = GuardSettings { stdio_mcp: true, ..settings() };
    assert_eq!(check_with(open.clone(), "session.create", &program, None), Ok(()));
    let elsewhere = program.replace("/srv/alice", "/etc");
    assert!(check_with(open, "session.create", &elsewhere, None).is_err());
}

#[test]
fn a_session_stays_on_this_host_and_knows_nothing_of_it() {
    for (key, value) in [
        ("envValueMode", r#""indirect""#),
        ("remoteSession", r#""on""#),
        ("remoteSession", r#""export""#),
        ("remoteSession", "true"),
        ("cloud", "{}"),
        ("cloud", r#"{"repository":{}}"#),
        ("canvasProvider", r#"{"id":"x"}"#),
        ("requestExtensions", "true"),
        ("requestExtensions", r#""yes""#),
        ("requestExtensions", "1"),
        ("requestedEnvironmentVariables", r#"["PATH"]"#),
        ("copilotUrl", r#""http://x/""#),
        ("installedPlugins", r#"[{"cache_path":"/x"}]"#),
        ("shell", r#"{"initScripts":[]}"#),
        ("shellProcessFlags", r#"["-x"]"#),
        ("sandboxConfig", r#"{"enabled":false}"#),
        ("mcpOAuthTokenStorage", r#""persistent""#),
        ("remoteSteerable", "true"),
    ] {
        refuse("session.create", &[(&format!(r#"{{"{key}":{value}}}"#), &format!("params.{key} param_refused"))]);
    }
    refuse(
        "session.create",
        &[
            (
                r#"{"authInfo":{"type":"user","host":"https://github.com","login":"x"}}"#,
                "params.authInfo.type param_refused",
            ),
            (
                r#"{"authInfo":{"type":"token","host":"https://evil.com","token":"x"}}"#,
                "params.authInfo.host url_not_allowed",
            ),
            (r#"{"someNewPath":"/etc"}"#, "params.someNewPath param_unknown"),
            (r#"{"someNewList":["/etc"]}"#, "params.someNewList param_unknown"),
            (r#"{"options":{"workingDirectory":"/etc"}}"#, "params.options param_unknown"),
        ],
    );
    pass("session.create", &[r#"{"authInfo":{"type":"token","host":"https://github.com","token":"x"}}"#]);
}

#[test]
fn opening_takes_a_whole_id() {
    pass(
        "sessions.open",
        &[
            r#"{"kind":"create","options":{"sessionId":"alice--1","workingDirectory":"/srv/alice"},"emitStart":true}"#,
            r#"{"kind":"resume","sessionId":"alice--1","resume":true,"options":null}"#,
            r#"{"kind":"attach","sessionId":"alice--1"}"#,
        ],
    );
    for kind in ["resumeLast", "remote", "cloud", "handoff", "Create", "", "nope"] {
        refuse("sessions.open", &[(&format!(r#"{{"kind":"{kind}"}}"#), "params.kind open_kind")]);
    }
    refuse(
        "sessions.open",
        &[
            ("{}", "params.kind open_kind"),
            (r#"{"kind":["create"]}"#, "params.kind open_kind"),
            (r#"{"kind":"create","kind":"resumeLast"}"#, "params.kind duplicate_key"),
            (
                r#"{"kind":"create","options":{"workingDirectory":"/etc"}}"#,
                "params.options.workingDirectory path_outside_roots",
            ),
            (r#"{"kind":"create","workingDirectory":"/etc"}"#, "params.workingDirectory path_outside_roots"),
            (
                r#"{"kind":"create","options":{"mcpServers":{"a":{"command":"x"}}}}"#,
                "params.options.mcpServers.*.command stdio_mcp",
            ),
            (r#"{"kind":"create","options":{},"options":{"configDir":"/etc"}}"#, "params.options duplicate_key"),
            (r#"{"kind":"create","Options":{"configDir":"/etc"}}"#, "params.options key_case"),
            (r#"{"kind":"create","options":[{"configDir":"/etc"}]}"#, "params.options not_an_object"),
        ],
    );
}
