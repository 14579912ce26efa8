//! Accepts connections and answers their requests.

use std::io;
use std::net::SocketAddr;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{self, Request};
use super::{reply, script};

/// The opening and the first word come without delay: whoever waits for a turn to be running need not wait for its end.
const PIECES_AT_ONCE: usize = 2;

/// The demo model's address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("the demo model cannot listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// A bound demo model that does not answer yet.
#[derive(Debug)]
pub struct DemoModel {
    listener: TcpListener,
    address: SocketAddr,
}

impl DemoModel {
    /// Binds `address`; port 0 takes a free one. Give it a loopback address: whoever can reach it may use it.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|source| BindError { address, source })
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is cancelled; then its connections are dropped and it returns.
    pub async fn serve(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            // A failed accept (a client that left at once, no descriptor free) concerns that client only.
            let Ok((stream, _)) = accepted else {
                tokio::task::yield_now().await;
                continue;
            };
            let stop = stop.clone();
            connections.spawn(async move { stop.run_until_cancelled(converse(stream)).await });
        }
        connections.close();
        connections.wait().await;
    }
}

/// Answers one connection's requests one after the other; any I/O error just ends it, as when the caller hangs up.
async fn converse(stream: TcpStream) {
    // A chunk for each word is the point of streaming, so none of them may wait for the one before.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = http::read_request(&mut stream).await {
        if answer(&mut stream, &request).await.is_err() || !request.keep_alive {
            break;
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, request: &Request) -> io::Result<()> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/models") => http::write_json(stream, 200, &reply::models()).await,
        ("POST", "/v1/chat/completions") => complete(stream, &request.body).await,
        _ => http::write_json(stream, 404, &reply::error("this demo model has no such path")).await,
    }
}

async fn complete(stream: &mut BufReader<TcpStream>, body: &[u8]) -> io::Result<()> {
    let call: script::Call = match serde_json::from_slice(body) {
        Ok(call) => call,
        Err(_) => return http::write_json(stream, 400, &reply::error("the body is not a chat completion call")).await,
    };
    let plan = script::plan(&call.messages);
    if call.stream {
        return stream_plan(stream, &call, &plan).await;
    }
    tokio::time::sleep(plan.delay).await;
    http::write_json(stream, 200, &reply::whole(&call, &plan)).await
}

async fn stream_plan(stream: &mut BufReader<TcpStream>, call: &script::Call, plan: &script::Plan) -> io::Result<()> {
    http::start_events(stream).await?;
    let pieces = reply::pieces(call, plan);
    let paused = pieces.len().saturating_sub(PIECES_AT_ONCE);
    let pause = plan.delay / u32::try_from(paused).unwrap_or(u32::MAX).max(1);
    for (at, piece) in pieces.iter().enumerate() {
        if at >= PIECES_AT_ONCE && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        http::write_event(stream, piece).await?;
    }
    http::write_event(stream, "[DONE]").await?;
    http::end_events(stream).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn exchange(request: &str) -> String {
        let model = DemoModel::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = model.local_addr();
        let stop = CancellationToken::new();
        let served = tokio::spawn(model.serve(stop.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        stop.cancel();
        served.await.unwrap();
        answer
    }

    fn post(body: &str) -> String {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn answers_whole() {
        let answer = exchange(&post(r#"{"model":"m","messages":[{"role":"user","content":"hello there"}]}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(r#""content":"You said: hello there""#), "{answer}");
    }

    #[tokio::test]
    async fn streams_word_by_word() {
        let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"one two"}]}"#;
        let answer = exchange(&post(body)).await;
        let words: Vec<&str> = ["You ", "said: ", "one ", "two"]
            .into_iter()
            .filter(|word| answer.contains(&format!("{{\"content\":\"{word}\"}}")))
            .collect();
        assert_eq!(words.len(), 4, "{answer}");
        assert!(answer.contains("data: [DONE]"), "{answer}");
        assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn refuses_what_it_does_not_know() {
        assert!(exchange(&post("{")).await.starts_with("HTTP/1.1 400 "));
        assert!(exchange("GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        assert!(exchange("GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n").await.contains(r#""id":"demo""#));
    }

    #[tokio::test]
    async fn stop_drops_a_call_under_way() {
        let model = DemoModel::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = model.local_addr();
        let stop = CancellationToken::new();
        let served = tokio::spawn(model.serve(stop.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let body = r#"{"stream":true,"messages":[{"role":"user","content":"[[delay:600000]] x"}]}"#;
        client.write_all(post(body).as_bytes()).await.unwrap();
        let mut head = [0; 12];
        client.read_exact(&mut head).await.unwrap();
        stop.cancel();
        served.await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
}
