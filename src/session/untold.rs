//! What the store could not be told, because it did not answer: it is told once it is there again.

use super::Leases;
use crate::store::Key;

/// Something that was let go while the store did not answer. What is not told runs out by itself.
#[derive(Debug)]
pub(super) enum Untold {
    Left(Key, u64, bool),
    Unlocked(Key, u64),
    /// Told twice: a question that a hung store has not read yet may still be done after the first time.
    LeftLine(Key, u64, bool),
}

/// So much is kept to be told later.
const MOST_UNTOLD: usize = 10_000;

impl Leases {
    pub(super) async fn tell(&self, news: Untold) {
        let told = match &news {
            Untold::Left(key, token, closed) => self.store.leave(key, *token, *closed).await,
            Untold::Unlocked(key, token) => self.store.unlock(key, *token).await.map(drop),
            Untold::LeftLine(key, waiter, _) => self.store.leave_line(key, *waiter).await,
        };
        let again = match (told.is_err(), news) {
            (true, Untold::LeftLine(key, waiter, _)) => Some(Untold::LeftLine(key, waiter, true)),
            (false, Untold::LeftLine(key, waiter, true)) => Some(Untold::LeftLine(key, waiter, false)),
            (failed, news) => failed.then_some(news),
        };
        let mut untold = self.untold.lock();
        if untold.len() < MOST_UNTOLD {
            untold.extend(again);
        }
    }

    /// Tells the store what it could not be told before.
    pub(super) async fn tell_untold(&self) {
        let untold = std::mem::take(&mut *self.untold.lock());
        for news in untold {
            match self.store.is_up() {
                true => self.tell(news).await,
                false => self.untold.lock().push(news),
            }
        }
    }
}
