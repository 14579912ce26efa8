//! The house rules of `docs/architecture.md`, run over the sources: who may import whom, what the pure layers may not
//! know, what nobody may write. Each rule is also shown a snippet that breaks it, so that it cannot pass by looking away.

mod imports;
mod lexer;
mod rules;
mod tidy;

use std::{fs, path::Path, process::Command};

/// One source file: its path below `src`, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

/// All of `src`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "only {} files below {}", found.len(), root.display());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable source folder") {
        let path = entry.expect("a readable source folder").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("below src").to_string_lossy().into_owned();
            found.push(Source { path: below, text: fs::read_to_string(&path).expect("UTF-8 sources") });
        }
    }
}

fn check(rule: impl Fn(&Source) -> Vec<String>) {
    let broken: Vec<_> = sources().iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn files_import_their_own_folder_and_those_below() {
    check(imports::direction);
}

#[test]
fn pure_layers_know_no_sockets_clock_or_async() {
    check(rules::purity);
}

#[test]
fn only_balance_hashes_for_placement() {
    check(rules::placement_hash);
}

#[test]
fn nobody_writes_what_the_house_forbids() {
    check(rules::forbidden);
}

#[test]
fn unwrap_and_expect_are_for_tests() {
    check(rules::panics);
}

#[test]
fn files_stay_small() {
    check(tidy::size);
}

#[test]
fn the_top_level_is_as_agreed() {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git, which every clone has");
    let files = String::from_utf8(output.stdout).expect("UTF-8 names");
    assert!(files.contains("Cargo.toml\0"), "git ls-files says: {}", String::from_utf8_lossy(&output.stderr));
    let strange = tidy::strange_entries(files.split('\0'));
    assert!(strange.is_empty(), "not in the agreed list: {strange:?}");
}
