//! Enumerations.

use std::marker::PhantomData;

use toml::de::DeValue;

use super::Kind;
use crate::config::{
    problem::nearest,
    reader::{Reader, Spot},
};

/// An enum made by `choice!`: each variant, its word in the file, and its sentence.
pub(in crate::config) trait Choice: Copy + 'static {
    const ALL: &'static [(Self, &'static str, &'static str)];
}

/// Declares an enum whose variants have words in the file. The first one stands in where a value was refused.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident { $( #[doc = $variant_doc:literal] $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( #[doc = $variant_doc] $variant, )+ }

        impl $crate::config::kind::Choice for $name {
            const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$variant, $word, $variant_doc),)+];
        }

        impl $name {
            /// The word that the file has for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}
pub(in crate::config) use choice;

/// One of the words of `T`.
pub(in crate::config) fn one_of<T: Choice>() -> OneOf<T> {
    OneOf(PhantomData)
}

pub(in crate::config) struct OneOf<T>(PhantomData<T>);

impl<T: Choice> Kind for OneOf<T> {
    type Value = T;

    fn expects(&self) -> String {
        let words: Vec<String> = T::ALL.iter().map(|(_, word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<T> {
        let given = value.as_str().unwrap_or_default();
        let found = T::ALL.iter().find(|(_, word, _)| *word == given).map(|(variant, _, _)| *variant);
        let near = nearest(given, T::ALL.iter().map(|(_, word, _)| *word));
        let hint = near.map(|word| format!("did you mean `{word}`?"));
        found.or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> T {
        T::ALL[0].0
    }

    fn notes(&self) -> Vec<String> {
        T::ALL.iter().map(|(_, word, doc)| format!("  \"{word}\": {}", doc.trim())).collect()
    }
}
