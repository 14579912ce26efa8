//! What a backend asks by events and waits for: permissions and client tools. The SDK answers them by requests of its own;
//! when it is gone, somebody has to.

use serde_json::json;

/// More than that wait for no client at a time.
const MOST: usize = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Permission,
    Tool,
    Elicitation,
}

/// One question that nobody has answered.
#[derive(Debug)]
struct Question {
    ask: Ask,
    id: Box<str>,
    /// The event that asked it; `None` if it flowed through.
    event: Option<Box<[u8]>>,
}

/// The questions of one session; most of the time there are none.
#[derive(Debug, Default)]
pub struct Pending(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    asked: Vec<Question>,
    /// Tools that the backend runs itself: they may be silent for as long as they like.
    running: usize,
}

impl Pending {
    /// Notes an event that asks something, or ends that.
    pub fn note(&mut self, kind: &[u8], body: &[u8], whole: bool) {
        let (ask, asks) = match kind {
            b"permission.requested" => (Ask::Permission, true),
            b"permission.completed" => (Ask::Permission, false),
            b"external_tool.requested" => (Ask::Tool, true),
            b"external_tool.completed" => (Ask::Tool, false),
            b"elicitation.requested" => (Ask::Elicitation, true),
            b"elicitation.completed" => (Ask::Elicitation, false),
            b"tool.execution_start" => {
                self.0.get_or_insert_default().running += 1;
                return;
            }
            b"tool.execution_complete" => {
                if let Some(open) = &mut self.0 {
                    open.running = open.running.saturating_sub(1);
                }
                return;
            }
            b"session.idle" => {
                self.0 = None;
                return;
            }
            _ => return,
        };
        let Some(id) = request_id(body) else { return };
        let open = self.0.get_or_insert_default();
        open.asked.retain(|question| *question.id != *id);
        if asks && open.asked.len() < MOST {
            open.asked.push(Question { ask, id: id.into(), event: whole.then(|| body.into()) });
        }
    }

    /// Whether nothing waits for an answer.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|open| open.asked.is_empty())
    }

    /// Nothing waits for an answer, and no tool runs.
    pub fn is_idle(&self) -> bool {
        self.is_empty() && self.0.as_ref().is_none_or(|open| open.running == 0)
    }

    /// The events that asked.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
        let asked = self.0.iter().flat_map(|open| &open.asked);
        asked.filter_map(|question| question.event.as_deref())
    }

    /// The method and params that refuse each, because the client is gone. Kinds and shapes were measured on 1.0.102: a tool's
    /// `error` does not reach the model, its `result` does; a permission that is rejected without a word ends the turn.
    pub fn refusals(&mut self, session: &str) -> Vec<(&'static str, String)> {
        let refuse = |Question { ask, id, .. }: Question| match ask {
            Ask::Permission => (
                "session.permissions.handlePendingPermissionRequest",
                json!({"sessionId": session, "requestId": id, "result": {"kind": "user-not-available"}}).to_string(),
            ),
            Ask::Tool => (
                "session.tools.handlePendingToolCall",
                json!({"sessionId": session, "requestId": id, "result": "The client that runs this tool is gone."})
                    .to_string(),
            ),
            Ask::Elicitation => (
                "session.ui.handlePendingElicitation",
                json!({"sessionId": session, "requestId": id, "result": {"action": "cancel"}}).to_string(),
            ),
        };
        self.0.iter_mut().flat_map(|open| open.asked.drain(..)).map(refuse).collect()
    }
}

/// The first member of that name: in these events it stands before anything that a model or client writes.
fn request_id(body: &[u8]) -> Option<&str> {
    const KEY: &[u8] = br#""requestId":""#;
    let start = memchr::memmem::find(body, KEY)? + KEY.len();
    let end = start + memchr::memchr(b'"', body.get(start..)?)?;
    let id = std::str::from_utf8(&body[start..end]).ok()?;
    (id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
        .then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_waits_no_longer() {
        let mut pending = Pending::default();
        pending.note(b"permission.requested", br#"{"data":{"requestId":"p-1","x":1}}"#, true);
        pending.note(b"external_tool.requested", br#"{"data":{"requestId":"t-1""#, false);
        pending.note(b"external_tool.requested", br#"{"data":{"requestId":"t\"2"}}"#, true);
        pending.note(b"assistant.message", br#"{"requestId":"m"}"#, true);
        assert_eq!(pending.events().count(), 1);
        pending.note(b"permission.completed", br#"{"data":{"requestId":"p-1"}}"#, true);
        let refusals = pending.refusals("s");
        assert_eq!(refusals.len(), 1);
        assert_eq!(refusals[0].0, "session.tools.handlePendingToolCall");
        assert!(pending.is_empty());
    }
}
