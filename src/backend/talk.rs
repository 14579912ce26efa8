//! A connection of our own to a backend: dialled, greeted, then asked one thing after the other.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time,
};

use super::{Dialer, Finding, Socket};
use crate::{
    model::Secret,
    pool::{Identity, Member},
    wire::frame::{append_frame, read_backend_head},
};

/// Answers have a few hundred bytes, but the backend also tells every connection of every session's life; a frame beyond this
/// is not for us.
pub(super) const MAX_BODY: usize = 1 << 20;

/// What is read at once: of a list it is looked at in a tenth of a millisecond.
pub(super) const PIECE: usize = 16 << 10;

const METHOD_NOT_FOUND: i64 = -32601;
const AUTHENTICATION: [i64; 2] = [-32001, -32002];

/// One connection to one backend.
#[derive(Debug)]
pub(super) struct Talk {
    stream: Socket,
    pub(super) received: Vec<u8>,
    /// Our ids have a prefix of our own, as everything that we originate.
    prefix: &'static str,
    asked: u64,
}

/// An error answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Failure {
    pub code: i64,
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Greeting {
    ok: Option<bool>,
    version: Option<String>,
    #[serde(rename = "protocolVersion")]
    protocol_version: Option<u32>,
}

impl Talk {
    /// Connects to `member` within `timeout`.
    pub(super) async fn dial(
        dialer: &Dialer,
        member: &Member,
        timeout: Duration,
        prefix: &'static str,
    ) -> Result<Self, Finding> {
        if member.address().is_none() {
            return Err(Finding::NoAddress);
        }
        let stream = time::timeout(timeout, dialer.dial(member, member.incarnation()))
            .await
            .map_err(|_| Finding::ConnectTimeout)??;
        Ok(Self { stream, received: Vec::new(), prefix, asked: 0 })
    }

    /// Says who we are and hears who it is. Servers from before `connect` tell it in the answer to `ping`.
    pub(super) async fn greet(&mut self, token: Option<&Secret>) -> Result<Identity, Finding> {
        let params = token.map_or_else(|| json!({}), |token| json!({ "token": token.expose() }));
        let greeting = match self.ask("connect", &params).await? {
            Err(Failure { code: METHOD_NOT_FOUND, .. }) => self.ask("ping", &json!({})).await?,
            answer => answer,
        };
        let greeting = greeting.map_err(|failure| meaning(failure.code))?;
        let greeting: Greeting = serde_json::from_str(greeting.get()).map_err(|_| Finding::Malformed)?;
        if greeting.ok == Some(false) {
            return Err(Finding::AuthFailed);
        }
        let protocol_version = greeting.protocol_version.ok_or(Finding::Protocol)?;
        Ok(Identity { version: greeting.version, protocol_version })
    }

    /// One request and its answer: the result, or the error.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        params: &serde_json::Value,
    ) -> Result<Result<Box<RawValue>, Failure>, Finding> {
        let id = self.say(method, params).await?;
        loop {
            let body = self.body().await?;
            if let Some(answer) = answer_to(&id, &body) {
                return answer;
            }
        }
    }

    /// Sends a request; gives back its id.
    pub(super) async fn say(&mut self, method: &str, params: &serde_json::Value) -> Result<String, Finding> {
        self.asked += 1;
        let id = format!("{}{}", self.prefix, self.asked);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let mut frame = Vec::new();
        append_frame(&mut frame, body.as_bytes());
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        Ok(id)
    }

    /// The next frame's body. What was read of an unfinished frame is kept in `received`, so this may be cancelled.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, Finding> {
        loop {
            if let Some(body) = take_frame(&mut self.received)? {
                return Ok(body);
            }
            self.read().await?;
        }
    }

    /// Reads what there is.
    pub(super) async fn read(&mut self) -> Result<(), Finding> {
        self.received.reserve(PIECE);
        if (&mut self.stream).take(PIECE as u64).read_buf(&mut self.received).await? == 0 {
            return Err(Finding::Closed);
        }
        Ok(())
    }
}

/// What an error answer means for a backend's health.
pub(super) fn meaning(code: i64) -> Finding {
    if AUTHENTICATION.contains(&code) { Finding::AuthFailed } else { Finding::Malformed }
}

/// The answer to `id`, if this frame is it. Others are skipped, also those that do not parse: an event may carry a lone
/// surrogate, and its contents are no business of ours.
pub(super) fn answer_to(id: &str, body: &[u8]) -> Option<Result<Result<Box<RawValue>, Failure>, Finding>> {
    let message: Message = serde_json::from_slice(body).ok()?;
    let theirs: &str = serde_json::from_str(message.id?.get()).ok()?;
    if theirs != id || message.method.is_some() {
        return None;
    }
    if let Some(failure) = message.error {
        return Some(Ok(Err(failure)));
    }
    Some(message.result.map(|result| Ok(result.to_owned())).ok_or(Finding::Malformed))
}

/// Takes one frame's body out of `received`, if the whole of it is there.
fn take_frame(received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Finding> {
    let head = read_backend_head(received, MAX_BODY).map_err(|_| Finding::Malformed)?;
    let Some(head) = head.filter(|head| received.len() >= head.frame_len()) else { return Ok(None) };
    let body = received[head.head_len..head.frame_len()].to_vec();
    received.drain(..head.frame_len());
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &str) -> Vec<u8> {
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn takes_frames_split_anywhere() {
        let both = [frame("{}"), frame("[1,2]")].concat();
        for split in 0..both.len() {
            let (mut received, mut bodies) = (both[..split].to_vec(), Vec::new());
            while let Some(body) = take_frame(&mut received).unwrap() {
                bodies.push(body);
            }
            received.extend_from_slice(&both[split..]);
            while let Some(body) = take_frame(&mut received).unwrap() {
                bodies.push(body);
            }
            assert_eq!(bodies, [b"{}".to_vec(), b"[1,2]".to_vec()], "split at {split}");
        }
    }

    #[test]
    fn takes_any_case_and_ignores_other_headers() {
        let mut received = b"X-A: b\r\ncontent-length:2\r\nContent-Type: x\r\n\r\n{}".to_vec();
        assert_eq!(take_frame(&mut received), Ok(Some(b"{}".to_vec())));
        assert!(received.is_empty());
    }

    #[test]
    fn refuses_what_is_no_frame() {
        for bad in
            ["\r\n\r\n", "Content-Length: x\r\n\r\n", "Content-Length: -1\r\n\r\n", "Content-Length: 1048577\r\n\r\n"]
        {
            assert_eq!(take_frame(&mut bad.as_bytes().to_vec()), Err(Finding::Malformed), "{bad:?}");
        }
        assert_eq!(take_frame(&mut vec![b'a'; 2048]), Err(Finding::Malformed));
        assert_eq!(take_frame(&mut b"HTTP/1.1 400 Bad Request\r\n".to_vec()), Err(Finding::Malformed));
    }

    #[test]
    fn only_the_answer_is_the_answer() {
        let is = |body: &str| answer_to("pilotfish-probe-1", body.as_bytes()).is_some();
        assert!(is(r#"{"jsonrpc":"2.0","id":"pilotfish-probe-1","result":{}}"#));
        assert!(is(r#"{"jsonrpc":"2.0","id":"pilotfish-probe-1","result":7}"#));
        for other in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","method":"session.lifecycle","params":{"t":"\ud800"}}"#,
            r#"{"jsonrpc":"2.0","id":"pilotfish-probe-1","method":"hooks.invoke"}"#,
            "garbage",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
