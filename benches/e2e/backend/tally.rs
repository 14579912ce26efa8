//! Counts what reaches the backends for the first tenant, where somebody asked for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use memchr::memmem;

/// Of a frame so much is looked at: the session stands near its beginning.
const HEAD: usize = 256;
/// In every frame about a session of the first tenant.
const WHOSE: &[u8] = br#""sessionId":"s00-"#;

/// The counters; they rest until [`Tally::start`].
#[derive(Default)]
pub struct Tally {
    on: AtomicBool,
    frames: AtomicU64,
    bytes: AtomicU64,
    creates: AtomicU64,
}

/// What was counted.
#[derive(Clone, Copy)]
pub struct Counts {
    pub frames: u64,
    pub bytes: u64,
    pub creates: u64,
}

impl Tally {
    /// Counts from zero.
    pub fn start(&self) {
        [&self.frames, &self.bytes, &self.creates].into_iter().for_each(|count| count.store(0, Relaxed));
        self.on.store(true, Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            creates: self.creates.load(Relaxed),
        }
    }

    /// A frame, or its beginning, and its length.
    pub fn note(&self, body: &[u8], length: usize) {
        if !self.on.load(Relaxed) {
            return;
        }
        let head = &body[..body.len().min(HEAD)];
        if memmem::find(head, WHOSE).is_some() {
            self.frames.fetch_add(1, Relaxed);
            self.bytes.fetch_add(length as u64, Relaxed);
            let creates = memmem::find(head, br#""method":"session.create""#).is_some();
            self.creates.fetch_add(u64::from(creates), Relaxed);
        }
    }
}
