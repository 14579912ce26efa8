//! Requests of backends to the client. Every backend counts its own from 1, so ids of two of them collide on one client
//! connection: towards the client each gets an integer of ours, and its own id back in the answer.

use ahash::AHashMap;

use super::LinkId;

/// A backend's request that the client has not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The link that it came over.
    pub link: LinkId,
    /// Its id as the backend wrote it.
    pub token: Box<[u8]>,
}

/// All of them.
#[derive(Debug)]
pub struct Asks {
    next: i64,
    open: AHashMap<i64, Ask>,
}

impl Default for Asks {
    fn default() -> Self {
        Self { next: 1, open: AHashMap::new() }
    }
}

impl Asks {
    /// Notes a request; gives back the id that the client sees.
    pub fn open(&mut self, link: LinkId, token: &[u8]) -> i64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Ask { link, token: token.into() });
        number
    }

    /// The client answered `number`.
    pub fn answered(&mut self, number: i64) -> Option<Ask> {
        self.open.remove(&number)
    }

    /// Whether a backend waits for an answer over this link.
    pub fn is_waiting(&self, link: LinkId) -> bool {
        self.open.values().any(|ask| ask.link == link)
    }

    /// Nobody will answer any of them any more.
    pub fn take_all(&mut self) -> Vec<Ask> {
        self.open.drain().map(|(_, ask)| ask).collect()
    }

    /// What the client knows a backend's request as, for the backend's `$/cancelRequest`.
    pub fn number_of(&self, link: LinkId, token: &[u8]) -> Option<i64> {
        self.open.iter().find(|(_, ask)| ask.link == link && *ask.token == *token).map(|(number, _)| *number)
    }

    /// Forgets what came over a link that is gone; the numbers, so that the client can be told to stop.
    pub fn forget_link(&mut self, link: LinkId) -> Vec<i64> {
        self.open.extract_if(|_, ask| ask.link == link).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_of_two_backends_stay_apart() {
        let mut asks = Asks::default();
        let (a, b) = (asks.open(0, b"1"), asks.open(1, b"1"));
        assert_ne!(a, b);
        assert_eq!(asks.number_of(1, b"1"), Some(b));
        assert_eq!(asks.answered(b).unwrap().link, 1);
        assert_eq!(asks.answered(b), None);
        assert_eq!(asks.forget_link(0), vec![a]);
    }
}
