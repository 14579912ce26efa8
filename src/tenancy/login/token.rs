//! Static tokens: only their digests are kept, and every one of them is looked at.

use std::fmt;

use ahash::AHashMap;
use aws_lc_rs::{constant_time, digest};

use super::MAX_TOKEN_BYTES;
use crate::model::{Identity, Secret};

/// The tokens of all tenants of a listener, each with who it stands for.
pub struct Tokens {
    entries: Vec<(TokenDigest, Option<Identity>)>,
}

impl Tokens {
    /// Keeps each token once. A token that names two different identities lets nobody in: to guess whose it is would
    /// open one tenant's sessions to another. [`Tokens::clashes`] finds such tokens, so that a config can refuse them.
    pub fn new(entries: Vec<(TokenDigest, Identity)>) -> Self {
        let mut places = AHashMap::with_capacity(entries.len());
        let mut kept: Vec<(TokenDigest, Option<Identity>)> = Vec::with_capacity(entries.len());
        for (token, identity) in entries {
            let place = *places.entry(token.0).or_insert(kept.len());
            match kept.get_mut(place) {
                None => kept.push((token, Some(identity))),
                Some((_, owner)) if owner.as_ref() != Some(&identity) => *owner = None,
                Some(_) => {}
            }
        }
        Self { entries: kept }
    }

    /// The pairs of identities that share a token.
    pub fn clashes(entries: &[(TokenDigest, Identity)]) -> Vec<(Identity, Identity)> {
        let mut owners: AHashMap<[u8; 32], &Identity> = AHashMap::with_capacity(entries.len());
        let mut found = Vec::new();
        for (token, identity) in entries {
            let first = *owners.entry(token.0).or_insert(identity);
            if first != identity {
                found.push((first.clone(), identity.clone()));
            }
        }
        found
    }

    /// Whose token this is. Takes the same time whichever token it is, and however much of a wrong one is right.
    pub fn find(&self, token: &Secret) -> Option<&Identity> {
        let token = token.expose().as_bytes();
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        self.owner(&TokenDigest::of(token), TokenDigest::same)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Compares with every entry; no comparison decides whether the next one is made.
    fn owner(
        &self,
        wanted: &TokenDigest,
        mut same: impl FnMut(&TokenDigest, &TokenDigest) -> bool,
    ) -> Option<&Identity> {
        let mut place = 0;
        for (at, (token, _)) in self.entries.iter().enumerate() {
            place |= usize::from(same(token, wanted)) * (at + 1); // At most one is the same: digests are kept once.
        }
        self.entries.get(place.checked_sub(1)?)?.1.as_ref()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.entries.len())
    }
}

/// The SHA-256 of a token. Equality takes the same time wherever two digests differ.
#[derive(Clone)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of `token`.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest::digest(&digest::SHA256, token).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits of either case, as `sha256sum` prints them.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0, |byte, digit| {
                let value = char::from(*digit).to_digit(16)?;
                Some(byte << 4 | u8::try_from(value).ok()?)
            })?;
        }
        Some(Self(bytes))
    }

    fn same(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: usize) -> Tokens {
        let entry = |at: usize| (TokenDigest::of(format!("token-{at}").as_bytes()), Identity::of(&format!("t{at}")));
        Tokens::new((0..count).map(entry).collect())
    }

    #[test]
    fn every_digest_is_looked_at_whichever_matches() {
        let tokens = many(50);
        for at in 0..60 {
            let wanted = TokenDigest::of(format!("token-{at}").as_bytes());
            let mut looked_at = Vec::new();
            let owner = tokens.owner(&wanted, |token, wanted| {
                looked_at.push(token.clone());
                token.same(wanted)
            });
            assert_eq!(owner.map(|owner| owner.tenant.to_string()), (at < 50).then(|| format!("t{at}")));
            let all: Vec<_> = tokens.entries.iter().map(|(token, _)| token.clone()).collect();
            assert_eq!(looked_at, all, "token {at}");
        }
    }

    #[test]
    fn tokens_of_any_length_are_found_and_no_other() {
        for length in [1, 31, 32, 64, MAX_TOKEN_BYTES] {
            let token = "x".repeat(length);
            let tokens = Tokens::new(vec![(TokenDigest::of(token.as_bytes()), Identity::of("a"))]);
            assert_eq!(tokens.find(&Secret::new(token.as_str())), Some(&Identity::of("a")));
            assert_eq!(tokens.find(&Secret::new(format!("{token}x"))), None);
            assert_eq!(tokens.find(&Secret::new(&token[1..])), None);
        }
    }

    #[test]
    fn empty_and_huge_tokens_are_nobodys() {
        for token in [String::new(), "x".repeat(MAX_TOKEN_BYTES + 1)] {
            let tokens = Tokens::new(vec![(TokenDigest::of(token.as_bytes()), Identity::of("a"))]);
            assert_eq!(tokens.find(&Secret::new(token)), None);
        }
        assert!(many(0).is_empty());
        assert_eq!(many(0).find(&Secret::new("x")), None);
    }

    #[test]
    fn a_token_of_two_lets_nobody_in() {
        let entry = |token: &str, tenant: &str| (TokenDigest::of(token.as_bytes()), Identity::of(tenant));
        let entries = vec![entry("x", "a"), entry("y", "b"), entry("x", "b"), entry("y", "b"), entry("x", "a")];
        assert_eq!(Tokens::clashes(&entries), [(Identity::of("a"), Identity::of("b"))]);
        let tokens = Tokens::new(entries);
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens.find(&Secret::new("x")), None);
        assert_eq!(tokens.find(&Secret::new("y")), Some(&Identity::of("b")));
    }

    #[test]
    fn hex_is_read_as_sha256sum_prints_it() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenDigest::from_hex(text), Some(TokenDigest::of(b"abc")));
        assert_eq!(TokenDigest::from_hex(&text.to_uppercase()), Some(TokenDigest::of(b"abc")));
        let ends = format!("{}+1", &text[2..]);
        let wide = format!("é{}", &text[2..]);
        for wrong in [
            "",
            "ba",
            &text[1..],
            &format!("{text}0"),
            &format!(" {}", &text[1..]),
            &text.replace('b', "g"),
            &ends,
            &wide,
        ] {
            assert_eq!(TokenDigest::from_hex(wrong), None, "{wrong}");
        }
    }
}
