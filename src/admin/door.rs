//! The admin listener's sockets: few, with small requests, and none that lingers.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::warn;

/// Connections at the same time; further ones wait in the kernel's queue.
const MOST: usize = 64;

/// From the first byte of a request to the last one of its answer.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Between two requests. Longer than the usual scrape interval, so that a scraper keeps its connection.
const BETWEEN: Duration = Duration::from_secs(75);

/// Bytes of one request, with its headers.
const REQUEST: usize = 16 << 10;

/// Accepts at most [`MOST`] at a time.
pub struct Door {
    /// Dropped when it retires: the port is another process's then.
    listener: Option<TcpListener>,
    address: SocketAddr,
    retire: CancellationToken,
    seats: Arc<Semaphore>,
    cut: CancellationToken,
}

impl Door {
    /// Over a bound socket; `cut` ends every connection at once, `retire` only keeps further ones away.
    pub fn new(listener: TcpListener, retire: CancellationToken, cut: CancellationToken) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener: Some(listener), address, retire, seats: Arc::new(Semaphore::new(MOST)), cut })
    }

    /// The next connection; `None` once it has retired.
    async fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        let listener = self.listener.as_ref()?;
        tokio::select! {
            biased;
            () = self.retire.cancelled() => {}
            accepted = listener.accept() => return Some(accepted),
        }
        self.listener = None;
        None
    }
}

impl axum::serve::Listener for Door {
    type Addr = SocketAddr;
    type Io = Visitor;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        loop {
            let Ok(seat) = self.seats.clone().acquire_owned().await else {
                // Nobody closes the semaphore; waiting is the harmless thing to do if somebody did.
                std::future::pending().await
            };
            match self.next().await {
                None => std::future::pending().await,
                Some(Ok((stream, peer))) => return (Visitor::new(stream, seat, &self.cut), peer),
                Some(Err(failure)) => {
                    warn!(reason = %failure, "admin listener cannot accept");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection that fails when its request is too long, or when it is not through in time.
pub struct Visitor {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Bytes read since the last answer.
    asked: usize,
    _seat: OwnedSemaphorePermit,
}

impl Visitor {
    fn new(stream: TcpStream, seat: OwnedSemaphorePermit, cut: &CancellationToken) -> Self {
        // The first request has to come at once: a connection without one is no scraper.
        let deadline = Box::pin(sleep(EXCHANGE));
        Self { stream, deadline, cut: Box::pin(cut.clone().cancelled_owned()), asked: 0, _seat: seat }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.deadline.as_mut().poll(cx).is_ready() || self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn wait_for(&mut self, limit: Duration) {
        self.deadline.as_mut().reset(Instant::now() + limit);
    }
}

impl AsyncRead for Visitor {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_limits(cx)?;
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if self.asked == 0 && read > 0 {
            self.wait_for(EXCHANGE);
        }
        self.asked += read;
        if self.asked > REQUEST {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_limits(cx)?;
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.asked = 0;
        self.wait_for(BETWEEN);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
