//! The new process: takes over from the one that started it.

use std::{io, os::unix::net::UnixListener, path::Path, sync::Arc};

use tokio::{net::UnixStream, task::spawn_blocking, time::timeout};

use super::{
    Named, UpgradeError,
    folder::sockets_beside,
    sockets,
    talk::{New, Old, Talk, VERSION},
};
use crate::{
    app::{App, FIRST_VERDICTS},
    pool::Verdict,
};

/// Where we are with the old process.
#[derive(Debug)]
pub(in crate::app) struct Arrival {
    talk: Talk,
    /// What it listens on.
    pub sockets: Vec<Named>,
    /// Pools that have a backend there.
    served: Vec<String>,
}

/// Tells the old process that we cannot, in the words of our config's problems.
pub(in crate::app) async fn refuse(path: &Path, why: String) -> io::Result<()> {
    Talk::new(UnixStream::connect(path).await?).say(&New::Refused(why)).await
}

impl Arrival {
    /// Meets the old process at `path` and takes its sockets. It goes on accepting.
    pub(in crate::app) async fn meet(path: &Path) -> Result<Self, UpgradeError> {
        let mut talk = Talk::new(UnixStream::connect(path).await?);
        let door = UnixListener::bind(sockets_beside(path))?;
        talk.say(&New::Hello { talk: VERSION, version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
        let Old::Sockets { list, served } = talk.hear().await? else { return Err(out_of_turn()) };
        let (count, other) = (list.len(), talk.descriptor()?);
        let received = spawn_blocking(move || sockets::receive(&door, other, count)).await;
        let sockets = received.map_err(io::Error::other)??;
        let named = list.into_iter().zip(sockets).map(|((name, bind), socket)| {
            let bind = bind.parse().map_err(|_| out_of_turn())?;
            Ok(Named { name, bind, socket })
        });
        Ok(Self { talk, sockets: named.collect::<Result<_, UpgradeError>>()?, served })
    }

    /// Says why we end after all.
    pub(in crate::app) async fn refuse(&mut self, why: String) {
        let _ = self.talk.say(&New::Refused(why)).await;
    }

    /// Waits until we can do what the old process does, then for its word to accept. The sockets that are not in our config
    /// are let go.
    pub(in crate::app) async fn wait_for_go(&mut self, app: &App) -> Result<(), UpgradeError> {
        self.sockets.clear();
        tokio::select! {
            () = prepared(app, &self.served) => {}
            broken = listen(&mut self.talk, app) => return broken.and(Err(out_of_turn())),
        }
        self.talk.say(&New::Prepared).await?;
        listen(&mut self.talk, app).await
    }

    /// We accept. What the old process still has to say is taken in beside that.
    pub(in crate::app) async fn accepts(mut self, app: Arc<App>) -> Result<(), UpgradeError> {
        self.talk.say(&New::Open).await?;
        let listening = async move {
            match listen(&mut self.talk, &app).await {
                Ok(()) => tracing::info!("took over from the old process, which drains now"),
                Err(reason) => tracing::warn!(%reason, "the old process went away in the middle of its last words"),
            }
        };
        tokio::spawn(listening);
        Ok(())
    }
}

/// Comes back when backends were judged as at any start, and each of the pools `served` has one that is up. The old process
/// has the time limit.
async fn prepared(app: &App, served: &[String]) {
    let _ = timeout(FIRST_VERDICTS, app.fleet.judged()).await;
    for (name, squadron) in app.fleet.pools.iter().filter(|(name, _)| served.contains(name)) {
        let members = squadron.pool.members().to_vec();
        if members.is_empty() || squadron.pool.healthy_count() > 0 {
            continue;
        }
        tracing::warn!(pool = name, "waiting for a backend that is up: the old process has one");
        let mut up = tokio::task::JoinSet::new();
        for member in members {
            up.spawn(async move {
                let _ = member.verdicts().wait_for(|verdict| *verdict == Verdict::Up).await;
            });
        }
        up.join_next().await;
    }
}

/// Takes in records until the old process says something else: `Go` or `Done`.
async fn listen(talk: &mut Talk, app: &App) -> Result<(), UpgradeError> {
    loop {
        match talk.hear().await? {
            Old::Records(records) => records.adopt(app),
            Old::Go | Old::Done => return Ok(()),
            Old::Sockets { .. } => return Err(out_of_turn()),
        }
    }
}

fn out_of_turn() -> UpgradeError {
    io::Error::new(io::ErrorKind::InvalidData, "a word out of turn").into()
}
