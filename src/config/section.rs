//! Tables of the file, each declared once.
//!
//! `section!` makes from one declaration the struct that the program uses, the reader of the table,
//! the list of its keys for the unknown-key check, and the text of the annotated sample.

use toml::de::DeTable;

use super::{
    kind::{Kind, Shape},
    problem::nearest,
    reader::{Reader, Spot},
};

/// What holds when the file does not have a key. All texts are TOML values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// The file is refused; the text is an example for the operator.
    Required(String),
    /// Nothing is set; the text is an example for the sample.
    Absent(String),
    /// This value.
    Default(String),
}

/// The key has to be there.
pub(super) fn required(example: &str) -> Fallback {
    Fallback::Required(example.to_owned())
}

/// The key may be left out, and then has no value.
pub(super) fn absent(example: &str) -> Fallback {
    Fallback::Absent(example.to_owned())
}

/// A default that TOML writes in quotes.
pub(super) fn text(default: &str) -> Fallback {
    Fallback::Default(format!("{default:?}"))
}

/// Any other default.
pub(super) fn value(default: &str) -> Fallback {
    Fallback::Default(default.to_owned())
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub doc: Vec<&'static str>,
    pub expects: String,
    pub notes: Vec<String>,
    pub fallback: Fallback,
    pub shape: Shape,
}

impl Key {
    /// Describes a key by its kind.
    pub fn new<K: Kind>(name: &'static str, doc: &[&'static str], kind: &K, fallback: Fallback) -> Self {
        let doc = doc.iter().map(|line| line.trim()).collect();
        Self { name, doc, expects: kind.expects(), notes: kind.notes(), fallback, shape: kind.shape() }
    }
}

/// A table: its sentence and its keys.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub doc: Vec<&'static str>,
    pub keys: Vec<Key>,
}

impl Outline {
    /// The path, relative to this table, of a key that belongs deeper down and was written here.
    fn path_of(&self, key: &str) -> Option<String> {
        let tables = self.keys.iter().filter_map(|k| match k.shape {
            Shape::Table(outline) => Some((k.name, outline())),
            _ => None,
        });
        tables.into_iter().find_map(|(name, outline)| {
            if outline.keys.iter().any(|k| k.name == key) {
                return Some(format!("{name}.{key}"));
            }
            outline.path_of(key).map(|deeper| format!("{name}.{deeper}"))
        })
    }
}

/// A struct made by `section!`.
pub(super) trait Section: Sized {
    /// What the table is for, and its keys.
    fn outline() -> Outline;
    /// Reads every key; what is refused is reported and stood in for.
    fn read_keys(reader: &mut Reader<'_>, table: &DeTable<'_>, spot: &Spot) -> Self;
    /// The value in place of a table that was refused as a whole.
    fn stand_in() -> Self;

    /// Reads the table at `spot` and refuses the keys that it does not know.
    fn read(reader: &mut Reader<'_>, table: &DeTable<'_>, spot: &Spot) -> Self {
        refuse_unknown(reader, table, spot, &Self::outline());
        Self::read_keys(reader, table, spot)
    }
}

fn refuse_unknown(reader: &mut Reader<'_>, table: &DeTable<'_>, spot: &Spot, outline: &Outline) {
    let names: Vec<&str> = outline.keys.iter().map(|key| key.name).collect();
    for (key, _) in table.iter().filter(|(key, _)| !names.contains(&key.get_ref().as_ref())) {
        let near = nearest(key.get_ref(), names.iter().copied()).map(str::to_owned);
        let hint = outline.path_of(key.get_ref()).or(near).map(|name| format!("did you mean `{name}`?"));
        let at = spot.key(key.get_ref(), key.span());
        reader.refuse(&at, "an unknown key".to_owned(), format!("one of {}", names.join(", ")), hint);
    }
}

/// Declares a table of the file; see the module's text. The form of a key is
/// `pub field as "key": Type = kind, fallback("toml");`, `as "key"` only where the names differ.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $key_doc:literal])+
                pub $field:ident $(as $key:literal)?: $ty:ty = $kind:expr, $fallback:ident($given:literal);
            )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $key_doc])+
                #[doc = $crate::config::section::fallback_doc!($fallback $given)]
                pub $field: $ty,
            )+
        }

        impl $crate::config::section::Section for $name {
            fn outline() -> $crate::config::section::Outline {
                $crate::config::section::Outline {
                    doc: [$($doc),+].map(str::trim).to_vec(),
                    keys: vec![$(
                        $crate::config::section::Key::new(
                            $crate::config::section::key_name!($field $($key)?),
                            &[$($key_doc),+],
                            &$kind,
                            $crate::config::section::$fallback($given),
                        ),
                    )+],
                }
            }

            fn read_keys(
                reader: &mut $crate::config::reader::Reader<'_>,
                table: &toml::de::DeTable<'_>,
                spot: &$crate::config::reader::Spot,
            ) -> Self {
                Self {
                    $($field: reader.key(
                        table,
                        spot,
                        $crate::config::section::key_name!($field $($key)?),
                        &$kind,
                        $crate::config::section::$fallback($given),
                    ),)+
                }
            }

            fn stand_in() -> Self {
                Self { $($field: $crate::config::kind::Kind::stand_in(&$kind),)+ }
            }
        }
    };
}

/// The name of a key: that of its field unless another one is given.
macro_rules! key_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

/// The sentence about the default that ends a field's documentation.
macro_rules! fallback_doc {
    (required $given:literal) => {
        concat!(" Required, for example `", $given, "`.")
    };
    (absent $given:literal) => {
        concat!(" Not set by default; for example `", $given, "`.")
    };
    ($kind:ident $given:literal) => {
        concat!(" Default: `", $given, "`.")
    };
}

pub(super) use {fallback_doc, key_name, section};
