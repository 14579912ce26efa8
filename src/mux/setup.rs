//! What a new link has to be told before it may be used: the client's `connect`, then its connection-wide set-up in its order.

use crate::wire::connect::ConnectParams;

/// At most so many set-up calls are kept for replay; the runtime has four such methods.
const MAX_CALLS: usize = 32;

/// The set-up of one client connection.
#[derive(Debug, Default)]
pub struct Setup {
    connect: Option<ConnectParams>,
    calls: Vec<(String, Vec<u8>)>,
}

impl Setup {
    /// The client's `connect` params, without its token.
    pub fn connect(&self) -> Option<&ConnectParams> {
        self.connect.as_ref()
    }

    /// Notes a `connect`; a later one replaces it.
    pub fn set_connect(&mut self, params: ConnectParams) {
        self.connect = Some(params);
    }

    /// Notes a set-up call. A later call of the same method replaces the earlier one: all of them set, none adds. `false`: too many.
    pub fn note(&mut self, method: &str, body: &[u8]) -> bool {
        self.calls.retain(|(known, _)| known != method);
        if self.calls.len() >= MAX_CALLS {
            return false;
        }
        self.calls.push((method.to_owned(), body.to_vec()));
        true
    }

    /// The bodies to replay, in order.
    pub fn calls(&self) -> impl Iterator<Item = &[u8]> {
        self.calls.iter().map(|(_, body)| body.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_of_a_method_counts_and_order_stays() {
        let mut setup = Setup::default();
        for (method, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
            assert!(setup.note(method, body.as_bytes()));
        }
        assert_eq!(setup.calls().collect::<Vec<_>>(), [b"2", b"3"]);
    }
}
