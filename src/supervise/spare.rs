//! A CLI that was started before anybody needs it, and gets its identity before its first use.
//!
//! `spare.js` runs in it, up to the first step that would read anything of anybody. From then on it takes no processor and listens nowhere;
//! [`Spare::adopt`] gives it all that a new one would be given. The guard takes part (`guard/spare`), for it sets the limits and has the lock of the home.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{json, value::to_raw_value};
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdout},
    time,
};

use super::{
    guard::{Call, EAR},
    ports::{PortLease, Ports},
    process::{self, Exit, Process},
    redact::Redactor,
    settings::{EnvValue, SuperviseSettings},
};

const SCRIPT: &str = include_str!("spare.js");
/// The script is no old-style module.
const PACKAGE: &str = "{ \"type\": \"module\" }\n";

/// Takes up as much of the environment as that of an identity may need, see the script.
const ROOM: (&str, usize) = ("PILOTFISH_SPARE_ROOM", 32 << 10);

/// The CLI's variable for the folder of its program.
const PROGRAM: &str = "COPILOT_CLI_DIST_DIR";

/// From the order to the answer; the guard may have to wait for the lock of a home.
const ADOPTION: Duration = Duration::from_secs(10);

/// Why there is no spare.
#[derive(Debug, thiserror::Error)]
pub enum SpareError {
    /// It could not be started, or its folder not be made.
    #[error("a spare could not be started: {0}")]
    NotStarted(#[from] io::Error),
    /// Every port is taken.
    #[error("no port is free for a spare")]
    NoPort,
    /// It ended instead.
    #[error("a spare ended before it was ready ({0}): this program may not be able to wait")]
    Ended(String),
    /// It said nothing, or something else.
    #[error("a spare did not say that it is ready within {}s: this program cannot wait", .0.as_secs_f64())]
    NotReady(Duration),
}

/// A CLI without an identity.
#[derive(Debug)]
pub struct Spare {
    process: Process,
    output: (ChildStdout, ChildStderr),
    lease: PortLease,
    name: Arc<str>,
}

/// A spare that was given its identity: all that a started one has.
pub(super) type Adopted = (Process, ChildStdout, ChildStderr, PortLease);

impl Spare {
    /// Starts one, which is ready then. `folder` is ours alone. The settings are those of all.
    ///
    /// # Errors
    /// There is none. Most likely the program is no CLI that can wait, and then there will never be one.
    pub async fn start(mut settings: SuperviseSettings, name: Arc<str>, folder: &Path) -> Result<Self, SpareError> {
        let own = || Ports::new(settings.host, settings.ports.clone());
        let lease = settings.landlord.clone().unwrap_or_else(own).lease(None).ok_or(SpareError::NoPort)?;
        let blank = furnish(folder).await?;
        let place = |name: &str, path: &Path| (name.to_owned(), EnvValue::Plain(path.display().to_string()));
        let own = [place(PROGRAM, folder), place("HOME", &blank), place("TMPDIR", &blank)];
        settings.env.retain(|(name, _)| !own.iter().any(|(own, _)| own == name));
        settings.env.extend(own);
        settings.env.push((ROOM.0.to_owned(), EnvValue::Plain("-".repeat(ROOM.1))));
        settings.copilot_home = Some(blank.display().to_string());
        settings.connection_token = None;
        settings.working_dir = Some(blank);
        let limit = settings.start_timeout;
        let waiting = async {
            let (mut process, stdout, stderr) = Process::spawn_spare(&settings, &name, lease.port).await?;
            match process.word().await {
                Ok(word) if word == "ready" => Ok((process, (stdout, stderr))),
                Ok(_) => Err(SpareError::NotReady(limit)),
                Err(_) => Err(SpareError::Ended(last_words(process.ended().await, stderr).await)),
            }
        };
        let (process, output) = time::timeout(limit, waiting).await.map_err(|_| SpareError::NotReady(limit))??;
        Ok(Self { process, output, lease, name })
    }

    /// What `{name}` is in its command.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid.as_raw_pid().cast_unsigned()
    }

    /// Whether it is still there.
    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Ends it.
    pub async fn stop(mut self, grace: Duration) {
        self.process.stop(grace).await;
    }

    /// It becomes what `settings` say. In its command only `{port}` and `{name}` are as they were at its start.
    pub(super) async fn adopt(mut self, settings: &SuperviseSettings) -> io::Result<Adopted> {
        let who = settings.credentials;
        let set: serde_json::Map<_, _> = process::variables(settings, &self.name, self.lease.port)
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let gone = [PROGRAM, EAR].into_iter().map(str::to_owned).chain(settings.withhold_env.iter().cloned());
        let unset: Vec<_> = gone.filter(|name| !set.contains_key(name) && name != "PATH").collect();
        let folder = settings.working_dir.clone().unwrap_or_else(|| PathBuf::from("/"));
        let command = json!({
            "set": set,
            "unset": unset,
            "uid": who.map(|who| who.uid),
            "gid": who.map(|who| who.gid),
            "folder": folder,
        });
        let orders = process::orders(settings).words().into_iter().map(|word| word.to_string_lossy().into_owned());
        let call = Call { orders: orders.collect(), command: to_raw_value(&command)? };
        let told = async {
            self.process.tell(&serde_json::to_string(&call)?).await?;
            match self.process.word().await? {
                word if word == "adopted" => Ok(()),
                word => Err(io::Error::other(word.strip_prefix("error ").unwrap_or("it answered nonsense").to_owned())),
            }
        };
        if !self.lease.is_free() {
            return Err(io::Error::other(format!("somebody else listens on its port {}", self.lease.port)));
        }
        time::timeout(settings.stop_timeout + ADOPTION, told).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let (stdout, stderr) = self.output;
        Ok((self.process, stdout, stderr, self.lease))
    }
}

/// How it ended, and what it said last.
async fn last_words(exit: Exit, stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = time::timeout(ADOPTION, stderr.take(4096).read_to_end(&mut text)).await;
    // It knows no secrets yet, and what looks like one goes all the same.
    let redactor = Redactor::new([]);
    let said = text.split(|byte| *byte == b'\n').map(|line| redactor.line(line, false));
    let error = said.into_iter().find(|line| line.contains("pilotfish")).unwrap_or_default();
    if error.is_empty() { exit.to_string() } else { format!("{exit}: {error}") }
}

/// The script, and an empty folder for temporary files: the compiled code that is kept there makes the next spare quicker.
async fn furnish(folder: &Path) -> io::Result<PathBuf> {
    let blank = folder.join("blank");
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(&blank).await?;
    // Written beside and moved: another spare may be reading it.
    for (name, text) in [("package.json", PACKAGE), ("index.js", SCRIPT)] {
        let new = folder.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
        tokio::fs::write(&new, text).await?;
        tokio::fs::rename(&new, folder.join(name)).await?;
    }
    Ok(blank)
}
