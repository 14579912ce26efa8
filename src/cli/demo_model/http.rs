//! The little of HTTP/1.1 that the model needs: requests with a `Content-Length`, answers whole or as an event stream.
//!
//! By hand because a streaming body would need another dependency, for a stub that only ever talks to the CLI on loopback.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of request line and headers together.
const MAX_HEAD: u64 = 64 * 1024;
/// Bytes of a request body: a long conversation with attachments is some megabytes.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// One request, read whole.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
}

/// Reads the next request; `None` when the caller closed between two of them.
pub(super) async fn read_request<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<Request>> {
    let mut head = (&mut *stream).take(MAX_HEAD);
    let mut line = String::new();
    if head.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid("no request line"));
    };
    let path = target.split('?').next().unwrap_or(target);
    let mut request = Request { method: method.to_owned(), path: path.to_owned(), body: Vec::new(), keep_alive: true };
    let length = read_headers(&mut head, &mut request).await?;
    if length > MAX_BODY {
        return Err(invalid("the body is too large"));
    }
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

/// Reads up to the empty line and returns the announced length of the body in bytes.
async fn read_headers<S: AsyncBufRead + Unpin>(head: &mut S, request: &mut Request) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 {
            return Err(invalid("the headers do not end"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(length);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header without a colon"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(|_| invalid("a bad Content-Length"))?,
            "transfer-encoding" => return Err(invalid("chunked requests are not understood")),
            "connection" => request.keep_alive = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
}

/// Answers with a JSON body.
pub(super) async fn write_json<S: AsyncWrite + Unpin>(stream: &mut S, status: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        reason(status),
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.flush().await
}

/// Begins an event stream; `write_event` and `end_events` follow.
pub(super) async fn start_events<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

/// Sends one event; `data` holds no line end.
pub(super) async fn write_event<S: AsyncWrite + Unpin>(stream: &mut S, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    stream.flush().await
}

/// Ends an event stream; the connection may serve another request.
pub(super) async fn end_events<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n").await?;
    stream.flush().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        _ => "Error",
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> io::Result<Option<Request>> {
        read_request(&mut bytes).await
    }

    #[tokio::test]
    async fn reads_a_request_with_its_body() {
        let text = b"POST /v1/x?y=1 HTTP/1.1\r\ncontent-length: 3\r\nConnection: Close\r\n\r\nabcrest";
        let request = read(text).await.unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/x"));
        assert_eq!(request.body, b"abc");
        assert!(!request.keep_alive);
    }

    #[tokio::test]
    async fn tells_an_end_from_a_broken_request() {
        assert!(read(b"").await.unwrap().is_none());
        for bad in [
            &b"GET\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(read(bad).await.is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
