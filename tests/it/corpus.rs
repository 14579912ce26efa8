//! The fuzz corpora as plain tests. A file's name says what has to come of it: `accept-...`, `reject-...`, or `partial-...`
//! (a stream that ends early: no whole frame, no fault yet).

use std::{fs, path::Path};

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
            Some("accept") => accepted,
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
    run("frame", pilotfish::wire::fuzz_frame);
}

#[test]
fn scans() {
    run("scan", pilotfish::wire::fuzz_scan);
}

#[test]
fn configs() {
    run("config", pilotfish::config::fuzz);
}
