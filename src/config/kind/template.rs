//! The form of session ids that say whose they are.

use toml::de::DeValue;

use super::Kind;
use crate::{
    config::reader::{Reader, Spot},
    tenancy::NamingRule,
};

/// `{tenant}--`, or `{tenant}--{user}--`; the delimiter is a run of `-` or of `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    rule: NamingRule,
}

impl Template {
    /// What ids look like without a setting.
    pub const DEFAULT: &str = "{tenant}--";

    /// As the file has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says about ids and names.
    pub fn rule(&self) -> &NamingRule {
        &self.rule
    }

    fn new(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), rule: NamingRule::prefix(text).ok()? })
    }
}

impl Default for Template {
    fn default() -> Self {
        // The default is a template, as a test shows: the other branch is never taken.
        Self::new(Self::DEFAULT).unwrap_or(Self { text: String::new(), rule: NamingRule::registry() })
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
        Template::new(text).or_else(|| self.refuse(reader, spot, value, Some(hint(text).to_owned())))
    }

    fn stand_in(&self) -> Template {
        Template::default()
    }
}

fn hint(text: &str) -> &'static str {
    let Some(rest) = text.strip_prefix("{tenant}") else {
        return if text.contains("{tenant}") { "it begins with `{tenant}`" } else { "`{tenant}` is missing" };
    };
    match rest.split_once("{user}") {
        Some((first, second)) if !first.is_empty() && !second.is_empty() && first != second => {
            "both delimiters are the same"
        }
        _ => "behind each name stands a delimiter such as `--`",
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn templates() {
        for text in ["{tenant}--", "{tenant}-", "{tenant}__{user}__"] {
            assert_eq!(Template::new(text).map(|template| template.text).as_deref(), Some(text));
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
            assert_eq!(Template::new(text), None, "{text}");
        }
        assert_eq!(Template::default().as_str(), Template::DEFAULT);
    }
}
