//! The lobby: clients that have not said who they are yet. An address may have a number of them; when one more comes, the
//! one that has waited longest goes. So whoever opens connections or tries tokens does not take the seats of the others,
//! and a right login from the same address, which takes milliseconds, still gets through.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::model::Host;

/// Clients of one address that may be unknown at a time. Even a whole office behind one address seldom has ten.
const MOST: usize = 256;

/// Who waits, by address, the longest first.
#[derive(Debug, Default)]
pub struct Lobby {
    waiting: Mutex<AHashMap<Host, VecDeque<(u64, CancellationToken)>>>,
    numbers: std::sync::atomic::AtomicU64,
}

/// A place in the lobby, given back when it is dropped.
pub struct Place {
    lobby: Arc<Lobby>,
    address: Host,
    number: u64,
    asked_to_go: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Lobby {
    /// A place for a client from `address`. If its kind are too many, the one that has waited longest is asked to go.
    pub fn enter(self: &Arc<Self>, address: Host) -> Place {
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = CancellationToken::new();
        let mut waiting = self.waiting.lock();
        let of_address = waiting.entry(address).or_default();
        if of_address.len() >= MOST
            && let Some((_, oldest)) = of_address.pop_front()
        {
            oldest.cancel();
        }
        of_address.push_back((number, token.clone()));
        Place { lobby: self.clone(), address, number, asked_to_go: Box::pin(token.cancelled_owned()) }
    }
}

impl Place {
    /// Ready when this client has to go because too many others came after it.
    pub fn poll_asked_to_go(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.asked_to_go.as_mut().poll(cx)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lobby.waiting.lock();
        if let Some(of_address) = waiting.get_mut(&self.address) {
            // Numbers rise along the queue.
            if let Ok(at) = of_address.binary_search_by_key(&self.number, |(number, _)| *number) {
                of_address.remove(at);
            }
            if of_address.is_empty() {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn goes(place: &mut Place) -> bool {
        place.poll_asked_to_go(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn the_one_that_waited_longest_makes_room() {
        let lobby = Arc::new(Lobby::default());
        let (one, other) = (Host::from(IpAddr::from([127, 0, 0, 1])), Host::User(1));
        let mut places: VecDeque<_> = (0..MOST).map(|_| lobby.enter(one)).collect();
        let mut stranger = lobby.enter(other);
        assert!(!places.iter_mut().any(goes));
        let mut late = lobby.enter("::ffff:127.0.0.1".parse::<IpAddr>().unwrap().into());
        assert!(goes(&mut places[0]) && !goes(&mut places[1]) && !goes(&mut late) && !goes(&mut stranger));
        places.pop_front();
        places.pop_front();
        let mut later = lobby.enter(one);
        assert!(!places.iter_mut().any(goes) && !goes(&mut later), "two had gone");
        drop((places, late, later, stranger));
        assert!(lobby.waiting.lock().is_empty(), "nobody waits, nothing is kept");
    }
}
