//! Methods that change a session.

use super::*;

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
