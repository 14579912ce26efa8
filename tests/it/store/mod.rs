//! The store that proxies share, against real Redis servers that the tests start.

mod contract;
mod doors;
mod guide;
mod outage;
mod proxy;
pub mod server;
mod several;
mod torture;

use std::sync::Arc;

use pilotfish::store::{Key, Waiter, Wish};

fn key(session: &str) -> Key {
    Key { pool: "p".into(), session: session.into() }
}

fn wish(home: &str) -> Wish {
    Wish { home: home.into(), lost: None, owner: None, ephemeral: false }
}

fn waiter(number: u64) -> Waiter {
    Waiter { number, label: Arc::from(format!("client {number}")), lines_up: true }
}
