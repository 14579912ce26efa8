//! All that one start of an identity's CLI needs.

use std::path::{Path, PathBuf};

use super::{programs, token::TokenPrint};
use crate::{
    model::Secret,
    supervise::settings::{Credentials, EnvValue, Limits, SuperviseSettings},
};

/// The variable in which the CLI looks for its token first.
const TOKEN: &str = "COPILOT_GITHUB_TOKEN";
/// Those in which it looks then, and tools look too.
const OTHER_TOKENS: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];

/// What one identity's CLI is given.
#[derive(Debug)]
pub struct Kit {
    home: PathBuf,
    token: Option<Secret>,
    credentials: Option<Credentials>,
    limits: Limits,
    programs: Option<PathBuf>,
}

impl Kit {
    pub(super) fn new(
        home: PathBuf,
        token: Option<Secret>,
        credentials: Option<Credentials>,
        limits: Limits,
        programs: Option<PathBuf>,
    ) -> Self {
        Self { home, token, credentials, limits, programs }
    }

    /// Its home, which is there.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What its token looks like.
    pub fn print(&self) -> Option<TokenPrint> {
        self.token.as_ref().map(TokenPrint::of)
    }

    /// The settings of its supervisor: those of the pool, and what is its own.
    pub fn dress(self, mut settings: SuperviseSettings) -> SuperviseSettings {
        let home = self.home.display().to_string();
        let plain = |name: &str, value: String| (name.to_owned(), EnvValue::Plain(value));
        let own = [plain("HOME", home.clone()), plain("TMPDIR", format!("{home}/tmp"))];
        settings.env.retain(|(name, _)| !own.iter().any(|(own, _)| own == name));
        settings.env.extend(own);
        programs::offer(&mut settings, self.programs.as_deref());
        // A token of pilotfish's own environment is nobody's.
        let unset = OTHER_TOKENS.into_iter().chain([TOKEN]).filter(|name| !has(&settings, name)).map(str::to_owned);
        let unset: Vec<_> = unset.collect();
        settings.withhold_env.extend(unset);
        if let Some(token) = self.token {
            settings.env.retain(|(name, _)| name != TOKEN);
            settings.env.push((TOKEN.to_owned(), EnvValue::Secret(token)));
        }
        settings.working_dir.get_or_insert_with(|| self.home.clone());
        settings.copilot_home = Some(home);
        settings.lock = Some(self.home);
        settings.private = true;
        settings.credentials = self.credentials;
        settings.sealed = self.credentials.is_some();
        settings.limits = self.limits;
        settings
    }
}

fn has(settings: &SuperviseSettings, name: &str) -> bool {
    settings.env.iter().any(|(set, _)| set == name)
}
