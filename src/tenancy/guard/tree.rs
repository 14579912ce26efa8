//! A JSON body as the guards read it: borrowed where no escape stands, so that megabytes of base64 are not copied.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One JSON value. Members stay in their order, doubles too: [`super::fields::Fields`] refuses them where a guard looks.
#[derive(Debug)]
pub enum Tree<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number; no guard wants to know which.
    Number,
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Tree<'a>>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// The `params` of a request. `None` for what is no JSON object or has `params` twice; `Null` where it has none.
    pub fn params(body: &'a [u8]) -> Option<Self> {
        let Ok(Self::Object(members)) = serde_json::from_slice(body) else { return None };
        let mut found = members.into_iter().filter(|(key, _)| key == "params").map(|(_, value)| value);
        match (found.next(), found.next()) {
            (None, _) => Some(Self::Null),
            (found, None) => found,
            (Some(_), Some(_)) => None,
        }
    }

    /// Whether it says nothing: `null` or `false`.
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Null | Self::Flag(false))
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Tree::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Tree::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Tree::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Tree::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Tree::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::new();
        while let Some(Key(key)) = members.next_key()? {
            object.push((key, members.next_value()?));
        }
        Ok(Tree::Object(object))
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(TreeVisitor)? {
            Tree::Text(text) => Ok(Self(text)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_read() {
        let body = br#"{"params":{"a":"plain","\u0062":"\u0041"}}"#;
        let Some(Tree::Object(members)) = Tree::params(body) else { panic!() };
        assert!(matches!(&members[0], (Cow::Borrowed("a"), Tree::Text(Cow::Borrowed("plain")))));
        assert_eq!(members[1].0, "b");
        assert_eq!(members[1].1.text(), Some("A"));
    }

    #[test]
    fn params_stand_once_in_an_object() {
        for body in [
            "[]",
            "5",
            r#"["2.0","m",1,{}]"#,
            r#"{"params":{},"par\u0061ms":{}}"#,
            "{",
            "\"x\"",
            r#"{"params":"\ud800"}"#,
        ] {
            assert!(Tree::params(body.as_bytes()).is_none(), "{body}");
        }
        assert!(matches!(Tree::params(b"{}"), Some(Tree::Null)));
        assert!(matches!(Tree::params(b"{\"params\":[1,-1,1.5]}"), Some(Tree::Array(_))));
    }
}
