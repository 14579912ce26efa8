//! Walks a parsed file, remembers where every key stands, and collects every problem.
//!
//! A value that is refused is replaced by a stand-in, so that the rest of the file is still read
//! and checked; its place is marked, so that later checks do not complain of the stand-in.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::Kind,
    problem::{Problem, Severity},
    section::Fallback,
};

/// A key of the file: its path and the bytes that a problem of it should point at.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub path: String,
    pub span: Range<usize>,
}

impl Spot {
    /// The file itself.
    pub fn root() -> Self {
        Self { path: String::new(), span: 0..0 }
    }

    /// The key `key` of the table at this spot.
    pub fn key(&self, key: &str, span: Range<usize>) -> Self {
        Self { path: join(&self.path, key), span }
    }

    /// The element `index`, from 0, of the array at this spot.
    pub fn element(&self, index: usize, span: Range<usize>) -> Self {
        Self { path: format!("{}[{index}]", self.path), span }
    }
}

/// The path of `key` under `parent`, quoted where TOML would quote it.
pub(super) fn join(parent: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

struct Place {
    span: Range<usize>,
    sound: bool,
}

/// The walk over one file.
pub(super) struct Reader<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub folder: PathBuf,
    file: &'a str,
    lines: Lines<'a>,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
    ignore_absence: bool,
}

impl<'a> Reader<'a> {
    /// A walk that has seen nothing yet. `file` is only a name: it stands in problems, and relative secret files lie beside it.
    pub fn new(text: &'a str, file: &'a str, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        let folder = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
        Self {
            env,
            folder,
            file,
            lines: Lines::new(text),
            places: BTreeMap::new(),
            problems: Vec::new(),
            ignore_absence: false,
        }
    }

    /// Reads `key` of `table`, which stands at `parent`, or falls back.
    pub fn key<K: Kind>(
        &mut self,
        table: &DeTable<'_>,
        parent: &Spot,
        key: &str,
        kind: &K,
        fallback: Fallback,
    ) -> K::Value {
        if let Some((_, value)) = table.get_key_value(key) {
            let spot = parent.key(key, value.span());
            return self.value(&spot, kind, value);
        }
        match fallback {
            Fallback::Required(example) => {
                let spot = parent.key(key, parent.span.clone());
                if !self.ignore_absence {
                    let hint = format!("add `{key} = {example}`");
                    self.refuse(&spot, "nothing".to_owned(), kind.expects(), Some(hint));
                }
                self.places.insert(spot.path, Place { span: spot.span, sound: false });
                kind.stand_in()
            }
            Fallback::Absent(_) => kind.stand_in(),
            Fallback::Default(text) => self.default(parent, key, kind, &text),
        }
    }

    /// Reads without complaint about keys that are not there.
    pub fn only_what_is_there<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.ignore_absence = true;
        let value = read(self);
        self.ignore_absence = false;
        value
    }

    /// Reads the value at `spot`; what is refused is marked and replaced by a stand-in.
    pub fn value<K: Kind>(&mut self, spot: &Spot, kind: &K, value: &Spanned<DeValue<'_>>) -> K::Value {
        self.places.insert(spot.path.clone(), Place { span: spot.span.clone(), sound: true });
        match kind.read(self, spot, value.get_ref()) {
            Some(value) => value,
            None => {
                self.places.insert(spot.path.clone(), Place { span: spot.span.clone(), sound: false });
                kind.stand_in()
            }
        }
    }

    /// Defaults are written as TOML and read by the same kind as a value of the file, so they obey the same limits.
    fn default<K: Kind>(&mut self, parent: &Spot, key: &str, kind: &K, text: &str) -> K::Value {
        let spot = parent.key(key, parent.span.clone());
        DeValue::parse(text).ok().and_then(|value| kind.read(self, &spot, value.get_ref())).unwrap_or(kind.stand_in())
    }

    /// Records that what stands at `spot` is refused.
    pub fn refuse(&mut self, spot: &Spot, found: String, expected: String, hint: Option<String>) {
        self.report(Severity::Error, spot, found, expected, hint);
    }

    /// Records that the value of a key that is right by itself is wrong beside the others.
    pub fn error(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>, hint: Option<String>) {
        let spot = self.spot(path);
        self.report(Severity::Error, &spot, found.into(), expected.into(), hint);
    }

    /// Records advice.
    pub fn warn(&mut self, path: &str, found: impl Into<String>, expected: impl Into<String>, hint: Option<String>) {
        let spot = self.spot(path);
        self.report(Severity::Warning, &spot, found.into(), expected.into(), hint);
    }

    /// Records advice about the value that is being read.
    pub fn advise(&mut self, spot: &Spot, found: String, expected: String) {
        self.report(Severity::Warning, spot, found, expected, None);
    }

    /// Whether the file itself says something at `path`.
    pub fn is_set(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The keys that the file sets directly in the table at `path`.
    pub fn set_under(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}.");
        let inside = self.places.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        inside.filter(|(key, _)| !key[prefix.len()..].contains(['.', '['])).map(|(key, _)| key.clone()).collect()
    }

    /// Whether the value at `path`, and every table around it, was read without complaint (or is a default).
    pub fn is_sound(&self, path: &str) -> bool {
        ancestors(path).all(|path| self.places.get(path).is_none_or(|place| place.sound))
    }

    /// Where a problem with `path` points: the value, or the nearest table around it.
    fn spot(&self, path: &str) -> Spot {
        let span = ancestors(path).find_map(|path| self.places.get(path)).map_or(0..0, |place| place.span.clone());
        Spot { path: path.to_owned(), span }
    }

    fn report(&mut self, severity: Severity, spot: &Spot, found: String, expected: String, hint: Option<String>) {
        let (line, column) = self.lines.place(spot.span.start);
        let (file, key) = (self.file.to_owned(), spot.path.clone());
        self.problems.push(Problem { file, line, column, severity, key, found, expected, hint });
    }

    /// Everything that was found, in the order of the lines: errors, then warnings.
    pub fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut problems = self.problems;
        problems.sort_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        problems.dedup();
        problems.into_iter().partition(|problem| problem.severity == Severity::Error)
    }
}

/// `path` and every shorter one that ends before a `.` or `[`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rfind(['.', '[']).map(|end| &path[..end]))
}

/// Where the lines of a text start: found once, since a file may have as many problems as lines.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after_ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_ends).collect() }
    }

    /// Line and column, both from 1 and the column in characters, of byte `offset`.
    fn place(&self, offset: usize) -> (usize, usize) {
        let end = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= end);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text[start..end].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, ancestors, join};

    #[test]
    fn places_are_counted_from_one_in_characters() {
        assert_eq!(Lines::new("").place(0), (1, 1));
        assert_eq!(Lines::new("a\nbc").place(3), (2, 2));
        assert_eq!(Lines::new("é = 1").place(3), (1, 3));
        assert_eq!(Lines::new("é").place(1), (1, 1));
        assert_eq!(Lines::new("a\n").place(99), (2, 1));
    }

    #[test]
    fn paths_are_quoted_like_toml_and_know_their_tables() {
        assert_eq!(join("pool", "a.b"), "pool.\"a.b\"");
        assert_eq!(join("", "pool"), "pool");
        let all: Vec<_> = ancestors("pool.x.backends[1].address").collect();
        assert_eq!(all, ["pool.x.backends[1].address", "pool.x.backends[1]", "pool.x.backends", "pool.x", "pool"]);
    }
}
