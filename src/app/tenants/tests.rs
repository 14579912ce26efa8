//! Walls, logins and watched files, from the text of a config on.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;

use super::*;
use crate::{
    config::parse,
    model::{Identity, Secret},
    tenancy::{Access, Posture},
    wire::Methods,
};

type ByName<T> = BTreeMap<String, Arc<T>>;

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-tenants-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// The config in this folder, with walls, logins and what is watched.
    fn read(&self, text: &str) -> (ByName<Wall>, ByName<Login>, Watched) {
        let text = format!("{text}{POOL}");
        let env = |name: &str| Some(format!("token of {name}, long enough for all"));
        let config = parse(&text, &self.0.join("config.toml").display().to_string(), &env);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let (walls, tokens, keys) = (walls::walls(&config), TokenRing::new(&config), keys_of(&config).unwrap());
        let logins = logins::logins(&config, &walls, tokens.shared(), &keys);
        (walls, logins, Watched { tokens, keys: keys.into_values().collect() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const POOL: &str = "\n[pool.x]\nbackends = [ { name = \"b\", address = \"b:1\" } ]\n";
const LISTENER: &str = "[[listener]]\nname = \"sdk\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\n";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Whom the login lets in with `token`.
fn who(login: &Login, token: &str) -> Option<String> {
    login.ask(Some(&Secret::new(token)), now()).map(|who| who.to_string())
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged while `run` runs, at every level.
fn logged(run: impl FnOnce()) -> String {
    let lines = Lines::default();
    let sink = lines.clone();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    tracing::subscriber::with_default(log.with_writer(move || sink.clone()).finish(), run);
    let bytes = lines.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_the_config_says_is_what_the_walls_have() {
    let folder = Folder::new("walls");
    let (walls, logins, _) = folder.read(
        "[[listener]]\nname = \"sdk\"\nbind = \"127.0.0.1:0\"\npool = \"shared\"\n\
        [[listener]]\nname = \"own\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\ntenant = \"bob\"\n\
        [[listener]]\nname = \"asked\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\ntenant = \"bob\"\nconnection_token = { env = \"OWN\" }\n\
        [[listener]]\nname = \"free\"\nbind = \"127.0.0.1:0\"\npool = \"free\"\n\
        [pool.shared]\nsession_id_template = \"{tenant}__\"\nfree_ids = \"refuse\"\nmethods = { allow = [ \"session.shell.exec\" ] }\nbackends = [ { name = \"b\", address = \"b:2\" } ]\n\
        [pool.own]\nposture = \"dedicated\"\ntenant = \"bob\"\nbackends = [ { name = \"b\", address = \"b:3\" } ]\n\
        [pool.free]\nposture = \"open\"\nbackends = [ { name = \"b\", address = \"b:4\" } ]\n\
        [[tenant]]\nname = \"alice\"\ntokens = [ { env = \"ALICE\" } ]\nshare = [ { session = \"alice__board\", with = [ \"bob/ben\" ] } ]\n\
        [tenant.methods]\ndeny = [ \"session.shell.*\" ]\n[tenant.limits]\nconnections = 1\n\
        [[tenant]]\nname = \"bob\"\ntokens = [ { env = \"BOB\", user = \"ben\" } ]\n",
    );
    assert_eq!(walls.keys().collect::<Vec<_>>(), ["own", "shared", "x"]);
    assert_eq!(logins.keys().collect::<Vec<_>>(), ["asked", "own", "sdk"]);
    let (shared, own) = (&walls["shared"], &walls["own"]);
    assert_eq!((shared.posture(), own.posture()), (Posture::Tenants, Posture::Dedicated));
    assert!(own.tenant("alice").is_none() && shared.tenant("bob").is_some());
    let exec = Methods::get().find("session.shell.exec");
    let may = |tenant: &str| shared.tenant(tenant).unwrap().policy.allows(exec, "session.shell.exec");
    assert_eq!((may("alice"), may("bob")), (false, true));
    assert!(shared.tenant("alice").unwrap().quota.hold(crate::tenancy::Held::Connection).is_ok());
    let ben = Identity { tenant: "bob".into(), user: Some("ben".into()) };
    assert_eq!(shared.access(&ben, "alice__board"), Access::Shared);
    assert_eq!(shared.access(&ben, "alice__other"), Access::Foreign);
    assert_eq!(shared.access(&ben, "free"), Access::Foreign, "free ids are refused");
    let token = |name: &str| format!("token of {name}, long enough for all");
    assert_eq!(who(&logins["sdk"], &token("ALICE")).as_deref(), Some("alice"));
    assert_eq!(who(&logins["sdk"], &token("BOB")).as_deref(), Some("bob/ben"));
    assert_eq!(who(&logins["sdk"], &token("NOBODY")), None);
    assert_eq!(logins["own"].default_identity().map(Identity::to_string).as_deref(), Some("bob"));
    assert!(logins["asked"].asks() && !logins["own"].asks());
    assert_eq!(who(&logins["asked"], &token("OWN")).as_deref(), Some("bob"));
    assert_eq!(who(&logins["asked"], &token("ALICE")), None, "the pool is not hers");
}

const TWO: &str = "[[tenant]]\nname = \"alice\"\ntokens = [ { file = \"alice\" }, { file = \"alice-new\", user = \"ann\" } ]\n\
    [[tenant]]\nname = \"bob\"\ntokens = [ { file = \"bob\" } ]\n";

#[test]
fn a_changed_token_counts_and_the_old_one_no_longer() {
    let folder = Folder::new("rotation");
    let names =
        [("alice", "alice: the first token"), ("alice-new", "alice: another token"), ("bob", "bob: the only token")];
    names.iter().for_each(|(file, token)| folder.write(file, token));
    let (_, logins, mut watched) = folder.read(&format!("{LISTENER}{TWO}"));
    let login = &logins["sdk"];
    assert_eq!(who(login, "alice: the first token").as_deref(), Some("alice"));
    assert_eq!(logged(|| watched.refresh()), "", "nothing changed");
    folder.write("alice", "alice: a fresh token\n");
    let told = logged(|| watched.refresh());
    assert!(told.contains("INFO") && told.contains("the token changed") && told.contains("tenant=alice"), "{told}");
    assert!(told.contains("/alice") && !told.contains("fresh") && !told.contains("first"), "{told}");
    assert_eq!(who(login, "alice: the first token"), None);
    assert_eq!(who(login, "alice: a fresh token").as_deref(), Some("alice"));
    assert_eq!(who(login, "alice: another token").as_deref(), Some("alice/ann"));
    assert_eq!(who(login, "bob: the only token").as_deref(), Some("bob"));
}

#[test]
fn a_token_file_that_is_no_good_changes_nothing_and_is_told_once() {
    let folder = Folder::new("gone");
    ["alice", "alice-new", "bob"].iter().for_each(|file| folder.write(file, &format!("{file}: a token of its own")));
    let (_, logins, mut watched) = folder.read(&format!("{LISTENER}{TWO}"));
    let login = &logins["sdk"];
    let holds = |login: &Login| who(login, "alice: a token of its own").as_deref() == Some("alice");
    folder.write("alice", "");
    let told = logged(|| (0..3).for_each(|_| watched.refresh()));
    assert_eq!(told.matches("WARN").count(), 1, "{told}");
    assert!(told.contains("the file is empty") && told.contains("the last token stays in force"), "{told}");
    assert!(holds(login));
    fs::remove_file(folder.0.join("alice")).unwrap();
    assert_eq!(logged(|| watched.refresh()), "", "it was told");
    assert!(holds(login));
    folder.write("alice", "alice: a token of its own");
    assert!(logged(|| watched.refresh()).contains("the token can be read again"));
    // The token of another tenant: whose would it be?
    folder.write("alice", "bob: a token of its own");
    let told = logged(|| (0..3).for_each(|_| watched.refresh()));
    assert!(told.contains("the file holds a token of bob") && told.lines().count() == 1, "{told}");
    assert!(holds(login));
    assert_eq!(who(login, "bob: a token of its own").as_deref(), Some("bob"));
}

/// Kubernetes shows a secret through two links, and swaps the inner one.
#[test]
fn a_link_to_another_folder_is_a_change() {
    let folder = Folder::new("links");
    for (version, token) in [("v1", "the first of two tokens"), ("v2", "the second of two tokens")] {
        fs::create_dir(folder.0.join(version)).unwrap();
        folder.write(&format!("{version}/token"), token);
    }
    symlink("v1", folder.0.join("..data")).unwrap();
    symlink("..data/token", folder.0.join("token")).unwrap();
    let tenant = "[[tenant]]\nname = \"alice\"\ntokens = [ { file = \"token\" } ]\n";
    let (_, logins, mut watched) = folder.read(&format!("{LISTENER}{tenant}"));
    assert_eq!(who(&logins["sdk"], "the first of two tokens").as_deref(), Some("alice"));
    symlink("v2", folder.0.join("..next")).unwrap();
    fs::rename(folder.0.join("..next"), folder.0.join("..data")).unwrap();
    watched.refresh();
    assert_eq!(who(&logins["sdk"], "the first of two tokens"), None);
    assert_eq!(who(&logins["sdk"], "the second of two tokens").as_deref(), Some("alice"));
}

/// An issuer of JWTs with a key of its own.
struct Issuer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), id }
    }

    fn token(&self) -> String {
        let claims = serde_json::json!({ "iss": "i", "aud": "a", "exp": now() + 60, "tenant": "alice", "sub": "ann" });
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) };
        let key = self.key.to_pkcs8v1().unwrap();
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(key.as_ref())).unwrap()
    }

    fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        let part = |bytes: &[u8]| base64(bytes, b"-_").trim_end_matches('=').to_owned();
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        serde_json::json!({ "keys": [ { "kty": "EC", "crv": "P-256", "kid": self.id, "x": x, "y": y } ] }).to_string()
    }

    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.key.public_key().as_der().unwrap();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(der.as_ref(), b"+/"))
    }
}

fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let digits: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let digit = digits[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn with_jwt(source: &str) -> String {
    format!(
        "{LISTENER}[listener.jwt]\n{source}\nissuer = \"i\"\naudience = \"a\"\nuser_claim = \"sub\"\n[[tenant]]\nname = \"alice\"\n"
    )
}

#[test]
fn the_keys_of_jwts_change_with_their_file() {
    let folder = Folder::new("jwks");
    let (first, second) = (Issuer::new("first"), Issuer::new("second"));
    for source in ["jwks", "public_key"] {
        let text = if source == "jwks" { Issuer::jwks } else { Issuer::pem };
        folder.write("keys", &text(&first));
        let (_, logins, mut watched) = folder.read(&with_jwt(&format!("{source} = {{ file = \"keys\" }}")));
        let login = &logins["sdk"];
        assert_eq!(who(login, &first.token()).as_deref(), Some("alice/ann"));
        assert_eq!(who(login, &second.token()), None);
        assert_eq!(logged(|| watched.refresh()), "", "nothing changed");
        for bad in ["", "{\"keys\": []}", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"] {
            folder.write("keys", bad);
            let told = logged(|| (0..3).for_each(|_| watched.refresh()));
            assert_eq!(told.matches("the last keys of JWTs stay in force").count(), 1, "{bad}: {told}");
            assert_eq!(who(login, &first.token()).as_deref(), Some("alice/ann"));
        }
        fs::remove_file(folder.0.join("keys")).unwrap();
        assert!(logged(|| watched.refresh()).contains("cannot be read"));
        folder.write("keys", &text(&second));
        let told = logged(|| watched.refresh());
        assert!(told.contains("the keys of JWTs were read again") && told.contains("listener=\"sdk\""), "{told}");
        assert_eq!(who(login, &first.token()), None);
        assert_eq!(who(login, &second.token()).as_deref(), Some("alice/ann"));
    }
}

#[test]
fn the_shared_secret_of_jwts_is_never_told() {
    let folder = Folder::new("secret");
    folder.write("key", "the first shared secret of thirty-two bytes");
    let source = "algorithms = [ \"HS256\" ]\nsecret = { file = \"key\" }";
    let (_, logins, mut watched) = folder.read(&with_jwt(source));
    let claims = serde_json::json!({ "iss": "i", "aud": "a", "exp": now() + 60, "tenant": "alice" });
    let signed = |key: &str| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes()))
            .unwrap()
    };
    let old = signed("the first shared secret of thirty-two bytes");
    assert_eq!(who(&logins["sdk"], &old).as_deref(), Some("alice"));
    folder.write("key", "a secret too short");
    let told = logged(|| watched.refresh());
    assert!(told.contains("shorter than 32 bytes") && !told.contains("a secret too"), "{told}");
    assert_eq!(who(&logins["sdk"], &old).as_deref(), Some("alice"));
    folder.write("key", "the second shared secret of thirty-two bytes");
    let told = logged(|| watched.refresh());
    assert!(told.contains("read again") && !told.contains("thirty-two"), "{told}");
    assert_eq!(who(&logins["sdk"], &old), None);
    let new = signed("the second shared secret of thirty-two bytes");
    assert_eq!(who(&logins["sdk"], &new).as_deref(), Some("alice"));
}

#[test]
fn an_open_pool_is_warned_of_at_the_start() {
    let text = format!("{LISTENER}{POOL}");
    let config = parse(&text, "test.toml", &|_| None).unwrap();
    let told = logged(|| warn_of_open_pools(&config));
    assert!(told.contains("WARN") && told.contains("one trusted application") && told.contains("pool=\"x\""), "{told}");
    let config =
        parse(&format!("{text}[[tenant]]\nname = \"a\"\ntokens = [ {{ env = \"A\" }} ]\n"), "test.toml", &|_| {
            Some("a token that is long enough".to_owned())
        });
    assert_eq!(logged(|| warn_of_open_pools(&config.unwrap())), "");
}

/// The task looks by itself; time is the test's.
#[tokio::test(start_paused = true)]
async fn the_watch_looks_every_second() {
    let folder = Folder::new("watch");
    folder.write("token", "the first of three tokens");
    let tenant = "[[tenant]]\nname = \"alice\"\ntokens = [ { file = \"token\" } ]\n";
    let (_, logins, watched) = folder.read(&format!("{LISTENER}{tenant}"));
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    watch::spawn(watched, &tracker, &cancel);
    for token in ["the second of three tokens", "the third of three tokens"] {
        folder.write("token", token);
        let changed = async {
            while who(&logins["sdk"], token).is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), changed).await.unwrap();
    }
    cancel.cancel();
    tracker.close();
    tracker.wait().await;
}
