//! Session mode (layer 7): one client connection, any number of sessions, each on its own backend.
//!
//! # Layout
//! - [`SessionMode`]: what the clients of one listener share; gives the accept loop its handler.
//! - `client`: the loop that drives one client and its links; `ending`: errors, deadlines, losses, the goodbye.
//! - `chunk`: bytes into frames, large frames flow; `calls`: from the client; `answers`: from backends.
//! - `placing`: create, resume, search; `gathering`: lists; `greeting`: `connect` and set-up; `sessions`, `open`: the client's tables.
//! - `guest`, `certified`: who the client is; `wall`: what it may do; `sight`: what it sees;
//!   `existence`: whether an id that nobody owns is some backend's.
//! - `away`, `moving`, `opening`, `missed`, `remembered`, `settled`: a session that changes its home.
//! - `seating`, `holding`: what a session needs before it is opened, a seat and a hold; `parked`: one that lives nowhere; `lost`:
//!   one that cannot be had any more.
//! - `turnlock`: prompts of clients that share a session wait for their turn.
//! - `dialling`: links are opened; `dwelling`: a client whose identity has a backend of its own, which may have to be started.
//! - `drained`: links that nobody needs; `stalled`: a turn of which nothing is heard.
//! - `orphan`, `pending`, `returning`: a client that was lost in the middle of a turn, and the one that comes back for it.
//! - `kind`: sessions that end with their clients.
//! - `goodbye`, `stage`: the end of a connection; serving, draining, over.
//! - `inbound`, `outbox`, `writing`, `workspace`, `link`: buffers and sockets; `meter`: what goes through and waits in them.

mod answers;
mod away;
mod borrowed;
mod calls;
mod cancelling;
mod certified;
mod chunk;
mod client;
mod dialling;
mod drained;
mod dwelling;
mod ending;
mod existence;
mod gathering;
mod goodbye;
mod greeting;
mod guest;
mod holding;
mod inbound;
mod kind;
mod link;
mod lost;
mod meter;
mod missed;
mod moving;
mod open;
mod opening;
mod orphan;
mod outbox;
mod parked;
mod pending;
mod placing;
mod remembered;
mod returning;
mod seating;
mod sessions;
mod settings;
mod settled;
mod sight;
mod stage;
mod stalled;
mod turnlock;
mod turns;
mod wall;
mod workspace;
mod writing;

use std::{sync::Arc, time::Instant};

use self::client::Client;
pub use self::{
    settings::{SessionSettings, Shared},
    stage::{Stage, Stages},
    turnlock::LockPolicy,
};
use super::{accept::Handler, keepalive::Keepalive};
pub use super::{door::Door, lobby::Lobby};
use crate::telemetry::Rejection;

/// Session mode on one listener.
#[derive(Clone, Debug)]
pub struct SessionMode {
    shared: Arc<Shared>,
}

impl SessionMode {
    /// Session mode with these settings and this router.
    pub fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// What the accept loop does with a client: one tracked task for it.
    pub fn handler(&self) -> Handler {
        let shared = self.shared.clone();
        Arc::new(move |visitor| {
            let host = visitor.peer.host();
            // Behind TLS the door was asked before the handshake.
            let asked = visitor.socket.plain().is_none();
            if shared.may_turn_away() && !asked && !shared.door.admits(host, Instant::now()) {
                shared.listener.rejected.get(Rejection::Denied).inc();
                return;
            }
            let Ok(certified) = shared.certified(visitor.certificate.as_deref()) else {
                shared.listener.rejected.get(Rejection::Denied).inc();
                tracing::warn!(client.addr = %visitor.peer, "a certificate with names of several tenants is refused");
                return;
            };
            Keepalive::within(shared.settings.client_timeout).ask(&visitor.socket);
            let place = shared.asks().then(|| shared.lobby.enter(host));
            let client = Client::new(shared.clone(), visitor, certified, place);
            shared.tracker.spawn(client.run());
        })
    }
}
