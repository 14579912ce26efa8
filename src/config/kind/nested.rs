//! Tables in tables, arrays of tables, tables by name, and keys that may be left out.

use std::{collections::BTreeMap, marker::PhantomData};

use toml::de::DeValue;

use super::{Kind, Shape, name::name};
use crate::config::{
    reader::{Reader, Spot},
    section::Section,
};

/// A key that may be left out.
pub(in crate::config) fn optional<K: Kind>(kind: K) -> Optional<K> {
    Optional(kind)
}

pub(in crate::config) struct Optional<K>(K);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn expects(&self) -> String {
        self.0.expects()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value> {
        self.0.read(reader, spot, value).map(Some)
    }

    fn stand_in(&self) -> Self::Value {
        None
    }

    fn notes(&self) -> Vec<String> {
        self.0.notes()
    }

    fn shape(&self) -> Shape {
        match self.0.shape() {
            Shape::Table(outline) => Shape::TableOrNone(outline),
            other => other,
        }
    }
}

/// One table.
pub(in crate::config) fn table<T: Section>() -> Table<T> {
    Table(PhantomData)
}

/// One table that may be left out.
pub(in crate::config) fn table_or_none<T: Section>() -> Optional<Table<T>> {
    optional(table())
}

pub(in crate::config) struct Table<T>(PhantomData<T>);

impl<T: Section> Kind for Table<T> {
    type Value = T;

    fn expects(&self) -> String {
        "a table".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<T> {
        match value.as_table() {
            Some(table) => Some(T::read(reader, table, spot)),
            None => {
                let hint = value.is_array().then(|| format!("write [{}] with single brackets", spot.path));
                self.refuse(reader, spot, value, hint)
            }
        }
    }

    fn stand_in(&self) -> T {
        T::stand_in()
    }

    fn shape(&self) -> Shape {
        Shape::Table(T::outline)
    }
}

/// An array of tables.
pub(in crate::config) fn list_of<T: Section>() -> ListOf<T> {
    ListOf(PhantomData)
}

pub(in crate::config) struct ListOf<T>(PhantomData<T>);

impl<T: Section> Kind for ListOf<T> {
    type Value = Vec<T>;

    fn expects(&self) -> String {
        "an array of tables".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Vec<T>> {
        let Some(items) = value.as_array() else {
            let hint = value.is_table().then(|| format!("write [[{}]] with double brackets", spot.path));
            return self.refuse(reader, spot, value, hint);
        };
        // A refused element leaves a stand-in, so that the others keep their index in the paths of problems.
        let items = items.iter().enumerate();
        Some(items.map(|(index, item)| reader.value(&spot.element(index, item.span()), &table(), item)).collect())
    }

    fn stand_in(&self) -> Vec<T> {
        Vec::new()
    }

    fn shape(&self) -> Shape {
        Shape::Tables(T::outline)
    }
}

/// Tables by names that the operator chooses.
pub(in crate::config) fn map_of<T: Section>() -> MapOf<T> {
    MapOf(PhantomData)
}

pub(in crate::config) struct MapOf<T>(PhantomData<T>);

impl<T: Section> Kind for MapOf<T> {
    type Value = BTreeMap<String, T>;

    fn expects(&self) -> String {
        "tables by name".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value> {
        let Some(items) = value.as_table() else {
            let hint = value.is_array().then(|| format!("write [{}.NAME] with single brackets", spot.path));
            return self.refuse(reader, spot, value, hint);
        };
        let mut taken = BTreeMap::new();
        for (key, item) in items.iter() {
            if !name().allows(key.get_ref()) {
                let at = spot.key(key.get_ref(), key.span());
                reader.refuse(&at, super::quote(key.get_ref()), name().expects(), None);
            }
            let at = spot.key(key.get_ref(), item.span());
            taken.insert(key.get_ref().to_string(), reader.value(&at, &table(), item));
        }
        Some(taken)
    }

    fn stand_in(&self) -> Self::Value {
        BTreeMap::new()
    }

    fn shape(&self) -> Shape {
        Shape::NamedTables(T::outline)
    }
}
