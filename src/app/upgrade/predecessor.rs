//! The old process: starts the new one, hands over, and serves on if anything goes wrong before the new one accepts.

use std::{io, time::Duration};

use tokio::{
    net::UnixListener,
    process::{Child, Command},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    UpgradeError,
    folder::Folder,
    manager,
    records::{Records, Told},
    sockets,
    talk::{New, Old, Talk, VERSION},
};
use crate::{
    app::{App, doors::Open},
    serve::accept::Listening,
};

/// Nobody is accepted for so long before the new process does: whoever was let in last has had its first calls then, which a
/// drain may refuse. Those who come wait in the kernel's queue.
const SETTLE: Duration = Duration::from_millis(250);

/// From the last word of ours to the first accept of the new process there is nothing left to wait for.
const OPENING: Duration = Duration::from_secs(10);

/// A connection that was made before the end of the other process is there at once.
const LAST_WORD: Duration = Duration::from_millis(200);
/// A process that ended has said why by then.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The option that tells the new process where to talk to us.
const OPTION: &str = "--take-over";

/// The new process. Dropping it ends it, unless it has taken over.
struct Heir {
    child: Child,
    took_over: bool,
}

/// The same, when it talks to us.
struct Successor {
    heir: Heir,
    talk: Talk,
    folder: Folder,
    told: Told,
}

/// The new process has taken over. What is left is told to it when we drain.
pub(in crate::app) struct HandedOver {
    successor: Successor,
    /// Its process id.
    pub pid: u32,
}

/// Starts the new process and hands over to it. When this comes back with an error, or is dropped, we serve as before.
pub(in crate::app) async fn hand_over(app: &App, open: &Open) -> Result<HandedOver, UpgradeError> {
    let limit = app.config.shutdown.upgrade_timeout;
    let prepared = timeout(limit, Successor::prepare(app, open));
    let successor =
        prepared.await.unwrap_or_else(|_| Err(UpgradeError::TooLate { limit, step: app.upgrade.last_step() }))?;
    let held = Held(open);
    open.gate.shut();
    let late = UpgradeError::TooLate { limit: OPENING, step: "the hand-over" };
    let handed_over = timeout(OPENING, successor.let_accept(app)).await.unwrap_or(Err(late))?;
    std::mem::forget(held);
    Ok(handed_over)
}

/// Opens the gate again if the hand-over fails.
struct Held<'a>(&'a Open);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.gate.open();
    }
}

impl Successor {
    /// Brings the new process to where it only waits for our word to accept.
    async fn prepare(app: &App, open: &Open) -> Result<Self, UpgradeError> {
        let mut this = Self::start(app).await?;
        app.upgrade.step("its config");
        let New::Hello { talk, version } = this.hear().await? else { return Err(out_of_turn()) };
        tracing::info!(version, pid = this.heir.child.id(), "the new process is there");
        if talk != VERSION {
            return Err(UpgradeError::Refused(format!("it speaks version {talk} of the talk, we speak {VERSION}")));
        }
        app.upgrade.step("taking the sockets");
        this.give_sockets(app, open).await?;
        app.upgrade.step("its health checks: a pool that has a backend here has none there yet");
        for records in this.told.owners(app) {
            this.talk.say(&Old::Records(records)).await?;
        }
        match this.hear().await? {
            New::Prepared => Ok(this),
            _ => Err(out_of_turn()),
        }
    }

    async fn start(app: &App) -> Result<Self, UpgradeError> {
        let program = app.upgrade.program()?;
        let folder = Folder::new()?;
        let door = UnixListener::bind(folder.talk())?;
        tracing::info!(program = %program.path.display(), "starting a new process to take over");
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).arg(OPTION).arg(folder.talk());
        let child = command
            .spawn()
            .map_err(|source| UpgradeError::Start { program: program.path.display().to_string(), source })?;
        let mut heir = Heir { child, took_over: false };
        let stream = tokio::select! {
            accepted = door.accept() => accepted?.0,
            // It may have come, said why it cannot, and gone: then its connection waits here.
            ended = heir.child.wait() => match timeout(LAST_WORD, door.accept()).await {
                Ok(accepted) => accepted?.0,
                Err(_) => return Err(UpgradeError::Ended(ended?)),
            },
        };
        Ok(Self { heir, talk: Talk::new(stream), folder, told: Told::default() })
    }

    async fn give_sockets(&mut self, app: &App, open: &Open) -> Result<(), UpgradeError> {
        let list = open.sockets.iter().map(|named| (named.name.clone(), named.bind.to_string())).collect();
        let served = app.fleet.pools.iter().filter(|(_, squadron)| squadron.pool.healthy_count() > 0);
        let served = served.map(|(name, _)| name.clone()).collect();
        self.talk.say(&Old::Sockets { list, served }).await?;
        let sockets: io::Result<Vec<Listening>> = open.sockets.iter().map(|named| named.socket.try_clone()).collect();
        let (sockets, path) = (sockets?, self.folder.sockets());
        spawn_blocking(move || sockets::send(&path, &sockets)).await.map_err(io::Error::other)??;
        Ok(())
    }

    /// The last word: from here on the new one accepts.
    async fn let_accept(mut self, app: &App) -> Result<HandedOver, UpgradeError> {
        app.upgrade.step("the hand-over");
        sleep(SETTLE).await;
        for records in self.told.all(app) {
            self.talk.say(&Old::Records(records)).await?;
        }
        self.talk.say(&Old::Go).await?;
        match (self.hear().await?, self.heir.child.id()) {
            (New::Open, Some(pid)) => {
                self.heir.took_over = true;
                Ok(HandedOver { successor: self, pid })
            }
            _ => Err(out_of_turn()),
        }
    }

    /// What the new process says next; how it ended, if it did.
    async fn hear(&mut self) -> Result<New, UpgradeError> {
        match self.talk.hear().await {
            Ok(New::Refused(why)) => Err(UpgradeError::Refused(why)),
            Ok(word) => Ok(word),
            Err(reason) => match timeout(LAST_LINES, self.heir.child.wait()).await {
                Ok(Ok(status)) => Err(UpgradeError::Ended(status)),
                _ => Err(reason.into()),
            },
        }
    }
}

impl HandedOver {
    /// Tells whoever watches over us who the main process is now.
    pub(in crate::app) fn announce(&self) {
        manager::main_process(self.pid);
    }

    /// Tells the new process what came between its first accept and our drain. It serves with or without that.
    pub(in crate::app) async fn tell_the_rest(mut self, app: &App) {
        let rest: Vec<Records> = self.successor.told.rest(app);
        let talk = &mut self.successor.talk;
        let saying = async {
            for records in rest {
                talk.say(&Old::Records(records)).await?;
            }
            talk.say(&Old::Done).await
        };
        if let Ok(Err(reason)) | Err(reason) = timeout(OPENING, saying).await.map_err(io::Error::from) {
            tracing::warn!(%reason, "the new process does not know the very last sessions");
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if !self.took_over {
            let _ = self.child.start_kill();
        }
    }
}

fn out_of_turn() -> UpgradeError {
    io::Error::new(io::ErrorKind::InvalidData, "a word out of turn").into()
}
