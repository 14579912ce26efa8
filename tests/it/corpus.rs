//! The fuzz corpora as plain tests. A file's name says what has to come of it: `accept-...`, `reject-...`, `partial-...`
//! (a stream that ends early: no whole frame, no fault yet) or `later-...` (good JSON-RPC, refused by the session mode,
//! which knows what each method may hold).

use std::{fs, panic, path::Path};

#[path = "../fuzz/checks/mod.rs"]
mod checks;

/// Mutants of every corpus file; `make torture` asks for more with `PILOTFISH_MUTANTS`.
const MUTANTS: usize = 100;

/// The files of a corpus: name and content.
fn files(corpus: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).expect("a readable corpus") {
        let path = entry.expect("a readable corpus").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        found.push((name, fs::read(&path).expect("a readable corpus")));
    }
    assert!(found.len() > 20, "only {} files in {}", found.len(), folder.display());
    found.sort();
    found
}

/// Runs `target` (which panics on a broken promise, and says whether all of the input was accepted) over a corpus.
fn run(corpus: &str, target: impl Fn(&[u8]) -> bool) {
    let mut wrong = Vec::new();
    for (name, data) in files(corpus) {
        let accepted = target(&data);
        // What a fuzzer added has a hash for a name: for those, not panicking is the test.
        let right = match name.split('-').next() {
            Some("accept" | "later") => accepted,
            Some("reject" | "partial") => !accepted,
            _ => true,
        };
        if !right {
            wrong.push(format!("{name}: accepted = {accepted}"));
        }
    }
    assert!(wrong.is_empty(), "wrong:\n{}", wrong.join("\n"));
}

/// Runs `target` over damaged copies of a corpus, the same ones every time.
fn run_mutants(corpus: &str, target: impl Fn(&[u8]) -> bool + panic::RefUnwindSafe) {
    let wanted = std::env::var("PILOTFISH_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(MUTANTS);
    let files = files(corpus);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for (name, data) in &files {
        // The few large ones make the point of their size as they are.
        for _ in 0..if data.len() > 4096 { wanted / 50 } else { wanted } {
            let (_, other) = &files[dice.below(files.len())];
            let mutant = mutate(data, other, &mut dice);
            let outcome = panic::catch_unwind(|| target(&mutant));
            assert!(outcome.is_ok(), "broken by a mutant of {name}: {}", mutant.escape_ascii());
        }
    }
}

/// One to four random damages.
fn mutate(data: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TOKENS: &[&[u8]] = &[
        b"\"id\":",
        b"\"sessionId\":",
        b"\\u0049",
        b"\\ud800",
        b"\xff",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b"0",
        b"-",
        b"1e400",
        b"null",
        b" ",
        b"\0",
    ];
    let mut bytes = data.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(16)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied()).for_each(drop),
            3 => bytes.splice(at..end, TOKENS[dice.below(TOKENS.len())].iter().copied()).for_each(drop),
            4 => bytes.extend_from_within(at..end),
            _ => {
                let from = dice.below(other.len() + 1);
                let until = (from + dice.below(64)).min(other.len());
                bytes.splice(at..at, other[from..until].iter().copied()).for_each(drop);
            }
        }
    }
    bytes
}

/// Random numbers that are the same on every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

#[test]
fn frames() {
    run("frame", checks::frame::check);
}

#[test]
fn frame_mutants() {
    run_mutants("frame", checks::frame::check);
}

#[test]
fn scans() {
    run("scan", checks::scan::check);
}

#[test]
fn scan_mutants() {
    run_mutants("scan", checks::scan::check);
}

#[test]
fn configs() {
    run("config", checks::config::check);
}

#[test]
fn config_mutants() {
    run_mutants("config", checks::config::check);
}
