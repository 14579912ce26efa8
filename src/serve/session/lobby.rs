//! The lobby: clients that have not said who they are yet. An address may have few of them, so that whoever tries tokens
//! does not take the seats of the others.

use std::{net::IpAddr, sync::Arc};

use ahash::AHashMap;
use parking_lot::Mutex;

/// Clients of one address that may be unknown at a time. A login takes milliseconds, so that even a whole office behind one
/// address seldom has ten; a guesser with more connections than that only takes seats.
const MOST: u32 = 256;

/// Who waits, by address.
#[derive(Debug, Default)]
pub struct Lobby {
    waiting: Mutex<AHashMap<IpAddr, u32>>,
}

/// A place in the lobby, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    lobby: Arc<Lobby>,
    address: IpAddr,
}

impl Lobby {
    /// A place for a client from `address`; `None` if too many of its kind wait already.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(address).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Place { lobby: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lobby.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let lobby = Arc::new(Lobby::default());
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let mut places: Vec<_> = (0..MOST).map(|_| lobby.enter(one).unwrap()).collect();
        assert!(lobby.enter(one).is_none());
        assert!(lobby.enter("::ffff:127.0.0.1".parse().unwrap()).is_none(), "the same address");
        assert!(lobby.enter(other).is_some());
        places.pop();
        places.push(lobby.enter(one).unwrap());
        drop(places);
        assert!(lobby.waiting.lock().is_empty(), "nobody waits, nothing is kept");
    }
}
