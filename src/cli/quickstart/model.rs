//! The demo model on a thread and runtime of its own: it has to answer before the proxy's runtime is there.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;

use super::QuickstartError;
use crate::cli::demo_model::DemoModel;

/// A demo model that answers until it is stopped.
#[derive(Debug)]
pub(super) struct ModelThread {
    address: SocketAddr,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl ModelThread {
    /// Binds a free port of loopback and starts to answer.
    pub(super) fn start() -> Result<Self, QuickstartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let model = runtime.block_on(DemoModel::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        let (address, stop) = (model.local_addr(), CancellationToken::new());
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("demo-model".to_owned())
            .spawn(move || runtime.block_on(model.serve(stopped)))?;
        Ok(Self { address, stop, thread })
    }

    /// The base URL for an OpenAI provider.
    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Ends it and waits for its end.
    pub(super) fn stop(self) {
        self.stop.cancel();
        // A panic of the stub has been printed already, and it changes nothing about the exit code.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn answers_until_it_is_stopped() {
        let model = ModelThread::start().unwrap();
        let address = model.address;
        assert_eq!(model.url(), format!("http://{address}/v1"));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("demo"), "{answer}");
        model.stop();
        assert!(TcpStream::connect(address).is_err());
    }
}
