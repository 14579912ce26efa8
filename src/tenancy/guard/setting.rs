//! Methods that change a session, or ask about the host, and what they may not touch.

use super::{Denied, Rules, fields::Fields, session, tree::Tree};

const REFUSED: (&str, &str) = ("param_refused", "leave this out: it reaches beyond the session");
const NOT_THAT: (&str, &str) =
    ("value_not_allowed", "this value reaches beyond the session or the host; use the other");
const LASTING: (&str, &str) =
    ("approval_lasts", "approve once or for the session; what is kept for a location is kept for everybody");

/// A method with a guard of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `session.options.update`: the keys that the SDK sends, no other.
    Options,
    /// Keys that have to be left out.
    Without(&'static [&'static str]),
    /// Keys that hold a host path.
    Paths(&'static [&'static str]),
    /// `session.provider.add`.
    Providers,
    /// A key that holds one word or nothing.
    Word(&'static str, &'static str),
    /// `session.permissions.handlePendingPermissionRequest`.
    Decision,
    /// `session.permissions.configure`.
    Permissions,
    /// `session.metadata.recordContextChange`.
    Context,
    /// `session.gitHubAuth.setCredentials`.
    Credentials,
}

/// The guard of `method`.
pub fn of(method: &str) -> Option<Setting> {
    Some(match method {
        "session.options.update" => Setting::Options,
        // They write settings of the host, some at a folder that the caller chooses.
        "session.model.switchTo" => Setting::Without(&["pickerPersistence", "repoScope", "modelChangeScope"]),
        "session.mode.set" => Setting::Without(&["pickerSettingsContext", "persistPlanSelection"]),
        "session.provider.add" => Setting::Providers,
        // Remote sessions are those of the service's account.
        "sessions.list" => Setting::Word("source", "local"),
        // The other scope is the location's: it lasts, and for every tenant.
        "session.permissions.modifyRules" => Setting::Word("scope", "session"),
        "session.permissions.handlePendingPermissionRequest" => Setting::Decision,
        "session.permissions.configure" => Setting::Permissions,
        // Both tell of any folder of the host.
        "session.permissions.folderTrust.isTrusted" => Setting::Paths(&["path"]),
        "session.permissions.locations.resolve" => Setting::Paths(&["workingDirectory"]),
        "session.metadata.recordContextChange" => Setting::Context,
        "session.gitHubAuth.setCredentials" => Setting::Credentials,
        _ => return None,
    })
}

impl Setting {
    /// Checks the params.
    pub fn check(self, params: &Tree<'_>, rules: &Rules) -> Result<(), Denied> {
        match self {
            Self::Options => options(params),
            Self::Without(keys) => without(params, keys),
            Self::Paths(keys) => paths(params, keys, rules),
            Self::Providers => providers(params, rules),
            Self::Word(key, word) => one_word(params, key, word),
            Self::Decision => decision(params),
            Self::Permissions => permissions(params, rules),
            Self::Context => inside(params, "context", rules, session::context),
            Self::Credentials => inside(params, "credentials", rules, session::credentials),
        }
    }
}

fn options(params: &Tree<'_>) -> Result<(), Denied> {
    const FREE: &[&str] = &[
        "sessionId",
        "skipCustomInstructions",
        "customAgentsLocalOnly",
        "coauthorEnabled",
        "manageScheduleEnabled",
        "includedBuiltinSkills",
    ];
    let fields = Fields::of(params, "params", &["sessionId", "installedPlugins"])?;
    let fine = |(key, value): &(&str, &Tree<'_>)| match *key {
        "installedPlugins" => matches!(value, Tree::Array(items) if items.is_empty()),
        key => FREE.contains(&key),
    };
    match fields.iter().find(|member| !fine(member)) {
        Some((key, _)) => Err(fields.deny(key, REFUSED)),
        None => Ok(()),
    }
}

fn without(params: &Tree<'_>, keys: &[&str]) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", keys)?;
    match keys.iter().find(|key| fields.get(key).is_some_and(|value| !value.is_off())) {
        Some(key) => Err(fields.deny(key, REFUSED)),
        None => Ok(()),
    }
}

fn paths(params: &Tree<'_>, keys: &[&str], rules: &Rules) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", keys)?;
    for key in keys {
        if let Some(value) = fields.get(key) {
            rules.roots.one(&fields.path(key), value)?;
        }
    }
    Ok(())
}

fn providers(params: &Tree<'_>, rules: &Rules) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &["providers", "provider", "baseUrl"])?;
    if let Some(list) = fields.get("providers") {
        session::providers(list, "params.providers", rules)?;
    }
    if let Some(one) = fields.get("provider") {
        session::provider(one, "params.provider", rules)?;
    }
    session::provider(params, "params", rules)
}

fn one_word(params: &Tree<'_>, key: &str, word: &str) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &[key])?;
    match fields.get(key) {
        Some(value) if value.text() != Some(word) => Err(fields.deny(key, NOT_THAT)),
        _ => Ok(()),
    }
}

/// An approval that is kept beyond the session is kept in the host's settings.
fn decision(params: &Tree<'_>) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &["result"])?;
    let Some(result) = fields.get("result") else { return Ok(()) };
    let result = Fields::of(result, "params.result", &["kind"])?;
    let lasts = |kind: &str| kind.contains("location") || kind.contains("permanent");
    match result.get("kind") {
        Some(kind) if kind.text().is_none_or(lasts) => Err(result.deny("kind", LASTING)),
        _ => Ok(()),
    }
}

/// Replaces the rules of the session: its folders stay below the roots, and no rule is switched off as a whole.
fn permissions(params: &Tree<'_>, rules: &Rules) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &["paths", "urls"])?;
    for key in ["paths", "urls"] {
        let Some(part) = fields.get(key) else { continue };
        let path = fields.path(key);
        let part = Fields::of(part, &path, &["unrestricted", "additionalDirectories", "workspacePath"])?;
        if part.get("unrestricted").is_some_and(|value| !value.is_off()) {
            return Err(part.deny("unrestricted", REFUSED));
        }
        if key == "paths" {
            folders(&part, rules)?;
        }
    }
    Ok(())
}

fn folders(part: &Fields<'_, '_>, rules: &Rules) -> Result<(), Denied> {
    for key in ["additionalDirectories", "workspacePath"] {
        if let Some(value) = part.get(key) {
            rules.roots.many(&part.path(key), value)?;
        }
    }
    Ok(())
}

type Check = fn(&Tree<'_>, &str, &Rules) -> Result<(), Denied>;

fn inside(params: &Tree<'_>, key: &str, rules: &Rules, check: Check) -> Result<(), Denied> {
    let fields = Fields::of(params, "params", &[key])?;
    fields.get(key).map_or(Ok(()), |value| check(value, &fields.path(key), rules))
}
