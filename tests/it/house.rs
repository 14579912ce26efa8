//! The house rules of `docs/architecture.md`, run over the sources: who may import whom, what the pure layers may not
//! know, what nobody may write. Each rule is also shown a snippet that breaks it, so that it cannot pass by looking away.

mod imports;
mod lexer;
mod rules;
mod tidy;

use std::{fs, path::Path, process::Command};

/// One source file: its path below `src`, with `/`, its text, and whether it is compiled for tests only.
struct Source {
    path: String,
    text: String,
    test: bool,
}

/// All of `src`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "only {} files below {}", found.len(), root.display());
    mark_tests(&mut found);
    found
}

/// Marks the files of modules that are declared under `#[cfg(test)]`, and the files below those.
fn mark_tests(sources: &mut [Source]) {
    let below = |source: &Source| {
        let folder = source.path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
        lexer::test_modules(&lexer::tokens(&source.text)).into_iter().map(move |name| format!("{folder}/{name}"))
    };
    let modules: Vec<_> = sources.iter().flat_map(below).collect();
    for source in sources {
        let belongs = |module: &String| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.test = modules.iter().any(belongs);
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable source folder") {
        let path = entry.expect("a readable source folder").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("below src").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("UTF-8 sources");
            found.push(Source { path: below, text, test: false });
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

#[test]
fn files_of_test_modules_are_marked() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into(), test: false };
    let mut all = [
        source("wire/mod.rs", "mod frame; #[cfg(test)] mod table;"),
        source("wire/frame.rs", "#[cfg(test)] mod cases;"),
        source("wire/table.rs", ""),
        source("wire/table/row.rs", ""),
        source("wire/frame/cases.rs", ""),
        source("wire/cases.rs", ""),
    ];
    mark_tests(&mut all);
    let marked: Vec<_> = all.iter().map(|source| source.test).collect();
    assert_eq!(marked, [false, false, true, true, true, false]);
}
