//! Open requests: the client's, by its own ids, and ours, by our numbers.

use ahash::AHashMap;

use crate::wire::RequestId;

/// The client's requests that nobody has answered yet. `T` is what the driver wants to know again at the answer.
#[derive(Debug)]
pub struct Requests<T> {
    open: AHashMap<RequestId, T>,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self { open: AHashMap::new() }
    }
}

impl<T> Requests<T> {
    /// Whether a request with this id is open: its id may not be used again.
    pub fn contains(&self, id: &RequestId) -> bool {
        self.open.contains_key(id)
    }

    /// Notes a request. The caller has asked [`Requests::contains`].
    pub fn open(&mut self, id: RequestId, request: T) {
        self.open.insert(id, request);
    }

    /// The request with this id, if it is open.
    pub fn get(&self, id: &RequestId) -> Option<&T> {
        self.open.get(id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: &RequestId) -> Option<&mut T> {
        self.open.get_mut(id)
    }

    /// Takes the request with this id out.
    pub fn take(&mut self, id: &RequestId) -> Option<T> {
        self.open.remove(id)
    }

    /// Takes all requests out for which `wanted` holds.
    pub fn take_where(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<(RequestId, T)> {
        self.open.extract_if(|_, request| wanted(request)).collect()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&RequestId, &T)> {
        self.open.iter()
    }
}

/// Requests that we sent ourselves, by number.
#[derive(Debug)]
pub struct OwnRequests<T> {
    next: u64,
    open: AHashMap<u64, T>,
}

impl<T> Default for OwnRequests<T> {
    fn default() -> Self {
        Self { next: 1, open: AHashMap::new() }
    }
}

impl<T> OwnRequests<T> {
    /// Notes a request and gives it an id.
    pub fn open(&mut self, request: T) -> RequestId {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, request);
        RequestId::own(number)
    }

    /// Takes the request with this number out.
    pub fn take(&mut self, number: u64) -> Option<T> {
        self.open.remove(&number)
    }

    /// Takes all requests out for which `wanted` holds.
    pub fn take_where(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        self.open.extract_if(|_, request| wanted(request)).map(|(_, request)| request).collect()
    }

    /// Numbers and requests for which `wanted` holds.
    pub fn find(&self, mut wanted: impl FnMut(&T) -> bool) -> Vec<(RequestId, &T)> {
        self.open
            .iter()
            .filter(|(_, request)| wanted(request))
            .map(|(number, request)| (RequestId::own(*number), request))
            .collect()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_until_it_is_answered() {
        let mut requests = Requests::default();
        requests.open(RequestId::Number(1), "a");
        requests.open(RequestId::text("1"), "b");
        assert!(requests.contains(&RequestId::Number(1)));
        assert_eq!(requests.take(&RequestId::text("1")), Some("b"));
        assert_eq!(requests.take(&RequestId::text("1")), None);
        assert_eq!(requests.take_where(|_| true), vec![(RequestId::Number(1), "a")]);
        assert!(requests.is_empty());
    }

    #[test]
    fn own_numbers_never_repeat() {
        let mut own = OwnRequests::default();
        let first = own.open("x");
        assert_eq!(own.take(first.own_number().unwrap()), Some("x"));
        assert_ne!(own.open("y"), first);
    }
}
