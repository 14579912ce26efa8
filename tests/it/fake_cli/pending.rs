//! Client tools and permissions: asked for by an event, answered by an ordinary request of any connection.

use serde_json::Value;
use tokio::sync::oneshot;

use super::{live::Live, shapes::quote};

/// What a turn waits for.
#[derive(Debug)]
pub struct Pending {
    pub request: String,
    pub permission: bool,
    pub call: String,
    answer: oneshot::Sender<Value>,
}

impl Pending {
    pub fn new(request: &str, call: &str, permission: bool) -> (Self, oneshot::Receiver<Value>) {
        let (answer, answered) = oneshot::channel();
        (Self { request: request.into(), permission, call: call.into(), answer }, answered)
    }

    /// `external_tool.requested` or `permission.requested`, with its data.
    pub fn event(&self, session: &str, tool: &str) -> (&'static str, String) {
        let (request, call, session, tool) = (quote(&self.request), quote(&self.call), quote(session), quote(tool));
        if self.permission {
            let data = format!(
                r#"{{"requestId":{request},"permissionRequest":{{"kind":"shell","toolCallId":{call},"fullCommandText":{tool}}},"promptRequest":{{"kind":"commands","fullCommandText":{tool},"toolCallId":{call}}},"agentMode":"interactive","permissionMode":"manual"}}"#
            );
            ("permission.requested", data)
        } else {
            let data = format!(
                r#"{{"requestId":{request},"sessionId":{session},"toolCallId":{call},"toolName":{tool},"arguments":{{}},"workingDirectory":"/work"}}"#
            );
            ("external_tool.requested", data)
        }
    }
}

/// The answer to `handlePendingToolCall` and `handlePendingPermissionRequest`: one that nobody waits for is no error.
pub fn handle(live: &mut Live, params: &Value) -> String {
    let at = live.pending.iter().position(|pending| params["requestId"] == pending.request.as_str());
    if let Some(at) = at {
        let _ = live.pending.swap_remove(at).answer.send(params.clone());
    }
    format!(r#"{{"success":{}}}"#, at.is_some())
}

/// The answer to `session.permissions.pendingRequests`.
pub fn list(live: &Live) -> String {
    let item = |pending: &Pending| {
        let (request, call) = (quote(&pending.request), quote(&pending.call));
        format!(r#"{{"requestId":{request},"request":{{"kind":"commands","toolCallId":{call}}}}}"#)
    };
    let items: Vec<_> = live.pending.iter().filter(|pending| pending.permission).map(item).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

/// What the model makes of the answer to a client tool; the text of an error is not passed on.
pub fn outcome(answer: &Value) -> (bool, String) {
    match answer["result"].as_str() {
        Some(text) => (true, text.into()),
        None if answer.get("error").is_none() && answer["result"].is_object() => (true, answer["result"].to_string()),
        None => (false, "Tool execution failed".into()),
    }
}

/// What the runtime makes of a decision.
pub fn decision(answer: &Value) -> (bool, &'static str) {
    match answer["result"]["kind"].as_str().unwrap_or("") {
        "approve-once" | "approve-for-session" | "approve-for-location" | "approved" => (true, "approved"),
        "user-not-available" => (false, "denied-no-approval-rule-and-could-not-request-from-user"),
        _ => (false, "denied-interactively-by-user"),
    }
}
