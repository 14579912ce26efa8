//! One connection: frames in, whatever the outbox says out.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{
    methods,
    outbox::{Close, Out, Outbox},
    reader::{Next, Reader},
    record::Frame,
    server::Inner,
    shapes,
};

#[derive(Debug)]
pub struct Conn {
    pub id: usize,
    pub out: Outbox,
    pub connected: AtomicBool,
    requests: AtomicU64,
}

impl Conn {
    pub fn new(id: usize) -> Self {
        Self { id, out: Outbox::default(), connected: AtomicBool::new(false), requests: AtomicU64::new(0) }
    }

    /// Ids of the server's requests: 1, 2, 3 ... for each connection, as the real one.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Runs a connection until either side ends it.
pub async fn serve(inner: Arc<Inner>, conn: Arc<Conn>, mut stream: TcpStream, process: CancellationToken) {
    stream.set_nodelay(true).ok();
    let (from, to) = stream.split();
    let life = async {
        tokio::select! {
            end = write(&inner, &conn, to) => end,
            never = read(&inner, &conn, from) => never,
        }
    };
    let end = tokio::select! {
        () = process.cancelled() => inner.ending(),
        end = while_thawed(inner.frozen.subscribe(), life) => end,
    };
    if end == Close::Rst {
        // Zero linger makes the kernel send RST when the socket is dropped.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
    }
    drop(stream);
    inner.state().gone(conn.id);
    inner.changed.send_replace(());
}

/// Polls `future` only while the process is not frozen.
pub async fn while_thawed<F: Future>(mut frozen: watch::Receiver<bool>, future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        // The sender lives in `Inner`, which outlives this: an error cannot happen and would only stop the wait.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        tokio::select! {
            biased;
            _ = frozen.wait_for(|frozen| *frozen) => {}
            output = &mut future => return output,
        }
    }
}

async fn read<R: AsyncRead + Unpin>(inner: &Arc<Inner>, conn: &Arc<Conn>, from: R) -> Close {
    let mut reader = Reader::new(from);
    loop {
        match reader.next().await {
            Next::Body(body) => methods::receive(inner, conn, Frame::new(conn.id, body)),
            Next::Bad(why) => {
                conn.out.push(Out::Bytes(shapes::failure("null", -32700, why)));
                break;
            }
            Next::End => break,
        }
    }
    // The writer finishes what is queued and then ends the connection.
    conn.out.push(Out::End(Close::Fin));
    pending().await
}

async fn write<W: AsyncWrite + Unpin>(inner: &Inner, conn: &Conn, mut to: W) -> Close {
    loop {
        let bytes = match conn.out.next().await {
            Out::Bytes(bytes) => bytes,
            Out::End(Close::Rst) => return Close::Rst,
            Out::End(Close::Fin) => {
                to.shutdown().await.ok();
                return Close::Fin;
            }
        };
        let allowed = inner.spend(bytes.len());
        if to.write_all(&bytes[..allowed]).await.is_err() {
            return Close::Fin;
        }
        if inner.is_spent() {
            inner.die(Close::Fin);
            return Close::Fin;
        }
    }
}
