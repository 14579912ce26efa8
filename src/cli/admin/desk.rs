//! Requests to the admin address, and its answers.

use std::{io, path::PathBuf, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

/// From the dial to the last byte of the answer.
const EXCHANGE: Duration = Duration::from_secs(10);

/// An answer of more bytes is none of pilotfish's.
const LARGEST: usize = 64 << 20;

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// This process cannot ask anybody.
    #[error("{0}")]
    Runtime(io::Error),
    /// The config does not say where to ask.
    #[error("{}: {why}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody listens there.
    #[error("cannot reach pilotfish at {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Nobody answers in time.
    #[error("no answer from {0}")]
    Silent(String),
    /// Whoever answers speaks no HTTP.
    #[error("no answer from {address}: {why}")]
    Broken {
        /// Where.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// It answered that it does not do so.
    #[error("{0}")]
    Refused(String),
}

/// The admin address of a running pilotfish. Each request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Desk {
    address: String,
    reason: String,
}

impl Desk {
    /// At `address`; `reason` goes with everything that changes something.
    pub fn new(address: String, reason: String) -> Self {
        Self { address, reason }
    }

    /// The JSON of a page, and whether its status says that all is well.
    pub async fn look(&self, path: &str) -> Result<(bool, Value), AskError> {
        let (status, body) = self.ask(Method::GET, path).await?;
        let json = serde_json::from_slice(&body).map_err(|error| self.broken(&error))?;
        Ok((status.is_success(), json))
    }

    /// The JSON of a page.
    pub async fn get(&self, path: &str) -> Result<Value, AskError> {
        self.done(self.ask(Method::GET, path).await?)
    }

    /// Gives an order.
    pub async fn post(&self, path: &str) -> Result<Value, AskError> {
        self.done(self.ask(Method::POST, path).await?)
    }

    /// The JSON of an answer that says that it was done.
    fn done(&self, (status, body): (StatusCode, Bytes)) -> Result<Value, AskError> {
        let json = serde_json::from_slice::<Value>(&body);
        if !status.is_success() {
            let said = json.ok().and_then(|json| json["error"].as_str().map(str::to_owned));
            return Err(AskError::Refused(said.unwrap_or_else(|| format!("it answered {status}"))));
        }
        json.map_err(|error| self.broken(&error))
    }

    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let exchange = timeout(EXCHANGE, self.exchange(method, path)).await;
        exchange.map_err(|_| AskError::Silent(self.address.clone()))?
    }

    async fn exchange(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), AskError> {
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(|source| AskError::Connect { address: self.address.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("connection", "close")
            .header("x-pilotfish-reason", &self.reason)
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.broken(&error))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST).collect().await;
            Ok((status, body.map_err(|error| self.broken(&*error))?.to_bytes()))
        };
        // The connection does the work of both sides; its own end says nothing that the answer does not.
        let (answer, _) = tokio::join!(answer, connection);
        answer
    }

    fn broken(&self, why: &dyn std::error::Error) -> AskError {
        AskError::Broken { address: self.address.clone(), why: why.to_string() }
    }
}
