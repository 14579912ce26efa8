//! The way to the store: every byte goes through here, and its answers may be made to take longer.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Pieces of answers under way on one connection.
const PIECES: usize = 1024;

/// A running relay. Dropping it lets nobody in any more.
pub struct Relay {
    pub addr: SocketAddr,
    delay: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Relay {
    /// In front of `to`.
    pub fn start(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = Self { addr: listener.local_addr()?, delay: Arc::default(), stop: Arc::default() };
        let (delay, stop) = (relay.delay.clone(), relay.stop.clone());
        thread::spawn(move || {
            for socket in listener.incoming().take_while(|_| !stop.load(Relaxed)) {
                let (Ok(client), Ok(server)) = (socket, TcpStream::connect(to)) else { continue };
                join(client, server, &delay).unwrap_or_else(|error| eprintln!("the relay failed: {error}"));
            }
        });
        Ok(relay)
    }

    /// Answers take so much longer from now on.
    pub fn delay(&self, delay: Duration) {
        self.delay.store(delay.as_millis() as u64, Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        TcpStream::connect(self.addr).ok();
    }
}

/// Each end of a connection is the end of both.
fn join(client: TcpStream, server: TcpStream, delay: &Arc<AtomicU64>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut questions, mut asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        io::copy(&mut questions, &mut asked).ok();
        asked.shutdown(Shutdown::Both).ok();
    });
    let (pieces, waiting) = sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || read(server, &pieces));
    let delay = delay.clone();
    thread::spawn(move || {
        let mut client = client;
        for (at, piece) in waiting {
            let due = at + Duration::from_millis(delay.load(Relaxed));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if client.write_all(&piece).is_err() {
                break;
            }
        }
        client.shutdown(Shutdown::Both).ok();
    });
    Ok(())
}

fn read(mut server: TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>) {
    let mut piece = [0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut piece) {
        if pieces.send((Instant::now(), piece[..length].to_vec())).is_err() {
            return;
        }
    }
}
