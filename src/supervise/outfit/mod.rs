//! What one identity's CLI is given: its home, its user, its token, its limits.
//!
//! # Layout
//! - `template`: texts with `{tenant}` and `{user}` in them.
//! - `token`: where a GitHub token comes from.
//! - `home`: the folder that is its own.
//! - `uids`: a user id for each home.
//! - `programs`: one copy of the CLI's own files for all.
//! - `group`: the control group below which theirs are made.
//! - `kit`: all of it for one start.

mod group;
mod home;
mod kit;
mod programs;
mod template;
mod token;
mod uids;

use std::{io, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::OnceCell;

pub use self::{
    kit::Kit,
    token::{TokenError, TokenPrint, TokenSource},
};
use self::{template::Template, token::Tokens};
use super::{
    settings::{Credentials, Limits, SuperviseSettings},
    spare::{Spare, SpareError},
};
use crate::model::Identity;

/// How identities are outfitted.
#[derive(Clone, Debug)]
pub struct OutfitSettings {
    /// Their homes, with `{tenant}` and `{user}`.
    pub home: String,
    /// Where their GitHub tokens come from.
    pub token: TokenSource,
    /// Whether one without a token is refused.
    pub token_required: bool,
    /// How long a helper may take that prints one.
    pub token_timeout: Duration,
    /// The user ids that they get, one each; ours if not given.
    pub uids: Option<RangeInclusive<u32>>,
    /// The group of all of them; the number of the user id if not given.
    pub gid: Option<u32>,
    /// What each may use.
    pub limits: Limits,
    /// The program that they run, whose files they share.
    pub program: String,
}

/// Why an identity cannot have a CLI. The operator's to mend; nothing secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum OutfitError {
    /// Its name cannot be a part of a path.
    #[error("the name `{0}` cannot be the name of a folder")]
    Name(String),
    /// Its home.
    #[error("the home {}: {why}", path.display())]
    Home {
        /// Where it would be.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Its user id.
    #[error("no user id is free: the {0} of `uid_range` belong to other homes")]
    Uids(u64),
    /// We are not root.
    #[error("`uid_range` needs root, and pilotfish does not run as root")]
    NotRoot,
    /// Its token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A folder of our own.
    #[error("{}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// Outfits identities.
#[derive(Debug)]
pub struct Outfitter {
    home: Template,
    tokens: Tokens,
    settings: OutfitSettings,
    /// One at a time gets a user id.
    allocation: tokio::sync::Mutex<()>,
    common: OnceCell<Common>,
}

/// What is made once for all of them.
#[derive(Clone, Debug, Default)]
struct Common {
    programs: Option<PathBuf>,
    group: Option<PathBuf>,
}

impl Outfitter {
    /// Does nothing yet.
    pub fn new(settings: OutfitSettings) -> Arc<Self> {
        let tokens = Tokens::new(settings.token.clone(), settings.token_required, settings.token_timeout);
        let (allocation, common) = (tokio::sync::Mutex::default(), OnceCell::new());
        Arc::new(Self { home: Template::new(&settings.home), tokens, settings, allocation, common })
    }

    /// All that a CLI of `who` needs. Its home is there afterwards.
    ///
    /// # Errors
    /// It cannot have one.
    pub async fn kit(&self, who: &Identity) -> Result<Kit, OutfitError> {
        let path = self.home.fill(who)?;
        let token = self.tokens.of(who).await?;
        let common = self.common().await;
        let credentials = self.home(&path).await?;
        let mut limits = self.settings.limits.clone();
        limits.cgroup = common.group.clone();
        Ok(Kit::new(path, token, credentials, limits, common.programs.clone()))
    }

    /// What the token of `who` looks like now, to be compared with [`Kit::print`].
    ///
    /// # Errors
    /// The token cannot be had now, which says nothing of whether it has changed.
    pub async fn print(&self, who: &Identity) -> Result<Option<TokenPrint>, OutfitError> {
        self.home.fill(who)?;
        Ok(self.tokens.of(who).await?.as_ref().map(TokenPrint::of))
    }

    /// Starts a CLI for whoever comes next. `pool` is what all of them have.
    ///
    /// # Errors
    /// See [`Spare::start`].
    pub async fn spare(&self, mut pool: SuperviseSettings, name: Arc<str>) -> Result<Spare, SpareError> {
        programs::offer(&mut pool, self.common().await.programs.as_deref());
        pool.sealed = self.settings.uids.is_some();
        let own = self.own_folder();
        home::passage(&own).map_err(io::Error::other)?;
        Spare::start(pool, name, &own.join("spare")).await
    }

    /// The folder beside the homes that is ours.
    fn own_folder(&self) -> PathBuf {
        self.home.fixed().join(home::OWN)
    }

    async fn common(&self) -> &Common {
        self.common
            .get_or_init(async || {
                let group =
                    self.settings.limits.needs_group().then(|| group::base(self.settings.limits.cgroup.as_deref()));
                let programs = programs::share(&self.settings.program, &self.own_folder()).await;
                Common { programs, group: group.flatten() }
            })
            .await
    }

    async fn home(&self, path: &std::path::Path) -> Result<Option<Credentials>, OutfitError> {
        let _one = self.allocation.lock().await;
        let (home, template) = (path.to_owned(), self.home.clone());
        let (uids, gid) = (self.settings.uids.clone(), self.settings.gid);
        let made = tokio::task::spawn_blocking(move || match uids {
            None => home::make(&home, None).map(|()| None),
            Some(uids) => uids::settle(&home, &template, &uids, gid).map(Some),
        });
        made.await.unwrap_or_else(|error| {
            Err(OutfitError::Folder { path: path.to_owned(), error: io::Error::other(error.to_string()) })
        })
    }
}

#[cfg(test)]
mod tests;
