//! Words that some layers, or all, may not write.

use super::{
    Source,
    lexer::{Token, tokens, without_tests},
};

const PURE: &[&str] = &["model", "balance", "health", "wire", "tenancy", "mux", "tls"];

/// Sockets, clocks and async in the pure layers: time and seeds are arguments there, and the driver does the I/O.
pub fn purity(source: &Source) -> Vec<String> {
    const NOT_HERE: &[&[&str]] = &[
        &["tokio"],
        &["pingora_core"],
        &["socket2"],
        &["rustix"],
        &["std", "::", "net"],
        &["std", "::", "thread"],
        &["Instant", "::", "now"],
        &["SystemTime", "::", "now"],
        &["RandomState"],
        &["async"],
        &["await"],
    ];
    if source.test || !PURE.contains(&folder(source)) {
        return Vec::new();
    }
    search(source, &without_tests(&tokens(&source.text)), NOT_HERE)
}

/// The placement hash anywhere but in `balance`, and hashes there that differ from process to process.
pub fn placement_hash(source: &Source) -> Vec<String> {
    let all = tokens(&source.text);
    if folder(source) == "balance" {
        return search(source, &all, &[&["ahash"], &["RandomState"], &["DefaultHasher"], &["SipHasher"]]);
    }
    search(source, &all, &[&["xxhash_rust"], &["xxh3"], &["xxh3_64"], &["xxh3_64_with_seed"]])
}

/// What is written nowhere.
pub fn forbidden(source: &Source) -> Vec<String> {
    const NOWHERE: &[&[&str]] = &[
        &["unsafe"],
        &["todo", "!"],
        &["unimplemented", "!"],
        &["dbg", "!"],
        &["#", "[", "ignore"],
        &["unbounded_channel"],
        &["UnboundedSender"],
        &["UnboundedReceiver"],
        &["std", "::", "sync", "::", "mpsc"],
    ];
    let mut broken = search(source, &tokens(&source.text), NOWHERE);
    let notes = source.text.lines().enumerate().filter(|(_, line)| line.contains("FIXME") || line.contains("TODO"));
    broken.extend(notes.map(|(at, _)| format!("{}:{}: a note for later", source.path, at + 1)));
    broken
}

/// `unwrap` and `expect` outside tests.
pub fn panics(source: &Source) -> Vec<String> {
    if source.test {
        return Vec::new();
    }
    let calls: &[&[&str]] = &[&[".", "unwrap", "("], &[".", "expect", "("], &[".", "unwrap_err", "("], &["panic", "!"]];
    search(source, &without_tests(&tokens(&source.text)), calls)
}

fn folder(source: &Source) -> &str {
    source.path.split('/').next().unwrap_or("")
}

fn search(source: &Source, all: &[Token], words: &[&[&str]]) -> Vec<String> {
    let starts = |at: usize, phrase: &[&str]| {
        phrase.iter().enumerate().all(|(next, word)| all.get(at + next).is_some_and(|token| token.text == *word))
    };
    let mut broken = Vec::new();
    for (at, token) in all.iter().enumerate() {
        for phrase in words.iter().filter(|phrase| starts(at, phrase)) {
            broken.push(format!("{}:{}: {}", source.path, token.line, phrase.concat()));
        }
    }
    broken
}

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into(), test: false }
}

#[test]
fn impurity_is_found() {
    let texts =
        ["use tokio::net;", "use std::net::IpAddr;", "let a = Instant::now();", "SystemTime::now()", "async fn f() {}"];
    for text in texts {
        assert_eq!(purity(&source("mux/state.rs", text)).len(), 1, "{text}");
        assert!(purity(&source("serve/driver.rs", text)).is_empty(), "{text}");
    }
    assert!(
        purity(&source("wire/frame.rs", "/// not async\nfn f(now: Instant) { #[cfg(test)] mod t { use tokio; } }"))
            .is_empty()
    );
}

#[test]
fn foreign_hashes_are_found() {
    assert_eq!(placement_hash(&source("route/table.rs", "use xxhash_rust::xxh3::xxh3_64;")).len(), 3);
    assert_eq!(placement_hash(&source("balance/hrw.rs", "use ahash::AHasher;")).len(), 1);
    assert!(placement_hash(&source("balance/hrw.rs", "use xxhash_rust::xxh3::xxh3_64;")).is_empty());
}

#[test]
fn forbidden_words_are_found() {
    let texts = [
        "unsafe { x() }",
        "fn f() { todo!() }",
        "fn f() { unimplemented!() }",
        "#[ignore] fn f() {}",
        "#[ignore = \"slow\"] fn f() {}",
        "mpsc::unbounded_channel()",
        "use std::sync::mpsc;",
        "// FIXME later",
    ];
    for text in texts {
        assert_eq!(forbidden(&source("app/mod.rs", text)).len(), 1, "{text}");
    }
    assert!(forbidden(&source("lib.rs", "#![forbid(unsafe_code)] // unsafe is not a word here")).is_empty());
}

#[test]
fn panics_are_found_outside_tests() {
    assert_eq!(panics(&source("wire/frame.rs", "fn f() { x.unwrap(); y.expect(\"\"); panic!() }")).len(), 3);
    let fine = "fn f() { x.unwrap_or(1); self.expect_header(); } #[cfg(test)] mod tests { fn g() { x.unwrap() } }";
    assert!(panics(&source("wire/frame.rs", fine)).is_empty());
    assert!(panics(&Source { test: true, ..source("wire/frame/cases.rs", "x.unwrap()") }).is_empty());
}
