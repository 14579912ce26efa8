//! The fuzz corpora as plain tests. A file's name says what has to come of it: `accept-...`, `reject-...`, `partial-...`
//! (a stream that ends early: no whole frame, no fault yet) or `later-...` (good JSON-RPC, refused by the session mode,
//! which knows what each method may hold).

use std::{fs, path::Path};

#[path = "../fuzz/checks/mod.rs"]
mod checks;

/// Runs `target` (which panics on a disagreement, and says whether all of the input was accepted) over a corpus.
fn run(corpus: &str, target: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a readable corpus") {
        let path = entry.expect("a readable corpus").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let accepted = target(&fs::read(&path).expect("a readable corpus"));
        // What a fuzzer added has a hash for a name: for those, not panicking is the test.
        let right = match name.split('-').next() {
            Some("accept" | "later") => accepted,
            Some("reject" | "partial") => !accepted,
            _ => true,
        };
        count += 1;
        if !right {
            wrong.push(format!("{name}: accepted = {accepted}"));
        }
    }
    assert!(count > 20, "only {count} files in {}", folder.display());
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn frames() {
    run("frame", checks::frame::check);
}

#[test]
fn scans() {
    run("scan", checks::scan::check);
}

#[test]
fn configs() {
    run("config", checks::config::check);
}
