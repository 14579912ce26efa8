//! Free ports of a range.

use std::{
    collections::BTreeSet,
    net::{IpAddr, TcpListener},
    ops::RangeInclusive,
    sync::Arc,
};

use parking_lot::Mutex;

/// Hands out ports that nobody listens on. Between our look and the CLI's own bind somebody else may take one; then the CLI
/// ends, and its next start gets another.
#[derive(Debug)]
pub struct Ports {
    host: IpAddr,
    range: RangeInclusive<u16>,
    leased: Mutex<BTreeSet<u16>>,
}

/// A port that no other process of ours gets until this is dropped.
#[derive(Debug)]
pub(super) struct PortLease {
    ports: Arc<Ports>,
    pub(super) port: u16,
}

impl Ports {
    /// The ports of `range` at `host`.
    pub fn new(host: IpAddr, range: RangeInclusive<u16>) -> Arc<Self> {
        Arc::new(Self { host, range, leased: Mutex::default() })
    }

    /// A free port: `preferred` (the one it had before) if possible, so that addresses stay; `None` if all are taken.
    pub(super) fn lease(self: &Arc<Self>, preferred: Option<u16>) -> Option<PortLease> {
        let mut leased = self.leased.lock();
        let candidates = preferred.into_iter().chain(self.rotated());
        let port = candidates.filter(|port| !leased.contains(port)).find_map(|port| self.free(port))?;
        leased.insert(port).then(|| PortLease { ports: self.clone(), port })
    }

    /// The whole range, beginning anywhere in it: others who look for a port at this moment find another one.
    fn rotated(&self) -> impl Iterator<Item = u16> + use<> {
        let (first, last) = (*self.range.start(), *self.range.end());
        let middle = first.saturating_add((uuid::Uuid::new_v4().as_u128() % self.range.len().max(1) as u128) as u16);
        (middle..=last).chain(first..middle)
    }

    /// Binds and lets go. `port` 0 finds one.
    fn free(&self, port: u16) -> Option<u16> {
        let listener = TcpListener::bind((self.host, port)).ok()?;
        listener.local_addr().ok().map(|address| address.port())
    }
}

impl PortLease {
    /// Whether nobody listens on it.
    pub(super) fn is_free(&self) -> bool {
        self.ports.free(self.port).is_some()
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.leased.lock().remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn any_port_when_none_is_named() {
        let ports = Ports::new(HOST, 0..=0);
        let (one, two) = (ports.lease(None).unwrap(), ports.lease(None).unwrap());
        assert!(one.port != 0 && two.port != 0 && one.port != two.port);
    }

    #[test]
    fn skips_what_is_taken_and_gives_back_what_was_let_go() {
        let taken = TcpListener::bind((HOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports::new(HOST, port..=port);
        assert!(ports.lease(None).is_none());
        drop(taken);
        let lease = ports.lease(None).unwrap();
        assert_eq!(lease.port, port);
        assert!(ports.lease(Some(port)).is_none());
        drop(lease);
        assert_eq!(ports.lease(Some(port)).unwrap().port, port);
    }
}
