//! Sizes and places.

use super::Source;

/// Lines that a file may have. The house says about 400: one idea fits, two do not.
const LINES: usize = 450;

/// What may stand at the top, besides dot files.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "Dockerfile",
    "docker-compose.yml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "src",
    "conf",
    "tests",
    "benches",
    "docs",
];

/// A file that has grown too long.
pub fn size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LINES { vec![format!("{}: {lines} lines, at most {LINES}", source.path)] } else { Vec::new() }
}

/// Top-level entries of `files` that nobody agreed on.
pub fn strange_entries<'a>(files: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut top: Vec<_> = files.map(|file| file.split('/').next().unwrap_or(file)).collect();
    top.sort_unstable();
    top.dedup();
    top.retain(|entry| !entry.is_empty() && !entry.starts_with('.') && !TOP.contains(entry));
    top
}

#[test]
fn long_files_are_found() {
    let long = Source { path: "app/mod.rs".into(), text: "x\n".repeat(LINES + 1), test: false };
    assert_eq!(size(&long).len(), 1);
    assert!(size(&Source { text: "x\n".repeat(LINES), ..long }).is_empty());
}

#[test]
fn strange_entries_are_found() {
    let files = ["Cargo.toml", "src/lib.rs", ".ci/run", "", "notes.txt", "utils/x.rs", "utils/y.rs"];
    assert_eq!(strange_entries(files.into_iter()), ["notes.txt", "utils"]);
}
