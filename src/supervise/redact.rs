//! What must not be in a log: every secret that we know, and whatever looks like one.

use std::fmt::Write;

use crate::model::Secret;

/// Bytes of a line that are kept.
pub(super) const MAX_LINE: usize = 8 << 10;

const MASK: &str = "***";

/// Tokens that GitHub's own prefix gives away.
const GITHUB: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// Strikes secrets out of lines.
#[derive(Debug)]
pub struct Redactor {
    /// Longest first: of two that begin alike, the whole of the longer one has to go.
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Knows `secrets`; of one with several lines (a key file) also each line that is long enough to mean anything.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut known: Vec<Secret> = Vec::new();
        for secret in secrets {
            let whole = secret.expose().trim();
            let lines = whole.lines().map(str::trim).filter(|line| line.len() >= 8);
            known.extend(std::iter::once(whole).chain(lines).filter(|text| !text.is_empty()).map(Secret::new));
        }
        known.sort_by(|a, b| (b.expose().len(), b.expose()).cmp(&(a.expose().len(), a.expose())));
        known.dedup();
        Self { secrets: known }
    }

    /// Bytes that a line has to be read to, so that a secret that begins before the cut is known as one.
    pub(super) fn reach(&self) -> usize {
        MAX_LINE + self.secrets.first().map_or(0, |secret| secret.expose().len()).max(512)
    }

    /// The line as it may be logged: lossy UTF-8, no control characters, secrets replaced, cut after 8 KiB (or where `cut`
    /// says that the reader cut it).
    pub fn line(&self, raw: &[u8], cut: bool) -> String {
        let text = String::from_utf8_lossy(raw);
        let mut clean = String::with_capacity(text.len().min(MAX_LINE));
        let mut at = 0;
        while at < text.len().min(MAX_LINE) {
            let rest = &text[at..];
            if let Some((shown, length)) = self.secret_at(rest, text[..at].chars().next_back()) {
                let _ = write!(clean, "{shown}{MASK}");
                at += length;
            } else {
                let next = rest.chars().next().unwrap_or_default();
                clean.push(if next.is_control() && next != '\t' { '\u{fffd}' } else { next });
                at += next.len_utf8();
            }
        }
        if cut || at < text.len() {
            clean.push('…');
        }
        clean
    }

    /// A secret at the very start of `text`: what of it may be shown, and its whole length.
    fn secret_at<'a>(&self, text: &'a str, before: Option<char>) -> Option<(&'a str, usize)> {
        let known = self.secrets.iter().map(Secret::expose).find(|secret| text.starts_with(secret));
        if let Some(secret) = known {
            return Some(("", secret.len()));
        }
        if let Some(length) = GITHUB.iter().find_map(|prefix| token(text, prefix, 10)) {
            return Some(("", length));
        }
        // These two need the start of a word: `disk-usage` is no key.
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        token(text, "sk-", 16).map(|length| ("", length)).or_else(|| bearer(text))
    }
}

/// The length of a token that begins with `prefix` and has at least `least` more characters.
fn token(text: &str, prefix: &str, least: usize) -> Option<usize> {
    let rest = text.strip_prefix(prefix)?;
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
    (length >= least).then_some(prefix.len() + length)
}

/// `Bearer xxx`: the word stays, what follows goes.
fn bearer(text: &str) -> Option<(&str, usize)> {
    let word = text.get(..6).filter(|word| word.eq_ignore_ascii_case("bearer"))?;
    let rest = &text[word.len()..];
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let length = rest[gap..].find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len() - gap);
    (gap > 0 && length > 0).then(|| (&text[..word.len() + gap], word.len() + gap + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(*text)).collect();
        Redactor::new(&secrets)
    }

    fn clean(text: &str) -> String {
        redactor(&["hunter22", "hunter22-long"]).line(text.as_bytes(), false)
    }

    #[test]
    fn known_secrets_go_the_longest_first() {
        assert_eq!(clean("a=hunter22 b=hunter22-long."), "a=*** b=***.");
        assert_eq!(clean("xhunter22hunter22y"), "x******y");
        assert_eq!(redactor(&["", " \n"]).line(b"nothing to hide", false), "nothing to hide");
    }

    #[test]
    fn each_line_of_a_key_file_is_a_secret() {
        let redactor = redactor(&["-----BEGIN-----\nMIIEvAIBADAN\nBgkqhkiG9w0B\n"]);
        assert_eq!(redactor.line(b"MIIEvAIBADAN", false), "***");
        assert_eq!(redactor.line(b"key: BgkqhkiG9w0B", false), "key: ***");
    }

    #[test]
    fn what_looks_like_a_token_goes() {
        for prefix in ["ghp_", "gho_", "ghu_", "ghs_", "github_pat_"] {
            assert_eq!(clean(&format!("token={prefix}0123456789abcdefABCDEF rest")), "token=*** rest");
        }
        assert_eq!(clean("Authorization: Bearer abc.def-ghi"), "Authorization: Bearer ***");
        assert_eq!(clean(r#"{"authorization":"bearer  abc"}"#), r#"{"authorization":"bearer  ***"}"#);
        assert_eq!(clean("key sk-0123456789abcdef0123"), "key ***");
    }

    #[test]
    fn what_does_not_stays() {
        for line in
            ["disk-usage-of-the-whole-machine", "sk-short", "ghp_short", "the bearer", "forbearer x", "höflich ✓"]
        {
            assert_eq!(clean(line), line);
        }
    }

    #[test]
    fn control_characters_and_broken_text_are_defused() {
        assert_eq!(redactor(&[]).line(b"a\x1b[31mb\x00\tc\xff", false), "a\u{fffd}[31mb\u{fffd}\tc\u{fffd}");
    }

    #[test]
    fn long_lines_are_cut_but_never_inside_a_secret() {
        let secret = "s3cr3t".repeat(40);
        let redactor = redactor(&[&secret]);
        let line = format!("{}{secret}tail", "x".repeat(MAX_LINE - 3));
        let shown = redactor.line(&line.as_bytes()[..redactor.reach().min(line.len())], false);
        assert_eq!(shown, format!("{}***…", "x".repeat(MAX_LINE - 3)));
        assert_eq!(redactor.line(&[b'y'; 10], true), "yyyyyyyyyy…");
    }
}
