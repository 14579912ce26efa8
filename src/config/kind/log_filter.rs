//! The level of the log.

use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use super::Kind;
use crate::config::{
    problem::nearest,
    reader::{Reader, Spot},
};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// A level, or directives such as `info,pilotfish::health=debug`.
pub(in crate::config) fn log_filter() -> LogFilter {
    LogFilter
}

pub(in crate::config) struct LogFilter;

impl Kind for LogFilter {
    type Value = String;

    fn expects(&self) -> String {
        format!("one of {}, or directives such as \"info,pilotfish::health=debug\"", LEVELS.join(", "))
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().unwrap_or_default();
        // A lone word that is no level would be taken for a module at full verbosity: near a level it is a slip.
        let levels = text.split(',').map(|part| part.rsplit('=').next().unwrap_or(part).trim());
        let slip = levels.filter(|word| !is_level(word)).find_map(|word| nearest(word, LEVELS));
        let right = !text.trim().is_empty() && slip.is_none() && EnvFilter::builder().parse(text).is_ok();
        let hint = slip.map(|level| format!("did you mean `{level}`?"));
        right.then(|| text.to_owned()).or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> String {
        "info".to_owned()
    }
}
