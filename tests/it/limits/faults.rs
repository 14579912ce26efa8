//! What goes wrong at the backends and with the proxies of a walk.

use std::time::Duration;

use super::world::{BACKENDS, World};
use crate::{
    fake_cli::{Act, Close, FakeCli},
    moves::checks::{order, until_state},
    process::Pilotfish,
    session::rig::name,
};

impl World {
    pub(super) async fn kill(&mut self, at: usize) {
        // Somebody has to be left, or calls wait until they are given up.
        if self.dead[at] || (self.taking() == 1 && !self.drained[at]) || self.taking() == 0 {
            return;
        }
        let how = if self.chance.below(2) == 0 { Close::Fin } else { Close::Rst };
        self.cli[at].die(how);
        self.dead[at] = true;
    }

    pub(super) async fn restart(&mut self, at: usize) {
        if self.dead[at] {
            self.cli[at].restart().await;
            self.dead[at] = false;
            if !self.drained[at] {
                self.until_state(at, "up").await;
            }
        }
    }

    pub(super) async fn until_state(&self, at: usize, state: &str) {
        for proxy in &self.proxies {
            until_state(proxy, at, state).await;
        }
    }

    pub(super) async fn drain(&mut self, at: usize) {
        if self.drained[at] || self.dead[at] || self.taking() < 2 {
            return;
        }
        for proxy in &self.proxies {
            let (code, why) = order(proxy, &format!("/backends/{}/drain", name(at))).await;
            // The proxy may not know yet of one that is back.
            assert!((200..300).contains(&code) || code == 409, "{code} {why}");
            self.drained[at] |= code != 409;
        }
    }

    pub(super) async fn undrain(&mut self, at: usize) {
        if self.drained[at] {
            for proxy in &self.proxies {
                let (code, why) = order(proxy, &format!("/backends/{}/undrain", name(at))).await;
                assert!((200..300).contains(&code) || self.proxies.len() > 1, "{code} {why}");
            }
            self.drained[at] = false;
            if !self.dead[at] {
                self.until_state(at, "up").await;
            }
        }
    }

    /// Nobody says anything until every session is closed for its idleness.
    pub(super) async fn rest(&mut self) {
        self.settle().await;
        self.as_usual();
        for cli in &self.cli {
            for session in cli.live() {
                cli.wait_for_live(&session, false).await;
            }
        }
    }

    /// The next close or resume does not go well.
    pub(super) fn trouble(&mut self, at: usize) {
        if self.dead[at] || self.taking() < 2 {
            return;
        }
        let method = ["sessions.close", "session.resume"][self.chance.below(2)];
        let late = Duration::from_millis(1000);
        let act = match self.chance.below(4) {
            0 => Act::Delay(late),
            1 => Act::End(Close::Fin),
            2 => Act::End(Close::Rst),
            _ => Act::Fail { code: -32603, message: format!("Request {method} failed with message: trouble") },
        };
        self.cli[at].next(1, method, act);
    }

    pub fn as_usual(&self) {
        self.cli.iter().for_each(FakeCli::as_usual);
    }

    /// One proxy is another process now.
    pub async fn relaunch(&mut self, at: usize) {
        let fresh = Pilotfish::start(&self.config).await;
        for backend in 0..BACKENDS {
            if !self.dead[backend] {
                until_state(&fresh, backend, "up").await;
            }
        }
        self.proxies[at] = fresh;
        for backend in 0..BACKENDS {
            if self.drained[backend] && !self.dead[backend] {
                order(&self.proxies[at], &format!("/backends/{}/drain", name(backend))).await;
            }
        }
    }
}
