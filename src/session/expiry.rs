//! Which sessions end by themselves: those that end with their clients, and those that nobody has used for long. Pure.

use std::time::{Duration, SystemTime};

/// A random UUID of version 4 as the SDKs write it.
const UUID: usize = 36;

/// Patterns of session ids in which `*` stands for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Box<[Box<str>]>);

impl Patterns {
    /// An id that matches one of these matches.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether one of them matches.
    pub fn matches(&self, id: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, id))
    }
}

/// Where the first `*` is followed by the rest of the pattern, as far to the right as need be.
fn matches(pattern: &str, id: &str) -> bool {
    let Some((begin, mut rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(mut id) = id.strip_prefix(begin) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        // The first place is as good as any: what is left of the id is longest then.
        let Some(at) = id.find(part) else { return false };
        (id, rest) = (&id[at + part.len()..], after);
    }
    id.ends_with(rest)
}

/// Which sessions end with their clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ephemeral {
    /// Those that their clients did not name.
    pub unnamed: bool,
    /// And those whose ids match.
    pub named: Patterns,
}

impl Ephemeral {
    /// Whether a session that is created under `id` does; `own` makes the id that a UUID would have been given by us.
    pub fn covers(&self, id: &str, own: impl FnOnce(&str) -> String) -> bool {
        self.unnamed && is_unnamed(id, own) || self.named.matches(id)
    }
}

/// Whether nobody chose this id: the SDKs send a UUID where their application says nothing, and so do we.
fn is_unnamed(id: &str, own: impl FnOnce(&str) -> String) -> bool {
    let Some((begin, uuid)) = id.len().checked_sub(UUID).and_then(|at| id.split_at_checked(at)) else { return false };
    is_random_uuid(uuid) && (begin.is_empty() || own(uuid) == id)
}

/// Whether it is a UUID of version 4 in lower case.
fn is_random_uuid(text: &str) -> bool {
    let right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == UUID && text.bytes().enumerate().all(right)
}

/// When a session that is at rest has been so for too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// From its last use.
    pub ttl: Duration,
    /// Those that stay, however old.
    pub exclude: Patterns,
}

/// What is to be done with a session that a backend lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was used not long ago.
    Young,
    /// It stays, because its id says so.
    Excluded,
    /// It is to be deleted, unless somebody has it.
    Due,
}

impl Expiry {
    /// What is to be done with one that was used last at `used`. A time to come is as good as now.
    pub fn judge(&self, id: &str, used: SystemTime, now: SystemTime) -> Fate {
        match now.duration_since(used) {
            Ok(age) if age >= self.ttl && self.exclude.matches(id) => Fate::Excluded,
            Ok(age) if age >= self.ttl => Fate::Due,
            _ => Fate::Young,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let right = [
            ("tmp-*", "tmp-"),
            ("tmp-*", "tmp-1"),
            ("*", ""),
            ("*-tmp", "a-tmp"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("*ab*ab", "abab"),
            ("a**", "a"),
            ("exact", "exact"),
        ];
        for (pattern, id) in right {
            assert!(Patterns::new(["zz", pattern]).matches(id), "{pattern} {id}");
        }
        let wrong = [
            ("tmp-*", "tmp"),
            ("tmp-*", "my-tmp-1"),
            ("exact", "exact-1"),
            ("a*b*c", "acb"),
            ("*ab*ab", "ab"),
            ("a*a", "a"),
            ("", "a"),
        ];
        for (pattern, id) in wrong {
            assert!(!Patterns::new([pattern]).matches(id), "{pattern} {id}");
        }
        assert!(!Patterns::default().matches(""));
    }

    #[test]
    fn unnamed_is_a_whole_random_uuid_in_lower_case() {
        let rule = Ephemeral { unnamed: true, named: Patterns::default() };
        let open = |id: &str| rule.covers(id, str::to_owned);
        let id = "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6";
        assert!(open(id));
        for other in [
            "35ACE27A-77e4-4a7d-8c50-78ed7ee28dc6",
            "35ace27a-77e4-1a7d-8c50-78ed7ee28dc6",
            "35ace27a-77e4-4a7d-cc50-78ed7ee28dc6",
            "35ace27a077e4-4a7d-8c50-78ed7ee28dc6",
            "35ace27a-77e4-4a7d-8c50-78ed7ee28dc",
            "x35ace27a-77e4-4a7d-8c50-78ed7ee28dc6",
            "alice--35ace27a-77e4-4a7d-8c50-78ed7ee28dc6",
            "chat",
            "",
        ] {
            assert!(!open(other), "{other}");
        }
        let walled = |id: &str| rule.covers(id, |uuid| format!("alice--{uuid}"));
        assert!(walled(id) && walled(&format!("alice--{id}")));
        assert!(!walled(&format!("bob--{id}")) && !walled(&format!("alice--x{id}")));
        assert!(!Ephemeral::default().covers(id, str::to_owned));
        let named = Ephemeral { unnamed: false, named: Patterns::new(["tmp-*"]) };
        assert!(named.covers("tmp-1", str::to_owned) && !named.covers(id, str::to_owned));
    }

    #[test]
    fn age_decides_and_exclusion_wins() {
        let expiry = Expiry { ttl: Duration::from_secs(10), exclude: Patterns::new(["keep-*"]) };
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let after = |seconds| used + Duration::from_secs(seconds);
        assert_eq!(expiry.judge("a", used, after(9)), Fate::Young);
        assert_eq!(expiry.judge("a", used, after(10)), Fate::Due);
        assert_eq!(expiry.judge("keep-a", used, after(10)), Fate::Excluded);
        assert_eq!(expiry.judge("keep-a", used, after(9)), Fate::Young);
        assert_eq!(expiry.judge("a", after(100), used), Fate::Young, "another machine's clock");
    }
}
