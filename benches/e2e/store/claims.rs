//! Somebody who goes on making sessions while the store is away: what is refused, and when it works again.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::client;

/// The client's number.
const WHO: usize = 2;
/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(40);
/// What a refusal says.
const UNAVAILABLE: &str = "-32016";

/// One try.
#[derive(Clone, Copy)]
pub struct Claim {
    pub began: Instant,
    pub ms: f64,
    pub made: bool,
}

/// A thread that tries. Dropping it ends it.
pub struct Claims {
    tries: Arc<Mutex<Vec<Claim>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Claims {
    /// Begins; `name` tells the sessions of several runs apart.
    pub fn start(addr: SocketAddr, name: &str) -> io::Result<Self> {
        let mut socket = client::open(addr, &[format!("{}-{name}", client::tenant(WHO))])?;
        let (tries, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicBool::new(false)));
        let (all, stops, name) = (tries.clone(), stop.clone(), name.to_owned());
        let thread = thread::spawn(move || {
            for number in 2.. {
                if stops.load(Relaxed) {
                    break;
                }
                let began = Instant::now();
                let session = format!("{}-{name}-{number}", client::tenant(WHO));
                let params = format!(r#"{{"sessionId":"{session}","model":"mock"}}"#);
                let made = match client::ask(&mut socket, number, "session.create", &params) {
                    Ok(()) => true,
                    Err(error) if error.to_string().contains(UNAVAILABLE) => false,
                    Err(error) => return Err(error),
                };
                if let Ok(mut all) = all.lock() {
                    all.push(Claim { began, ms: began.elapsed().as_secs_f64() * 1e3, made });
                }
                thread::sleep(PAUSE);
            }
            Ok(())
        });
        Ok(Self { tries, stop, thread: Some(thread) })
    }

    /// All tries that began since then.
    pub fn since(&self, then: Instant) -> Vec<Claim> {
        let all = self.tries.lock().map(|tries| tries.clone()).unwrap_or_default();
        all.into_iter().filter(|claim| claim.began >= then).collect()
    }

    /// Ends it.
    pub fn stop(mut self) -> io::Result<()> {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(io::Error::other("the claims' thread panicked")))
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}
