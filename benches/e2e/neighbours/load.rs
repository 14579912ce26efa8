//! The thread that makes the load.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Kind,
    churn::Churn,
    sender::{Sender, What},
};
use crate::{machine::step_back, poll::Poll, split::SCRATCH};

/// Keys from here on belong to connections that come and go.
const CHURN: u64 = 1_000;

/// A running load. Dropping it ends it.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<io::Result<Outcome>>>,
}

/// What it did.
pub struct Outcome {
    /// In units of the case.
    pub sent: u64,
    /// Connections that were let in at a time, at most.
    pub let_in: u64,
}

impl Load {
    /// Opens what sends and lets it loose.
    pub fn start(kind: Kind, addr: SocketAddr) -> io::Result<Self> {
        let senders = senders(kind, addr)?;
        let churn = match kind {
            Kind::Flood(flood) if flood.churn == 0 => None,
            Kind::Flood(flood) => Some(Churn::of_tenant(addr, flood.churn)),
            Kind::Guess(calls) => Some(Churn::guesses(addr, calls)),
        };
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut work = Work { senders, churn, stop: stop.clone(), sent: sent.clone() };
        let thread = thread::spawn(move || {
            step_back()?;
            work.run()
        });
        Ok(Self { stop, sent, thread: Some(thread) })
    }

    /// What was sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// It has failed; [`Self::stop`] says why.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it: all its connections are reset.
    pub fn stop(mut self) -> io::Result<Outcome> {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(io::Error::other("the load's thread panicked")))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn senders(kind: Kind, addr: SocketAddr) -> io::Result<Vec<Sender>> {
    let Kind::Flood(flood) = kind else { return Ok(Vec::new()) };
    let kinds = [(What::Frames, flood.frames), (What::Creates, flood.creates), (What::Bytes, flood.bytes)];
    let mixed = kinds.iter().filter(|(_, count)| *count > 0).count() > 1;
    let all = kinds.into_iter().flat_map(|(what, count)| std::iter::repeat_n(what, count));
    all.enumerate().map(|(number, what)| Sender::open(addr, number, what, mixed)).collect()
}

struct Work {
    senders: Vec<Sender>,
    churn: Option<Churn>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Work {
    fn run(&mut self) -> io::Result<Outcome> {
        let mut poll = Poll::new()?;
        for (key, sender) in self.senders.iter().enumerate() {
            sender.watch(&poll, key as u64)?;
        }
        if let Some(churn) = &mut self.churn {
            churn.open(&poll, CHURN)?;
        }
        let (mut scratch, mut ready) = (vec![0; SCRATCH], Vec::new());
        while !self.stop.load(Relaxed) {
            poll.wait(Duration::from_millis(20), &mut ready)?;
            for event in &ready {
                if let Some(sender) = self.senders.get_mut(event.key as usize) {
                    sender.step(&mut scratch)?;
                } else if let Some(churn) = &mut self.churn {
                    churn.step((event.key - CHURN) as usize, *event, &poll, &mut scratch)?;
                }
            }
            self.sent.store(self.count(), Relaxed);
        }
        let let_in = self.senders.len() as u64 + self.churn.as_ref().map_or(0, |churn| churn.most);
        Ok(Outcome { sent: self.count(), let_in })
    }

    /// Senders and their bytes come first; connections count only where they are all there is.
    fn count(&self) -> u64 {
        match &self.churn {
            Some(churn) if self.senders.is_empty() => churn.sent,
            _ => self.senders.iter().map(Sender::sent).sum::<f64>() as u64,
        }
    }
}
