//! The form of session ids that say whose they are.

use toml::de::DeValue;

use super::Kind;
use crate::config::reader::{Reader, Spot};

/// `{tenant}--`, or `{tenant}--{user}--`; the delimiter is a run of `-` or of `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// As the file has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether ids name the user too.
    pub fn has_user(&self) -> bool {
        self.0.contains("{user}")
    }
}

impl Default for Template {
    fn default() -> Self {
        Self("{tenant}--".to_owned())
    }
}

/// The beginning of session ids.
pub(in crate::config) fn template() -> TemplateKind {
    TemplateKind
}

pub(in crate::config) struct TemplateKind;

impl Kind for TemplateKind {
    type Value = Template;

    fn expects(&self) -> String {
        "\"{tenant}--\" or \"{tenant}--{user}--\", where `--` may be any run of 1 to 8 `-` or `_`".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Template> {
        let text = value.as_str().unwrap_or_default();
        match wrong(text) {
            None => Some(Template(text.to_owned())),
            Some(hint) => self.refuse(reader, spot, value, hint),
        }
    }

    fn stand_in(&self) -> Template {
        Template::default()
    }
}

/// `None`: it is right. Otherwise a hint, if there is one.
fn wrong(text: &str) -> Option<Option<String>> {
    let Some(rest) = text.strip_prefix("{tenant}") else {
        let hint = if text.contains("{tenant}") { "it begins with `{tenant}`" } else { "`{tenant}` is missing" };
        return Some(Some(hint.to_owned()));
    };
    let (delimiter, second) = match rest.split_once("{user}") {
        Some((first, second)) => (first, Some(second)),
        None => (rest, None),
    };
    if !is_delimiter(delimiter) || second.is_some_and(|second| !is_delimiter(second)) {
        return Some(Some("behind each name stands a delimiter such as `--`".to_owned()));
    }
    let alike = second.is_none_or(|second| second == delimiter);
    (!alike).then(|| Some("both delimiters are the same".to_owned()))
}

fn is_delimiter(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|first| matches!(first, b'-' | b'_') && text.len() <= 8 && text.bytes().all(|b| b == first))
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn templates() {
        for text in ["{tenant}--", "{tenant}-", "{tenant}__{user}__"] {
            assert_eq!(wrong(text), None, "{text}");
        }
        let refused = [
            "",
            "--",
            "x{tenant}--",
            "{tenant}",
            "{tenant}-_",
            "{tenant}.",
            "{tenant}--{user}",
            "{tenant}{user}--",
            "{tenant}--{user}-",
            "{tenant}--{user}--{user}--",
            "{tenant}---------",
            "{tenant}--{tenant}--",
            "{user}--",
        ];
        for text in refused {
            assert!(wrong(text).is_some(), "{text}");
        }
    }
}
