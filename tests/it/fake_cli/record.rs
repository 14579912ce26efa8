//! Everything that arrived, for the assertions.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

/// One frame from a client, exactly as it came.
#[derive(Clone)]
pub struct Frame {
    /// Which connection of this fake, from 1.
    pub conn: usize,
    /// The body byte for byte.
    pub body: Bytes,
    /// The body read as JSON, `Null` if it is none.
    pub value: Value,
}

impl Frame {
    pub(super) fn new(conn: usize, body: Bytes) -> Self {
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { conn, body, value }
    }

    /// The method, empty for an answer.
    pub fn method(&self) -> &str {
        self.value["method"].as_str().unwrap_or("")
    }

    /// `params.sessionId`, empty if there is none.
    pub fn session(&self) -> &str {
        self.value["params"]["sessionId"].as_str().unwrap_or("")
    }

    /// The id's JSON text; `None` for a notification.
    pub fn id(&self) -> Option<String> {
        self.value.get("id").map(Value::to_string)
    }

    /// The params, `Null` if there are none.
    pub fn params(&self) -> &Value {
        &self.value["params"]
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = String::from_utf8_lossy(&self.body[..self.body.len().min(160)]).into_owned();
        write!(f, "#{} {head}", self.conn)
    }
}
