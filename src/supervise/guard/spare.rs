//! A command that has started without an identity, and waits for one.
//!
//! It says `ready` on a socket of its own and blocks. The supervisor sends one line (a [`Call`]) to the guard; the guard takes the home's lock, sets the
//! limits and hands the command its part, which says `adopted`. Both words are passed on to the supervisor.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;

use super::{Group, Guard, Lock, Orders, leash, say};

/// Who a spare is from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::supervise) struct Call {
    /// For the guard: [`Orders::words`].
    pub orders: Vec<String>,
    /// For the command: its variables, its user, its folder.
    pub command: Box<RawValue>,
}

impl Guard {
    /// Until it has an identity. `true`: it has to end instead.
    pub(super) async fn wait_for_identity(&mut self) -> bool {
        while self.status.is_none() {
            let Some(ear) = self.ear.as_mut() else { return true };
            let word = tokio::select! {
                _ = self.children.recv() => {
                    self.reap();
                    continue;
                }
                () = any_signal(&mut self.orders) => return true,
                word = self.control.next_line() => Heard::Supervisor(word.ok().flatten()),
                word = ear.next_line() => Heard::Command(word.ok().flatten()),
            };
            match word {
                Heard::Supervisor(Some(call)) => {
                    if let Err(error) = self.adopt(&call).await {
                        say(&mut self.control, &format!("error {error}")).await;
                        return true;
                    }
                }
                Heard::Command(Some(word)) if word == "adopted" => {
                    say(&mut self.control, &word).await;
                    return false;
                }
                Heard::Command(Some(word)) => say(&mut self.control, &word).await,
                // The supervisor is gone, or the command has let go of its ear: no identity can be given any more.
                Heard::Supervisor(None) | Heard::Command(None) => return true,
            }
        }
        true
    }

    async fn adopt(&mut self, call: &str) -> io::Result<()> {
        let call: Call = serde_json::from_str(call).map_err(|_| io::Error::other("an identity that cannot be read"))?;
        let words = call.orders.into_iter().chain(["-".to_owned()]).map(Into::into).collect::<Vec<_>>();
        let (orders, _) = Orders::parse(&words).ok_or_else(|| io::Error::other("orders that cannot be read"))?;
        if let Some(folder) = &orders.lock {
            self.lock = Some(Lock::take(folder, orders.grace).await?);
        }
        self.group = Group::make(&orders.limits)?;
        if let Some(group) = &self.group {
            group.take_in(self.main.as_raw_pid().cast_unsigned())?;
        }
        leash::limit(Some(self.main), &orders.limits)?;
        let Some(ear) = self.ear.as_mut() else { return Err(io::Error::other("the spare is gone")) };
        ear.get_mut().write_all(format!("{}\n", call.command.get()).as_bytes()).await
    }
}

enum Heard {
    Supervisor(Option<String>),
    Command(Option<String>),
}

async fn any_signal(orders: &mut [super::Signals; 3]) {
    let [terminate, interrupt, hangup] = orders;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}
