//! Durations and sizes: numbers with a unit.

use std::time::Duration;

use toml::de::DeValue;

use super::{Kind, basic::whole};
use crate::config::reader::{Reader, Spot};

/// A duration from `min` to `max`.
pub(in crate::config) fn duration(min: Duration, max: Duration) -> Span {
    Span { min, max }
}

pub(in crate::config) struct Span {
    min: Duration,
    max: Duration,
}

impl Kind for Span {
    type Value = Duration;

    fn expects(&self) -> String {
        format!("a duration from \"{}\" to \"{}\"", write_duration(self.min), write_duration(self.max))
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Duration> {
        let duration = value.as_str().and_then(parse_duration);
        let right = duration.filter(|d| (self.min..=self.max).contains(d));
        let hint = match value {
            DeValue::Integer(n) => whole(n).filter(|n| *n >= 0).map(|n| format!("with a unit, such as \"{n}s\"")),
            DeValue::String(_) if duration.is_none() => Some("units: ms, s, m, h, d".to_owned()),
            _ => None,
        };
        right.or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> Duration {
        self.min
    }
}

/// Numbers with units one after the other: `5s`, `0.5s`, `1m30s`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    // Rounded to microseconds: nobody means the last bits of a binary fraction.
    Duration::try_from_secs_f64((seconds * 1e6).round() / 1e6).ok()
}

/// The shortest way to write a duration of whole milliseconds.
fn write_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// A number of bytes from `min` to `max`.
pub(in crate::config) fn size(min: usize, max: usize) -> Size {
    Size { min, max }
}

pub(in crate::config) struct Size {
    min: usize,
    max: usize,
}

impl Kind for Size {
    type Value = usize;

    fn expects(&self) -> String {
        format!("a size from \"{}\" to \"{}\"", write_size(self.min), write_size(self.max))
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<usize> {
        let bytes = match value {
            DeValue::String(text) => parse_size(text),
            DeValue::Integer(n) => whole(n).and_then(|n| usize::try_from(n).ok()),
            _ => None,
        };
        let hint = match value {
            DeValue::String(_) if bytes.is_none() => Some("units: B, KiB, MiB, GiB".to_owned()),
            _ => None,
        };
        bytes.filter(|n| (self.min..=self.max).contains(n)).or_else(|| self.refuse(reader, spot, value, hint))
    }

    fn stand_in(&self) -> usize {
        self.min
    }
}

const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<usize>().ok()?.checked_mul(*bytes)
}

fn write_size(bytes: usize) -> String {
    let exact = SIZES.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let right = [
            ("5s", 5000),
            ("0.5s", 500),
            ("100ms", 100),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ];
        for (text, ms) in right {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1..2s", ".5s", "5S", "5s ", "1e3s", "5s5", "é", "9e99d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_duration(&format!("{}d", "9".repeat(400))), None);
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "5s", "100ms", "2m", "90s", "1h", "1d"] {
            assert_eq!(parse_duration(text).map(write_duration).as_deref(), Some(text));
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        let right = [("32MiB", 32 << 20), ("1 KiB", 1024), ("5B", 5), ("1GiB", 1 << 30), ("0B", 0)];
        for (text, bytes) in right {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "5", "MiB", "32MB", "-1B", "1.5MiB", "99999999999999999999B", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(
            (write_size(32 << 20), write_size(1500), write_size(0)),
            ("32MiB".into(), "1500B".into(), "0B".into())
        );
    }
}
