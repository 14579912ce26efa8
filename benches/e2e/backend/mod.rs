//! The fake backends: four listeners, one thread, answers as fast as a single core can give them.

mod answer;
mod conn;
mod list;
mod tally;

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{machine::step_back, poll::Poll, split::SCRATCH};
use conn::Conn;
use tally::Tally;

pub use list::entries;
pub use tally::Counts;

/// Listeners behind every proxy.
pub const COUNT: usize = 4;

/// The running backends; dropping them stops their thread.
pub struct Backends {
    /// Where they listen.
    pub addrs: Vec<SocketAddr>,
    /// What reached them for one tenant.
    pub tally: Arc<Tally>,
    flooding: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backends {
    /// Starts them on free ports of loopback.
    pub fn start() -> io::Result<Self> {
        Self::start_listing(None)
    }

    /// The same; they list these sessions, and their thread runs when no other wants to: such a list is long.
    pub fn start_listing(sessions: Option<Vec<u8>>) -> io::Result<Self> {
        let listeners: Vec<_> = (0..COUNT).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let addrs = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let (flooding, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (floods, stops) = (flooding.clone(), stop.clone());
        let tally = Arc::<Tally>::default();
        let tallied = tally.clone();
        let thread = thread::spawn(move || {
            if let Some(sessions) = sessions {
                list::keep(Rc::new(sessions));
                step_back().unwrap_or_else(|error| eprintln!("the list is made beside the calls: {error}"));
            }
            if let Err(error) = serve(&listeners, &tallied, &floods, &stops) {
                eprintln!("the fake backend failed: {error}");
            }
        });
        Ok(Self { addrs, tally, flooding, stop, thread: Some(thread) })
    }

    /// Lets the streams that clients have ordered flow, or ends them at a frame's end.
    pub fn flood(&self, on: bool) {
        self.flooding.store(on, Ordering::Relaxed);
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(listeners: &[TcpListener], tally: &Arc<Tally>, flooding: &AtomicBool, stop: &AtomicBool) -> io::Result<()> {
    let mut poll = Poll::new()?;
    for (key, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        poll.add(listener, key as u64)?;
    }
    let mut conns: HashMap<u64, Conn> = HashMap::new();
    let mut next = listeners.len() as u64;
    let mut scratch = vec![0; SCRATCH];
    let mut ready = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        poll.wait(Duration::from_millis(50), &mut ready)?;
        for event in &ready {
            if let Some(listener) = listeners.get(event.key as usize) {
                while let Ok((socket, _)) = listener.accept() {
                    poll.add(&socket, next)?;
                    conns.insert(next, Conn::new(socket, next, tally.clone())?);
                    next += 1;
                }
            } else if let Some(conn) = conns.get_mut(&event.key)
                && conn.drive(*event, &poll, &mut scratch, flooding).is_err()
            {
                conns.remove(&event.key); // Closing a socket takes it out of the epoll.
            }
        }
    }
    Ok(())
}
