//! How a client's task is told that a session of its needs it: a session that moves concerns every client on it, and each
//! of them is driven by a task of its own.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;

use super::{Bearer, Live};

/// One client's bell.
pub struct Bell {
    client: u32,
    bearer: OnceLock<Arc<Bearer>>,
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
    sessions: Mutex<Vec<Arc<Live>>>,
}

impl Bell {
    /// The bell of client number `client`.
    pub fn new(client: u32) -> Self {
        Self {
            client,
            bearer: OnceLock::new(),
            rung: AtomicBool::new(false),
            waker: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// The client's number.
    pub fn client(&self) -> u32 {
        self.client
    }

    /// Behind a wall: whose client it is. The first word counts.
    pub fn bear(&self, bearer: Bearer) {
        let _ = self.bearer.set(Arc::new(bearer));
    }

    /// Whose client it is.
    pub fn bearer(&self) -> Option<&Arc<Bearer>> {
        self.bearer.get()
    }

    /// The client's task looks at `live` soon.
    pub fn ring(&self, live: &Arc<Live>) {
        {
            let mut sessions = self.sessions.lock();
            if !sessions.iter().any(|known| Arc::ptr_eq(known, live)) {
                sessions.push(live.clone());
            }
        }
        self.rouse();
    }

    /// The client's task looks around, for no session in particular.
    pub fn rouse(&self) {
        self.rung.store(true, Ordering::Release);
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }

    /// Whether it was rung since the last [`Bell::take`]: one load.
    #[inline]
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// The sessions that it was rung for.
    pub fn take(&self) -> Vec<Arc<Live>> {
        self.rung.store(false, Ordering::Release);
        std::mem::take(&mut self.sessions.lock())
    }

    /// Whom to wake.
    pub fn listen(&self, waker: &Waker) {
        *self.waker.lock() = Some(waker.clone());
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("client", &self.client).finish()
    }
}
