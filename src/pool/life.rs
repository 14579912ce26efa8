//! The life of the process behind a member: since when it serves, how many sessions it has served, how fast it answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::health::{Paces, Tempo};

/// The life of a process, as far as its health checks tell. A new one begins with the first good check after the address was
/// set anew or was found closed: whoever listened there before has ended.
#[derive(Debug, Default)]
pub struct Life {
    served: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    began: Option<Instant>,
    incarnation: u64,
    tempo: Tempo,
}

/// What is known of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lived {
    /// When it was first seen well.
    pub began: Instant,
    /// Sessions that it has been given since.
    pub sessions: u64,
    /// How fast it answers.
    pub paces: Option<Paces>,
}

impl Life {
    /// A check of this incarnation was good.
    pub fn checked(&self, incarnation: u64, took: Duration, now: Instant) {
        let mut told = self.told.lock();
        if told.began.is_none() || told.incarnation != incarnation {
            *told = Told { began: Some(now), incarnation, tempo: Tempo::default() };
            self.served.store(0, Ordering::Relaxed);
        }
        told.tempo.add(took);
    }

    /// The process is no more.
    pub fn end(&self) {
        self.told.lock().began = None;
    }

    /// What is known; `None` while nothing lives.
    pub fn lived(&self) -> Option<Lived> {
        let told = self.told.lock();
        let sessions = self.served.load(Ordering::Relaxed);
        told.began.map(|began| Lived { began, sessions, paces: told.tempo.paces() })
    }

    /// It is given a session.
    pub(super) fn serve(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_begins_with_the_first_good_check_and_ends_with_its_process() {
        let (life, start, took) = (Life::default(), Instant::now(), Duration::from_millis(1));
        let second = Duration::from_secs(1);
        life.serve();
        assert_eq!(life.lived(), None);
        life.checked(1, took, start);
        assert_eq!(life.lived(), Some(Lived { began: start, sessions: 0, paces: None }));
        life.serve();
        (0..20).for_each(|at| life.checked(1, took, start + second * at));
        let lived = life.lived().unwrap();
        assert_eq!((lived.began, lived.sessions, lived.paces.is_some()), (start, 1, true));
        life.end();
        assert_eq!(life.lived(), None);
        life.checked(1, took, start + second * 30);
        assert_eq!(life.lived(), Some(Lived { began: start + second * 30, sessions: 0, paces: None }));
        life.checked(2, took, start + second * 40);
        assert_eq!(life.lived().unwrap().began, start + second * 40);
    }
}
