//! Bodies that pass and bodies that do not, one table a guard.

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

#[test]
fn settings_of_a_session_reach_no_further() {
    pass(
        "session.options.update",
        &[
            r#"{"sessionId":"s","skipCustomInstructions":true,"customAgentsLocalOnly":true,"coauthorEnabled":false,"manageScheduleEnabled":false,"installedPlugins":[],"includedBuiltinSkills":["a"]}"#,
        ],
    );
    refuse(
        "session.options.update",
        &[
            (r#"{"sessionId":"s","installedPlugins":[{"cache_path":"/x"}]}"#, "params.installedPlugins param_refused"),
            (r#"{"sessionId":"s","installedPlugins":null}"#, "params.installedPlugins param_refused"),
            (r#"{"sessionId":"s","copilotUrl":"http://x"}"#, "params.copilotUrl param_refused"),
            (r#"{"sessionId":"s","eventsLogDirectory":"/srv/alice"}"#, "params.eventsLogDirectory param_refused"),
            (r#"{"sessionId":"s","workingDirectory":null}"#, "params.workingDirectory param_refused"),
            (r#"{"sessionId":"s","a secret":1}"#, "params.* param_refused"),
        ],
    );
    pass(
        "session.model.switchTo",
        &[r#"{"sessionId":"s","modelId":"m","pickerPersistence":null,"modelCapabilities":{"configDir":1}}"#],
    );
    refuse(
        "session.model.switchTo",
        &[
            (r#"{"sessionId":"s","modelId":"m","pickerPersistence":{}}"#, "params.pickerPersistence param_refused"),
            (r#"{"sessionId":"s","modelId":"m","repoScope":"repo"}"#, "params.repoScope param_refused"),
        ],
    );
    pass("session.mode.set", &[r#"{"sessionId":"s","mode":"plan","persistPlanSelection":false}"#]);
    refuse(
        "session.mode.set",
        &[
            (
                r#"{"sessionId":"s","mode":"plan","picker\u0053ettingsContext":{"homeDirectory":"/"}}"#,
                "params.pickerSettingsContext param_refused",
            ),
            (
                r#"{"sessionId":"s","mode":"plan","persistPlanSelection":true}"#,
                "params.persistPlanSelection param_refused",
            ),
        ],
    );
    pass(
        "session.provider.add",
        &[
            r#"{"sessionId":"s","providers":[{"name":"a","baseUrl":"https://models.example.com/v1"}],"models":[{"id":"x"}]}"#,
        ],
    );
    refuse(
        "session.provider.add",
        &[
            (
                r#"{"sessionId":"s","providers":[{"baseUrl":"http://169.254.169.254/"}]}"#,
                "params.providers[].baseUrl url_not_allowed",
            ),
            (r#"{"sessionId":"s","provider":{"baseUrl":"http://x/"}}"#, "params.provider.baseUrl url_not_allowed"),
        ],
    );
    pass("sessions.list", &["{}", "null", r#"{"source":"local","filter":{"cwd":"/etc"}}"#, r#"{"source":null}"#]);
    for source in [r#""remote""#, r#""all""#, r#""LOCAL""#, r#"["local"]"#, "1", "true"] {
        refuse("sessions.list", &[(&format!(r#"{{"source":{source}}}"#), "params.source value_not_allowed")]);
    }
}

#[test]
fn permissions_and_questions_stay_below_the_roots() {
    pass(
        "session.permissions.configure",
        &[
            r#"{"sessionId":"s","approveAllReadPermissionRequests":true,"paths":{"additionalDirectories":["/srv/alice/x"],"workspacePath":"/srv/alice","includeTempDirectory":true},"urls":{"unrestricted":false,"initialAllowed":["https://x"]}}"#,
        ],
    );
    refuse(
        "session.permissions.configure",
        &[
            (r#"{"paths":{"unrestricted":true}}"#, "params.paths.unrestricted param_refused"),
            (r#"{"urls":{"unrestricted":true}}"#, "params.urls.unrestricted param_refused"),
            (
                r#"{"paths":{"additionalDirectories":["/etc"]}}"#,
                "params.paths.additionalDirectories[] path_outside_roots",
            ),
            (r#"{"paths":{"workspacePath":"/"}}"#, "params.paths.workspacePath path_outside_roots"),
        ],
    );
    pass("session.permissions.folderTrust.isTrusted", &[r#"{"path":"/srv/alice/x"}"#]);
    refuse("session.permissions.folderTrust.isTrusted", &[(r#"{"path":"/etc"}"#, "params.path path_outside_roots")]);
    refuse(
        "session.permissions.locations.resolve",
        &[(r#"{"workingDirectory":"/etc"}"#, "params.workingDirectory path_outside_roots")],
    );
    refuse(
        "session.metadata.recordContextChange",
        &[(r#"{"context":{"cwd":"/etc"}}"#, "params.context.cwd path_outside_roots")],
    );
    pass(
        "session.gitHubAuth.setCredentials",
        &["{}", r#"{"credentials":{"type":"token","host":"https://github.com","token":"t"}}"#],
    );
    for kind in ["user", "gh-cli", "env", "hmac", "copilot-api-token", "api-key", ""] {
        let params = format!(r#"{{"credentials":{{"type":"{kind}","host":"https://github.com"}}}}"#);
        refuse("session.gitHubAuth.setCredentials", &[(&params, "params.credentials.type param_refused")]);
    }
    refuse(
        "session.gitHubAuth.setCredentials",
        &[(
            r#"{"credentials":{"type":"token","host":"https://github.com","token":"t","copilotUser":{"endpoints":{"api":"http://x"}}}}"#,
            "params.credentials.copilotUser param_refused",
        )],
    );
}

#[test]
fn approvals_last_no_longer_than_the_session() {
    let method = "session.permissions.handlePendingPermissionRequest";
    for kind in ["approve-once", "approve-for-session", "reject", "user-not-available", "approved", "denied-by-rules"] {
        pass(method, &[&format!(r#"{{"sessionId":"s","requestId":"r","result":{{"kind":"{kind}"}}}}"#)]);
    }
    for kind in [
        r#""approve-for-location""#,
        r#""approved-for-location""#,
        r#""approve-permanently""#,
        r#""approve-for-loc\u0061tion""#,
        "5",
    ] {
        refuse(method, &[(&format!(r#"{{"result":{{"kind":{kind}}}}}"#), "params.result.kind approval_lasts")]);
    }
    refuse(
        method,
        &[(r#"{"result":{"kind":"reject"},"result":{"kind":"approve-permanently"}}"#, "params.result duplicate_key")],
    );
    pass("session.permissions.modifyRules", &[r#"{"sessionId":"s","scope":"session","add":[]}"#]);
    refuse(
        "session.permissions.modifyRules",
        &[(r#"{"sessionId":"s","scope":"location"}"#, "params.scope value_not_allowed")],
    );
}

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
