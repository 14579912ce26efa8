//! Whom a loopback listener answers.
//!
//! A web page can make a browser on this machine ask `http://evil.example:4320/` after its own name server has said that
//! the name means 127.0.0.1 (DNS rebinding). The `Host` header still carries the page's name: so a listener that only
//! this machine can reach answers only to names of this machine.

use std::net::{IpAddr, SocketAddr};

/// The names that a listener answers to.
#[derive(Clone, Copy, Debug)]
pub struct Hosts {
    bound: SocketAddr,
}

impl Hosts {
    /// Those of a listener at `bound`.
    pub fn of(bound: SocketAddr) -> Self {
        Self { bound }
    }

    /// Whether a request for `host` (as in the header: a name or address, with or without a port) is answered. One
    /// that others can reach is known under names that we cannot know, so it answers to all.
    pub fn allow(&self, host: &str) -> bool {
        if !self.bound.ip().to_canonical().is_loopback() {
            return true;
        }
        let name = without_port(host);
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_answers_to_this_machine_only() {
        let hosts = Hosts::of("127.0.0.1:4320".parse().unwrap());
        for good in ["127.0.0.1:4320", "127.0.0.1", "localhost:4320", "LOCALHOST", "[::1]:4320", "[::1]", "127.0.0.9:1"]
        {
            assert!(hosts.allow(good), "{good}");
        }
        for bad in
            ["evil.example:4320", "localhost.evil.example", "10.0.0.1", "", "[", "127.0.0.1.evil.example", "[::2]"]
        {
            assert!(!hosts.allow(bad), "{bad}");
        }
        assert!(!Hosts::of("[::1]:4320".parse().unwrap()).allow("evil.example"));
    }

    #[test]
    fn one_that_others_can_reach_answers_to_all() {
        assert!(Hosts::of("0.0.0.0:4320".parse().unwrap()).allow("proxy.example:4320"));
    }
}
