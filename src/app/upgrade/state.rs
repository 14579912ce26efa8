//! How an upgrade goes, for those who asked for it.

use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Program, UpgradeError};
use crate::admin::{UpgradeRefusal, UpgradeStatus};

/// What the process needs for an upgrade, and how the last one went.
#[derive(Debug)]
pub(in crate::app) struct Upgrade {
    program: Option<Program>,
    asked: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    what: What,
    since: Instant,
}

#[derive(Debug)]
enum What {
    None,
    Asked,
    Running(&'static str),
    Failed(String),
    HandedOver,
}

impl Upgrade {
    /// `program` is what an upgrade starts; without it there is none.
    pub(in crate::app) fn new(program: Option<Program>) -> Self {
        Self { program, asked: Notify::new(), state: Mutex::new(State { what: What::None, since: Instant::now() }) }
    }

    /// Waits until somebody asks.
    pub(in crate::app) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Asks for one. One that runs already is what was asked for.
    pub(in crate::app) fn ask(&self) -> Result<(), UpgradeRefusal> {
        if let Err(UpgradeError::NotHere(why)) = self.program() {
            return Err(UpgradeRefusal::NotHere(why));
        }
        let mut state = self.state.lock();
        match state.what {
            What::HandedOver => return Err(UpgradeRefusal::HandedOver),
            What::Asked | What::Running(_) => {}
            What::None | What::Failed(_) => {
                *state = State { what: What::Asked, since: Instant::now() };
                self.asked.notify_one();
            }
        }
        Ok(())
    }

    pub(super) fn program(&self) -> Result<&Program, UpgradeError> {
        if std::process::id() == 1 {
            return Err(UpgradeError::NotHere(
                "the first process of a container ends it: start a new container instead",
            ));
        }
        self.program.as_ref().ok_or(UpgradeError::NotHere("only `pilotfish run` can be upgraded"))
    }

    pub(in crate::app) fn begin(&self) {
        *self.state.lock() = State { what: What::Running("the start"), since: Instant::now() };
    }

    /// What the new process is at.
    pub(super) fn step(&self, step: &'static str) {
        self.state.lock().what = What::Running(step);
    }

    pub(super) fn last_step(&self) -> &'static str {
        match self.state.lock().what {
            What::Running(step) => step,
            _ => "",
        }
    }

    pub(in crate::app) fn failed(&self, why: &str) {
        *self.state.lock() = State { what: What::Failed(why.to_owned()), since: Instant::now() };
    }

    pub(in crate::app) fn handed_over(&self) {
        *self.state.lock() = State { what: What::HandedOver, since: Instant::now() };
    }

    /// Whether another process has our place.
    pub(in crate::app) fn is_handed_over(&self) -> bool {
        matches!(self.state.lock().what, What::HandedOver)
    }

    /// For the admin listener.
    pub(in crate::app) fn status(&self) -> UpgradeStatus {
        let state = self.state.lock();
        let (name, step, error) = match &state.what {
            What::None => ("none", None, None),
            What::Asked => ("running", Some("the start"), None),
            What::Running(step) => ("running", Some(*step), None),
            What::Failed(why) => ("failed", None, Some(why.clone())),
            What::HandedOver => ("handed_over", None, None),
        };
        UpgradeStatus {
            pid: std::process::id(),
            state: name,
            step,
            error,
            since_seconds: state.since.elapsed().as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        Program::running(std::env::args_os()).unwrap()
    }

    #[tokio::test]
    async fn who_asks_is_heard_once_and_may_ask_again_after_a_failure() {
        let upgrade = Upgrade::new(Some(program()));
        assert_eq!(upgrade.status().state, "none");
        upgrade.ask().unwrap();
        upgrade.ask().unwrap();
        upgrade.asked().await;
        upgrade.begin();
        upgrade.step("its config");
        let status = upgrade.status();
        assert_eq!((status.state, status.step), ("running", Some("its config")));
        upgrade.ask().unwrap();
        upgrade.failed("no");
        assert_eq!((upgrade.status().state, upgrade.status().error.as_deref()), ("failed", Some("no")));
        upgrade.ask().unwrap();
        upgrade.asked().await;
        upgrade.handed_over();
        assert_eq!(upgrade.ask(), Err(UpgradeRefusal::HandedOver));
    }

    #[test]
    fn without_a_program_there_is_none() {
        assert!(matches!(Upgrade::new(None).ask(), Err(UpgradeRefusal::NotHere(_))));
    }
}
