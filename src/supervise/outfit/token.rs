//! Where the GitHub token of an identity comes from.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time,
};

use super::template::{Template, fill};
use crate::{
    model::{Identity, Secret},
    supervise::redact::Redactor,
    tenancy::TokenDigest,
};

/// No token is longer.
const LONGEST: u64 = 64 << 10;

/// Where tokens come from.
#[derive(Clone, Debug, Default)]
pub enum TokenSource {
    /// Nobody has one.
    #[default]
    None,
    /// Each has a file; `{tenant}` and `{user}` are filled in. One without a file has no token.
    File(String),
    /// By tenant, or tenant and user, as `tenant/user`.
    Given(BTreeMap<String, Secret>),
    /// A program prints it; `{tenant}` and `{user}` are filled in. Printing nothing says that there is none.
    Command(Vec<String>),
}

/// Why a token cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file is there and is no token.
    #[error("the token file {} {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The end of the sentence.
        why: String,
    },
    /// There is none, and one is needed.
    #[error("there is no GitHub token for {0}")]
    Missing(Identity),
    /// There is no such program, or it may not be run.
    #[error("token_command could not be started: {0}")]
    NotStarted(io::Error),
    /// It said so.
    #[error("token_command failed: {0}")]
    Failed(ExitStatus),
    /// It was killed, with all that it started.
    #[error("token_command did not end within {}s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It printed something else.
    #[error("token_command printed {0}")]
    Output(&'static str),
}

/// Tells two tokens apart, and says nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPrint(TokenDigest);

impl TokenPrint {
    pub(super) fn of(token: &Secret) -> Self {
        Self(TokenDigest::of(token.expose().as_bytes()))
    }
}

impl fmt::Debug for TokenPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenPrint(***)")
    }
}

impl FromIterator<(String, Secret)> for TokenSource {
    fn from_iter<T: IntoIterator<Item = (String, Secret)>>(tokens: T) -> Self {
        Self::Given(tokens.into_iter().collect())
    }
}

#[derive(Debug)]
pub(super) struct Tokens {
    source: TokenSource,
    required: bool,
    timeout: Duration,
}

impl Tokens {
    pub fn new(source: TokenSource, required: bool, timeout: Duration) -> Self {
        Self { source, required, timeout }
    }

    /// The token of `who` now.
    pub async fn of(&self, who: &Identity) -> Result<Option<Secret>, TokenError> {
        let token = match &self.source {
            TokenSource::None => None,
            TokenSource::File(template) => from_file(template, who).await?,
            TokenSource::Given(tokens) => {
                let own = who.user.is_some().then(|| tokens.get(&who.to_string())).flatten();
                own.or_else(|| tokens.get(&*who.tenant)).cloned()
            }
            TokenSource::Command(words) => from_command(words, who, self.timeout).await?,
        };
        if token.is_none() && self.required { Err(TokenError::Missing(who.clone())) } else { Ok(token) }
    }
}

async fn from_file(template: &str, who: &Identity) -> Result<Option<Secret>, TokenError> {
    // The names were looked at when the home's path was made.
    let path = Template::new(template).fill(who).unwrap_or_default();
    let wrong = |why: String| TokenError::File { path: path.clone(), why };
    let read = async {
        let metadata = tokio::fs::metadata(&path).await?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = Vec::new();
        tokio::fs::File::open(&path).await?.take(LONGEST + 1).read_to_end(&mut text).await?;
        Ok(text)
    };
    match read.await {
        Ok(text) => token_of(text).map_err(|what| wrong(format!("holds {what}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(format!("cannot be read: {error}"))),
    }
}

async fn from_command(words: &[String], who: &Identity, timeout: Duration) -> Result<Option<Secret>, TokenError> {
    let mut filled = words.iter().map(|word| fill(word, who));
    let mut command = Command::new(filled.next().unwrap_or_default());
    command.args(filled).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command.env("PILOTFISH_TENANT", &*who.tenant).env("PILOTFISH_USER", who.user.as_deref().unwrap_or_default());
    let mut running = Running(command.spawn().map_err(TokenError::NotStarted)?);
    let (mut text, mut complaint) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (running.0.stdout.take(), running.0.stderr.take());
    let talk = async {
        let said = async {
            if let Some(stdout) = stdout {
                stdout.take(LONGEST + 1).read_to_end(&mut text).await?;
            }
            io::Result::Ok(())
        };
        let complained = async {
            if let Some(stderr) = stderr {
                stderr.take(LONGEST).read_to_end(&mut complaint).await?;
            }
            io::Result::Ok(())
        };
        let (said, _, status) = tokio::join!(said, complained, running.0.wait());
        said.and(status)
    };
    let status = time::timeout(timeout, talk).await.map_err(|_| TokenError::TimedOut(timeout))?;
    let status = status.map_err(TokenError::NotStarted)?;
    let token = token_of(text);
    log(&complaint, token.as_ref().ok().and_then(Option::as_ref), who);
    let token = token.map_err(TokenError::Output)?;
    if status.success() { Ok(token) } else { Err(TokenError::Failed(status)) }
}

/// Its complaints are for the operator. A helper may well print what it should not.
fn log(complaint: &[u8], token: Option<&Secret>, who: &Identity) {
    let redactor = Redactor::new(token);
    for line in complaint.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(20) {
        tracing::warn!(tenant = %who, line = redactor.line(line, false), "token_command said");
    }
}

/// One line without its end; nothing is no token.
fn token_of(text: Vec<u8>) -> Result<Option<Secret>, &'static str> {
    if text.len() as u64 > LONGEST {
        return Err("more than 64KiB");
    }
    let text = String::from_utf8(text).map_err(|_| "something that is not text")?;
    let line = text.trim_end_matches(['\n', '\r']);
    if line.contains(|c: char| c.is_control()) {
        return Err("more than one line");
    }
    Ok((!line.is_empty()).then(|| Secret::new(line)))
}

/// A command that runs: dropped, its whole group is killed, and with it whatever it left behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // No id: it was waited for, and the number may be another's by now.
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
