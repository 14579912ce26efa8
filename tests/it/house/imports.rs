//! The direction of the imports: a file knows its own folder and the folders below it in [`HOUSE`].

use super::{
    Source,
    lexer::{Token, tokens},
};

/// The folders from top to bottom. Those of one line do not know each other.
const HOUSE: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["config"],
    &["admin"],
    &["serve"],
    &["supervise"],
    &["backend"],
    &["route"],
    &["session"],
    &["pool"],
    &["store"],
    &["telemetry"],
    &["mux"],
    &["tenancy"],
    &["wire"],
    &["balance", "health"],
    &["tls"],
    &["model"],
];

/// Who alone may import a folder, besides that folder itself.
const RESERVED: &[(&str, &[&str])] = &[("config", &["cli", "app"]), ("mux", &["serve"])];

/// Every import of `source` that points up, sideways, or at a reserved folder.
pub fn direction(source: &Source) -> Vec<String> {
    let (folder, depth) = place(&source.path);
    if folder == "lib" {
        return Vec::new(); // Declares the folders; it uses none.
    }
    let mut broken = Vec::new();
    let Some(own) = rank(folder) else { return vec![format!("{}: folder {folder} is not in the house", source.path)] };
    for (target, line) in targets(&tokens(&source.text), depth) {
        let Some(other) = rank(&target) else { continue };
        let below = other > own || target == folder;
        let reserved =
            RESERVED.iter().any(|(name, only)| *name == target && !only.contains(&folder) && target != folder);
        if !below || reserved {
            broken.push(format!("{}:{line}: {folder} imports {target}", source.path));
        }
    }
    broken
}

/// A file's folder of the house and how many modules deep the file is (`a/mod.rs` 1, `a/b.rs` 2).
fn place(path: &str) -> (&str, usize) {
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let folder = stem.split('/').next().unwrap_or(stem);
    (folder, stem.split('/').count())
}

fn rank(folder: &str) -> Option<usize> {
    HOUSE.iter().position(|row| row.contains(&folder))
}

/// The first segment behind every path to the crate's root, with its line.
fn targets(all: &[Token], depth: usize) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut modules = Modules { depth, braces: Vec::new() };
    let mut at = 0;
    while at < all.len() {
        modules.see(all, at);
        let starts = at == 0 || all[at - 1].text != "::";
        let root = match all[at].text.as_str() {
            "crate" | "pilotfish" if starts => Some(at + 1),
            "super" if starts => climb(all, at, modules.depth()),
            _ => None,
        };
        if let Some(next) = root.filter(|next| all.get(*next).is_some_and(|token| token.text == "::")) {
            heads(all, next + 1, &mut found);
        }
        at += 1;
    }
    found
}

/// Follows `super::super::` from a module `depth` deep; the index behind the last `super` if that is the crate's root.
fn climb(all: &[Token], mut at: usize, depth: usize) -> Option<usize> {
    let mut left = depth;
    while all.get(at).is_some_and(|token| token.text == "super") {
        left = left.checked_sub(1)?;
        if left == 0 {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// The first segments of `a::b` or of each member of `{a::b, c::{d, e}}`.
fn heads(all: &[Token], at: usize, found: &mut Vec<(String, usize)>) {
    let Some(first) = all.get(at) else { return };
    if first.text != "{" {
        found.push((first.text.clone(), first.line));
        return;
    }
    let mut depth = 0;
    let mut expects = true;
    for token in &all[at..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expects = true,
            _ if depth == 1 && expects => {
                found.push((token.text.clone(), token.line));
                expects = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// Knows how many inline modules (`mod tests { ... }`) are open around a token.
struct Modules {
    depth: usize,
    braces: Vec<bool>,
}

impl Modules {
    fn see(&mut self, all: &[Token], at: usize) {
        match all[at].text.as_str() {
            "{" => self.braces.push(at >= 2 && all[at - 2].text == "mod"),
            "}" => drop(self.braces.pop()),
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.depth + self.braces.iter().filter(|module| **module).count()
    }
}

#[cfg(test)]
fn broken(path: &str, text: &str) -> Vec<String> {
    direction(&Source { path: path.into(), text: text.into(), test: false })
}

#[test]
fn upward_and_sideways_imports_are_found() {
    let upward = [
        ("wire/frame.rs", "use crate::mux::Action;"),
        ("wire/frame.rs", "use crate::{model::Secret, session::{Turn, Pin}};"),
        ("wire/frame.rs", "use super::super::serve::X;"),
        ("wire/mod.rs", "use super::serve::X;"),
        ("wire/frame.rs", "mod tests { use super::super::super::serve::X; }"),
        ("wire/frame.rs", "fn f() { crate::pool::Member::new(); }"),
        ("balance/hash.rs", "use crate::health::Verdict;"),
        ("health/verdict.rs", "use crate::balance::Policy;"),
        ("app/mod.rs", "use crate::cli::Run;"),
        ("wire/frame.rs", "pub(crate) use crate::serve;"),
    ];
    for (path, text) in upward {
        assert_eq!(broken(path, text).len(), 1, "{path}: {text}");
    }
    assert_eq!(broken("elsewhere/x.rs", "").len(), 1);
}

#[test]
fn reserved_folders_are_kept_for_their_owners() {
    assert_eq!(broken("app/mod.rs", "use crate::mux::Mux;").len(), 1);
    assert_eq!(broken("session/mod.rs", "use crate::mux::Mux;").len(), 1);
    assert_eq!(broken("main.rs", "use pilotfish::config::Config;").len(), 1);
    assert_eq!(broken("serve/driver.rs", "use crate::mux::Mux;").len(), 0);
    assert_eq!(broken("app/mod.rs", "use crate::config::Config;").len(), 0);
}

#[test]
fn downward_and_own_imports_are_fine() {
    let fine = [
        ("serve/driver.rs", "use crate::{mux::{self, Action}, wire, serve::link, model::Secret};"),
        ("serve/driver.rs", "use super::link; mod tests { use super::super::link; }"),
        ("main.rs", "fn main() { pilotfish::cli::main() }"),
        ("lib.rs", "pub mod wire; pub use crate::cli;"),
        ("wire/frame.rs", "// use crate::serve\nfn f() { \"crate::serve\"; let a = std::crate_::serve; }"),
        ("config/raw.rs", "use crate::serve::Settings;"),
    ];
    for (path, text) in fine {
        assert_eq!(broken(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
