//! What a client is told that cannot be carried. An SDK sees no TLS, and some never reject a call when their connection ends: so
//! its first request is answered with an error that says what is wrong, and the connection ends after that.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    backend::Socket,
    wire::{
        Reason, Scan,
        frame::{append_frame, read_head},
        reply,
    },
};

/// A client that has not said anything by then is not waited for.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// How long it may take to read the answer and go.
const LAST_READ: Duration = Duration::from_secs(2);

/// A first request is far smaller.
const LONGEST: usize = 256 << 10;

/// Answers the client's first request with `why` and closes its connection. `received`: what it has sent so far.
pub(super) async fn tell(client: &mut Socket, received: Vec<u8>, why: &str) {
    let Ok(Some(body)) = timeout(FIRST_REQUEST, first_request(client, received)).await else { return };
    let Some(id) = Scan::read(&body).ok().and_then(|scan| scan.request_id(&body)) else { return };
    let message = format!("pilotfish tunnel: {why}");
    let mut answer = Vec::new();
    append_frame(&mut answer, &reply::error_with(Some(&id), Reason::NoBackend, &message, json!({ "by": "tunnel" })));
    if client.write_all(&answer).await.is_ok() && client.shutdown().await.is_ok() {
        // Closing while something of it is unread would reset the connection, and the answer with it.
        let _ = timeout(LAST_READ, tokio::io::copy(client, &mut tokio::io::sink())).await;
    }
}

async fn first_request(client: &mut Socket, mut received: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(head) = read_head(&received, LONGEST).ok()?
            && let Some(body) = received.get(head.head_len..head.frame_len())
        {
            return Some(body.to_vec());
        }
        if received.len() > LONGEST || client.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
    }
}
