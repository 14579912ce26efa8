//! What can be wrong with a config file, and how it is told.

use std::fmt;

/// How much a [`Problem`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; the operator should look at this.
    Warning,
}

/// One thing that is wrong in one place of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named to us.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 when the whole file is meant.
    pub column: usize,
    /// Refusal or advice.
    pub severity: Severity,
    /// Full path of the key, such as `pool.copilot.backends[1].address`; empty for syntax errors.
    pub key: String,
    /// What the file says. Never the text of a secret.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// How to get there, if we can guess it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(match self.severity {
            Severity::Error => ": error: ",
            Severity::Warning => ": warning: ",
        })?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}; expected {}", self.found, self.expected)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why a file was refused: every problem of it, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.errors, .warnings))]
pub struct Problems {
    /// At least one.
    pub errors: Vec<Problem>,
    /// What would have been warned of if the file had been taken.
    pub warnings: Vec<Problem>,
}

fn lines(errors: &[Problem], warnings: &[Problem]) -> String {
    let all: Vec<String> = errors.iter().chain(warnings).map(Problem::to_string).collect();
    all.join("\n")
}

/// "did you mean": the member of `known` that `given` is most likely a slip of.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let given = plain(given);
    if given.len() > 64 {
        return None;
    }
    let scored = known.into_iter().map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    let tolerance = (given.chars().count().max(name.len()) / 3).max(1);
    (distance <= tolerance).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["interval", "timeout", "rise", "max_frame"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("Timeout", known), Some("timeout"));
        assert_eq!(nearest("max-frame", known), Some("max_frame"));
        assert_eq!(nearest("rsie", known), Some("rise"));
        assert_eq!(nearest("port", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
