//! Arrays of values of one kind.

use toml::de::DeValue;

use super::Kind;
use crate::config::reader::{Reader, Spot};

/// An array of `kind`.
pub(in crate::config) fn list<K: Kind>(kind: K) -> List<K> {
    List(kind)
}

pub(in crate::config) struct List<K>(K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn expects(&self) -> String {
        format!("an array, each {}", self.0.expects())
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value> {
        let Some(items) = value.as_array() else {
            // Not shown: where tokens are expected, it may be one.
            reader.refuse(spot, value.type_str().to_owned(), self.expects(), Some("write [ ... ]".to_owned()));
            return None;
        };
        // A refused element leaves a stand-in, so that the others keep their index in the paths of problems.
        let items = items.iter().enumerate();
        Some(items.map(|(index, item)| reader.value(&spot.element(index, item.span()), &self.0, item)).collect())
    }

    fn stand_in(&self) -> Self::Value {
        Vec::new()
    }

    fn notes(&self) -> Vec<String> {
        self.0.notes()
    }
}
