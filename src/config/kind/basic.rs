//! Switches, numbers, words and paths.

use std::{
    marker::PhantomData,
    path::{PathBuf, absolute},
};

use toml::de::{DeInteger, DeValue};

use super::{Kind, describe};
use crate::config::reader::{Reader, Spot};

/// `true` or `false`.
pub(in crate::config) fn switch() -> Switch {
    Switch
}

pub(in crate::config) struct Switch;

impl Kind for Switch {
    type Value = bool;

    fn expects(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<bool> {
        let quoted = value.as_str().is_some_and(|text| text == "true" || text == "false");
        let hint = quoted.then(|| "without the quotes".to_owned());
        value.as_bool().or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> bool {
        false
    }
}

/// Permissions of a file.
pub(in crate::config) fn file_mode() -> FileMode {
    FileMode
}

pub(in crate::config) struct FileMode;

impl Kind for FileMode {
    type Value = u32;

    fn expects(&self) -> String {
        "three octal digits in quotes, such as \"0660\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<u32> {
        let digits = value.as_str().map(|text| text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text));
        let digits =
            digits.filter(|digits| digits.len() == 3 && digits.bytes().all(|digit| (b'0'..b'8').contains(&digit)));
        let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
        mode.or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> u32 {
        0
    }
}

/// A whole number from `min` to `max`.
pub(in crate::config) fn count<T>(min: u32, max: u32) -> Count<T> {
    Count { min, max, value: PhantomData }
}

pub(in crate::config) struct Count<T> {
    min: u32,
    max: u32,
    value: PhantomData<T>,
}

impl<T: TryFrom<u32> + Default> Kind for Count<T> {
    type Value = T;

    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<T> {
        let number = value.as_integer().and_then(whole);
        let number = number.and_then(|n| u32::try_from(n).ok()).filter(|n| (self.min..=self.max).contains(n));
        let quoted = value.as_str().is_some_and(|text| text.parse::<u32>().is_ok());
        let hint = quoted.then(|| "without the quotes".to_owned());
        number.and_then(|n| T::try_from(n).ok()).or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> T {
        T::default()
    }
}

/// The value of an integer, if it fits.
pub(super) fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A number from `min` to `max`, with or without a fraction. With `zero`, 0 is right too and means "off".
pub(in crate::config) fn number(min: f64, max: f64, zero: bool) -> Number {
    Number { min, max, zero }
}

pub(in crate::config) struct Number {
    min: f64,
    max: f64,
    zero: bool,
}

impl Kind for Number {
    type Value = f64;

    fn expects(&self) -> String {
        let off = if self.zero { ", or 0 (off)" } else { "" };
        format!("a number from {} to {}{off}", self.min, self.max)
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<f64> {
        let number = match value {
            DeValue::Integer(number) => whole(number).map(|n| n as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let right = |n: &f64| (self.min..=self.max).contains(n) || (self.zero && *n == 0.0);
        number.filter(right).or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> f64 {
        0.0
    }
}

/// A path. A relative one starts at the folder of the config file, wherever pilotfish runs; the value is absolute.
pub(in crate::config) fn path() -> FilePath {
    FilePath
}

pub(in crate::config) struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn expects(&self) -> String {
        "a path in quotes".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<PathBuf> {
        let path = value.as_str().filter(|path| !path.is_empty() && !path.contains('\0'));
        let path = path.and_then(|path| absolute(reader.folder.join(path)).ok());
        path.or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> PathBuf {
        PathBuf::new()
    }
}

/// A command: an array of strings, at least one, of which the first is the program.
pub(in crate::config) fn words() -> Words {
    Words
}

pub(in crate::config) struct Words;

impl Kind for Words {
    type Value = Vec<String>;

    fn expects(&self) -> String {
        "an array of strings, the program first".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Vec<String>> {
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            let hint = value.is_str().then(|| "write [\"program\", \"argument\"]: there is no shell".to_owned());
            let found = if value.is_str() { "a string".to_owned() } else { describe(value) };
            reader.refuse(spot, found, self.expects(), hint);
            return None;
        };
        let mut taken = Vec::new();
        for (index, item) in items.iter().enumerate() {
            // Arguments may hold keys, so their text is not shown.
            match item.get_ref().as_str().filter(|text| !text.contains('\0')) {
                Some(text) if index > 0 || !text.is_empty() => taken.push(text.to_owned()),
                _ => {
                    let found = format!("{} that cannot be used", item.get_ref().type_str());
                    reader.refuse(&spot.element(index, item.span()), found, "a string in quotes".to_owned(), None);
                }
            }
        }
        (taken.len() == items.len()).then_some(taken)
    }

    fn stand_in(&self) -> Vec<String> {
        Vec::new()
    }
}
