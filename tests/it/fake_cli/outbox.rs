//! What a connection still has to write. It has no bound, as the real CLI's has none: a slow reader costs the backend memory.

use std::{collections::VecDeque, sync::Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// An orderly end (FIN) after everything before it was written.
    Fin,
    /// A reset (RST).
    Rst,
}

#[derive(Debug)]
pub enum Out {
    Bytes(Bytes),
    End(Close),
}

#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<VecDeque<Out>>,
    more: Notify,
}

impl Outbox {
    pub fn push(&self, out: Out) {
        self.queue.lock().unwrap().push_back(out);
        self.more.notify_one();
    }

    /// The next thing to write. Only one task may wait here.
    pub async fn next(&self) -> Out {
        loop {
            let first = self.queue.lock().unwrap().pop_front();
            match first {
                Some(out) => return out,
                None => self.more.notified().await,
            }
        }
    }
}
