//! Slash commands by name: some of them do what a denied method does (`allow-all`, `cwd`, `plugin`, `share`).

use super::{Denied, GuardError, fields::Fields, tree::Tree};

/// The commands that reach no further than their own session; every other of the CLI's 32 reads or changes the host, its
/// settings, GitHub, or other sessions (`chronicle`, `session delete`).
pub const HARMLESS_COMMANDS: &[&str] = &[
    // Shortens its own history, as `session.history.compact` does.
    "compact",
    // Shows how full its own context is.
    "context",
    // Sets its own mode and asks the model.
    "plan",
    // Names itself, as `session.name.set` does.
    "rename",
    // Forgets its own approvals.
    "reset-allowed-tools",
    // Prompts for the model; the tools they lead to ask as ever.
    "review",
    "security-review",
    // Shows its own numbers.
    "usage",
];

const NOT_ALLOWED: (&str, &str) = ("command_not_allowed", "this slash command is not on the tenant's list");
const NOT_TEXT: (&str, &str) = ("not_a_command", "send the command as text");

/// The commands that a tenant may run.
#[derive(Clone, Debug)]
pub struct Commands {
    allowed: Vec<String>,
}

impl Commands {
    /// The harmless ones and `more`.
    pub fn new(more: &[String]) -> Self {
        let harmless = HARMLESS_COMMANDS.iter().map(|name| (*name).to_owned());
        Self { allowed: harmless.chain(more.iter().filter_map(|name| name_of(name))).collect() }
    }

    /// Whether `name` names one command.
    pub fn check(name: &str) -> Result<(), GuardError> {
        let plain = name_of(name).is_some() && !name.trim().contains(char::is_whitespace);
        if plain { Ok(()) } else { Err(GuardError::Command(name.to_owned())) }
    }

    /// The command at `params.{key}`.
    pub fn check_params(&self, params: &Tree<'_>, key: &str) -> Result<(), Denied> {
        let fields = Fields::of(params, "params", &[key, "sessionId"])?;
        // Without it there is nothing to run, and the runtime says so better.
        let Some(value) = fields.get(key) else { return Ok(()) };
        let text = value.text().ok_or_else(|| fields.deny(key, NOT_TEXT))?;
        let allowed = name_of(text).is_some_and(|name| self.allowed.contains(&name));
        if allowed { Ok(()) } else { Err(fields.deny(key, NOT_ALLOWED)) }
    }
}

/// The first word as the runtime reads it: without blanks around it, any number of `/` before it, in any case.
fn name_of(text: &str) -> Option<String> {
    let word = text.trim().trim_start_matches('/').split(char::is_whitespace).next().unwrap_or_default();
    let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte));
    plain.then(|| word.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_runtime_reads_them() {
        for text in ["usage", "/usage", "//USAGE", " usage ", "/Usage now", "usage\tx"] {
            assert_eq!(name_of(text).as_deref(), Some("usage"), "{text}");
        }
        for text in ["", "/", "  ", "/ usage", "usage\u{0}", "usagé", "us\u{200b}age", "a/b"] {
            assert_ne!(name_of(text).as_deref(), Some("usage"), "{text}");
        }
    }

    #[test]
    fn a_setting_is_one_name() {
        assert!(Commands::check("deploy").is_ok() && Commands::check("/Deploy").is_ok());
        assert!(
            Commands::check("deploy now").is_err() && Commands::check("").is_err() && Commands::check("*").is_err()
        );
    }
}
