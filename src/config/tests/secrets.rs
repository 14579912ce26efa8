//! Secrets: from the environment and from files, and never in a problem.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::{Case, REST, read, refuses};
use crate::config::load;

const CASES: &[Case] = &[
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"ok\"\nconnection_token = \"hunter2\"\n",
        problems: &[(
            5,
            "listener[0].connection_token",
            &["string (not shown)", "{ env = \"NAME\" } or { file = \"PATH\" }"],
        )],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"ok\"\nconnection_token = [ \"hunter2\" ]\n",
        problems: &[(5, "listener[0].connection_token", &["array (not shown)"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { env = \"TOKEN\", file = \"/x\" }\n",
        problems: &[(3, "pool.x.connection_token", &["both env and file"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = {}\n",
        problems: &[(3, "pool.x.connection_token", &["an empty table"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { evn = \"TOKEN\", value = \"hunter2\" }\n",
        problems: &[
            (3, "pool.x.connection_token.evn", &["did you mean `env`?"]),
            (3, "pool.x.connection_token.value", &["unknown key"]),
        ],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { env = \"UNSET\" }\n",
        problems: &[(3, "pool.x.connection_token.env", &["environment variable UNSET, which is unset"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { env = \"EMPTY\" }\n",
        problems: &[(3, "pool.x.connection_token.env", &["EMPTY, which is empty"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { env = \"LINES\" }\n",
        problems: &[(3, "pool.x.connection_token.env", &["not one line"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { env = \"hunter2=\" }\n",
        problems: &[(3, "pool.x.connection_token.env", &["names no variable (not shown)"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { file = \"/nowhere/token\" }\n",
        problems: &[(3, "pool.x.connection_token.file", &["\"/nowhere/token\", which cannot be read: No such file"])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nconnection_token = { file = \"/dev/zero\" }\n",
        problems: &[(3, "pool.x.connection_token.file", &["not a regular file"])],
    },
    Case {
        text: "[pool.x.supervise]\ncount = 1\nenv = { A = { env = \"UNSET\" }, B = [ \"hunter2\" ], C = { file = 5 } }\n",
        problems: &[
            (3, "pool.x.supervise.env.A.env", &["UNSET, which is unset"]),
            (3, "pool.x.supervise.env.B", &["array (not shown)", "a string, {"]),
            (3, "pool.x.supervise.env.C.file", &["integer 5", "the path of a file"]),
        ],
    },
];

#[test]
fn bad_sources() {
    refuses(CASES, REST);
}

#[test]
fn a_pasted_secret_is_never_told() {
    for case in CASES {
        let told = read(&format!("{}{REST}", case.text)).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
    let told = read("[pool.x]\nconnection_token = hunter2\nbackends = 1\n").unwrap_err().to_string();
    assert!(told.contains("bad TOML") && !told.contains("hunter2"), "{told}");
}

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &[u8], mode: u32) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config_with_token(file: &str) -> String {
    format!(
        "[pool.x]\nbackends = [ {{ name = \"a\", address = \"a:1\" }} ]\nconnection_token = {{ file = \"{file}\" }}\n{REST}"
    )
}

#[test]
fn secret_files_lie_beside_the_config() {
    let folder = Folder::new("secret-files");
    folder.file("token", b"s3cret\r\n", 0o600);
    folder.file("config.toml", config_with_token("token").as_bytes(), 0o600);
    let config = load(&folder.0.join("config.toml")).unwrap();
    let token = config.pools["x"].connection_token.as_ref().unwrap();
    assert_eq!(token.expose(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn secret_files_that_cannot_be_meant_are_refused() {
    let folder = Folder::new("bad-secret-files");
    let large = vec![b'a'; 70_000];
    let wrong: [(&[u8], &str); 4] = [
        (b"\n", "is empty"),
        (b"s3\ncret\n", "more than one line"),
        (b"s3cret\xff", "is not text"),
        (&large, "larger than 64KiB"),
    ];
    for (bytes, words) in wrong {
        folder.file("token", bytes, 0o600);
        folder.file("config.toml", config_with_token("token").as_bytes(), 0o600);
        let told = load(&folder.0.join("config.toml")).unwrap_err().to_string();
        assert!(told.contains(words) && !told.contains("s3") && told.lines().count() == 2, "{told}");
    }
}

#[test]
fn a_secret_file_that_all_can_read_is_warned_of() {
    let folder = Folder::new("open-secret-file");
    folder.file("token", b"s3cret", 0o644);
    folder.file("config.toml", config_with_token("token").as_bytes(), 0o600);
    let config = load(&folder.0.join("config.toml")).unwrap();
    let warned = config.warnings.iter().find(|w| w.key == "pool.x.connection_token.file").unwrap();
    assert!(warned.to_string().contains("every user can read; expected mode 0600"), "{warned}");
}

#[test]
fn a_config_that_cannot_be_read_is_told_without_a_line() {
    let told = load(std::path::Path::new("/nowhere/x.toml")).unwrap_err().to_string();
    assert!(told.starts_with("/nowhere/x.toml: error: found a file that cannot be read: No such file"), "{told}");
}
