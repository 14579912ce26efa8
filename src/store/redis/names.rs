//! The keys: all of one session are in one slot of a Cluster, so that a script may use them together.

use crate::store::{Key, Told, Who};

/// Slots of a Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// Makes the names of keys.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Box<str>,
    channel: Box<str>,
}

impl Names {
    /// Every name begins with `prefix`. Channels know no databases, so theirs stands in the name.
    pub fn new(prefix: &str, database: u32) -> Self {
        Self { prefix: prefix.into(), channel: format!("{prefix}news:{database}").into() }
    }

    /// Where proxies tell each other what happened.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    pub fn pin(&self, key: &Key) -> String {
        self.of(key, "pin")
    }

    pub fn owner(&self, key: &Key) -> String {
        self.of(key, "owner")
    }

    /// The lock, its line, and when who stands in it was seen.
    pub fn lock(&self, key: &Key) -> [String; 3] {
        [self.of(key, "lock"), self.of(key, "line"), self.of(key, "seen")]
    }

    /// All owners of a pool's sessions, to be listed.
    pub fn owners(&self, pool: &str) -> String {
        format!("{}{{{pool}}}:owners", self.prefix)
    }

    fn of(&self, key: &Key, what: &str) -> String {
        format!("{}{{{}/{}}}:{what}", self.prefix, key.pool, key.session)
    }
}

/// The slot of a key, by the part in braces if there is one.
pub(super) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(name).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc: u16, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

/// Whose a session is, as one text.
pub(super) fn written(who: &Who) -> String {
    match &who.user {
        Some(user) => format!("{}\n{user}", who.tenant),
        None => who.tenant.to_string(),
    }
}

/// The other way round.
pub(super) fn read(text: &str) -> Who {
    match text.split_once('\n') {
        Some((tenant, user)) => Who { tenant: tenant.into(), user: Some(user.into()) },
        None => Who { tenant: text.into(), user: None },
    }
}

/// What proxies tell each other: an array of texts in JSON.
pub(super) fn news(told: &[&str]) -> String {
    serde_json::to_string(told).unwrap_or_default()
}

pub(super) const FREE: &str = "free";
pub(super) const OWNED: &str = "owned";
pub(super) const DISOWNED: &str = "disowned";

/// What was told; nothing if it is not understood, as of a later version.
pub(super) fn heard(news: &[u8]) -> Option<Told> {
    let words: Vec<String> = serde_json::from_slice(news).ok()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let key = |pool: &str, session: &str| Key { pool: pool.into(), session: session.into() };
    match words[..] {
        [FREE, pool, session] => Some(Told::Free(key(pool, session))),
        [OWNED, pool, session, who] => Some(Told::Owned { key: key(pool, session), who: read(who) }),
        [DISOWNED, pool, session] => Some(Told::Disowned(key(pool, session))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As `CLUSTER KEYSLOT` says.
        for (name, right) in [("123456789", 0x31C3), ("foo", 12182), ("{user1000}.following", 3443)] {
            assert_eq!(slot(name), right, "{name}");
        }
        assert_eq!(slot("foo{}{bar}"), slot_of_whole("foo{}{bar}"));
    }

    fn slot_of_whole(name: &str) -> u16 {
        crc16(name.as_bytes()) % SLOTS
    }

    #[test]
    fn all_keys_of_a_session_are_in_one_slot() {
        let names = Names::new("pilotfish:", 0);
        for session in ["s", "with space", "}", "{}", "a}b{c", "\u{fc}"] {
            let key = Key { pool: "p".into(), session: session.into() };
            let [lock, line, seen] = names.lock(&key);
            for name in [names.owner(&key), lock, line, seen] {
                assert_eq!(slot(&name), slot(&names.pin(&key)), "{name}");
            }
        }
    }

    #[test]
    fn news_come_as_they_were_told() {
        let key = Key { pool: "p".into(), session: "a\n\"b".into() };
        for user in [None, Some("u".into())] {
            let who = Who { tenant: "t".into(), user };
            let told = news(&[OWNED, "p", "a\n\"b", &written(&who)]);
            assert_eq!(heard(told.as_bytes()), Some(Told::Owned { key: key.clone(), who }));
        }
        assert_eq!(heard(news(&[FREE, "p", "a\n\"b"]).as_bytes()), Some(Told::Free(key.clone())));
        assert_eq!(heard(news(&[DISOWNED, "p", "a\n\"b"]).as_bytes()), Some(Told::Disowned(key)));
        for strange in ["", "[]", "[\"free\"]", "[1]", "{}", "[\"new\",\"p\",\"s\"]"] {
            assert_eq!(heard(strange.as_bytes()), None, "{strange}");
        }
    }
}
