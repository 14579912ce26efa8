//! Tenants that are wrong by themselves or beside each other.

use super::{Case, refuses};

/// A listener and a pool that tenants share.
pub(super) const SHARED: &str = r#"
[[listener]]
name = "ok"
bind = "127.0.0.1:0"
pool = "ok"
[pool.ok]
backends = [ { name = "ok", address = "backend:1" } ]
[pool.other]
posture = "dedicated"
tenant = "zoe"
backends = [ { name = "ok", address = "backend:2" } ]
[[listener]]
name = "other"
bind = "127.0.0.1:0"
pool = "other"
[[tenant]]
name = "zoe"
tokens = [ { env = "LONG" } ]
"#;

const VALUES: &[Case] = &[
    Case { text: "tenant = 5\n", problems: &[(1, "tenant", &["integer 5", "array of tables"])] },
    Case {
        text: "[tenant]\nname = \"a\"\n",
        problems: &[(1, "tenant", &["found a table", "[[tenant]] with double brackets"])],
    },
];

#[test]
fn no_list_of_tenants() {
    refuses(VALUES, super::REST);
}

const TENANTS: &[Case] = &[
    Case {
        text: "[[tenant]]\ntokens = [ { env = \"TOKEN\" } ]\nuser = \"apart\"\n",
        problems: &[
            (1, "tenant[0].name", &["found nothing", "add `name = \"alice\"`"]),
            (3, "tenant[0].user", &["unknown key", "did you mean `users`?"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a b\"\nusers = \"appart\"\npools = \"ok\"\nroots = [ \"srv\", \"/a/../b\", \"~/x\", 5 ]\nstdio_mcp = \"true\"\ncommands = [ \"/plan\", \"a b\" ]\n",
        problems: &[
            (2, "tenant[0].name", &["\"a b\"", "a name: 1 to 64"]),
            (3, "tenant[0].users", &["did you mean `apart`?"]),
            (4, "tenant[0].pools", &["found string", "an array, each a name", "write [ ... ]"]),
            (5, "tenant[0].roots[0]", &["\"srv\"", "an absolute path without"]),
            (5, "tenant[0].roots[1]", &["\"/a/../b\""]),
            (5, "tenant[0].roots[2]", &["there is no shell"]),
            (5, "tenant[0].roots[3]", &["integer 5"]),
            (6, "tenant[0].stdio_mcp", &["without the quotes"]),
            (7, "tenant[0].commands[0]", &["without the slash: \"plan\""]),
            (7, "tenant[0].commands[1]", &["\"a b\"", "slash command"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\nprovider_urls = [ \"api.example.com\", \"https://u:hunter2@a\", \"https://a.*\" ]\nmcp_urls = [ \"https://a?b\", \"\" ]\n",
        problems: &[
            (4, "tenant[0].provider_urls[0]", &["the scheme is missing"]),
            (4, "tenant[0].provider_urls[1]", &["a URL (not shown)", "without a user and password"]),
            (4, "tenant[0].provider_urls[2]", &["a `*` stands for the first parts"]),
            (5, "tenant[0].mcp_urls[0]", &["\"https://a?b\"", "without a query"]),
            (5, "tenant[0].mcp_urls[1]", &["\"\""]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\n[tenant.limits]\nconnections = 0\nturns = \"5\"\nbytes_per_second = \"10MB\"\nframes = 1\n[tenant.methods]\nallow = [ \"*\", \"session.mcp*\", \"session..x\", 5 ]\n",
        problems: &[
            (5, "tenant[0].limits.connections", &["integer 0", "from 1"]),
            (6, "tenant[0].limits.turns", &["without the quotes"]),
            (7, "tenant[0].limits.bytes_per_second", &["units: B, KiB"]),
            (8, "tenant[0].limits.frames", &["unknown key"]),
            (10, "tenant[0].methods.allow[0]", &["\"*\"", "no wall"]),
            (10, "tenant[0].methods.allow[1]", &["did you mean `session.mcp.*`?"]),
            (10, "tenant[0].methods.allow[2]", &["\"session..x\"", "a method such as"]),
            (10, "tenant[0].methods.allow[3]", &["integer 5"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"zoe\"\ntokens = [ { env = \"TOKEN\" } ]\n",
        problems: &[(20, "tenant[1].name", &["\"zoe\"", "the name of tenant[0] too", "a name of its own"])],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\npools = [ \"okk\", \"other\" ]\n[[tenant]]\nname = \"b\"\npools = []\ntokens = [ { env = \"LONG\", user = \"x\" } ]\n",
        problems: &[
            (4, "tenant[0].pools[0]", &["\"okk\", which is no pool", "did you mean `ok`?"]),
            (4, "tenant[0].pools[1]", &["\"other\", which is dedicated to zoe"]),
            (7, "tenant[1].pools", &["an empty array", "at least one pool, or no such key"]),
            (26, "tenant[2].tokens[0]", &["the same token as tenant[1].tokens[0]"]),
        ],
    },
];

#[test]
fn tenants() {
    refuses(TENANTS, SHARED);
}

const TOKENS: &[Case] = &[
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ \"hunter2\", {}, { env = \"TOKEN\", file = \"/x\" }, { evn = \"TOKEN\" }, { env = \"UNSET\" }, { file = \"/nowhere\" }, { sha256 = \"hunter2\" }, { env = \"TOKEN\", user = \"a b\" } ]\n",
        problems: &[
            (3, "tenant[0].tokens[0]", &["string (not shown)", "never stands in the config"]),
            (3, "tenant[0].tokens[1]", &["no token", "sha256"]),
            (3, "tenant[0].tokens[2]", &["env and file together"]),
            (3, "tenant[0].tokens[3].evn", &["did you mean `env`?"]),
            (3, "tenant[0].tokens[4].env", &["UNSET, which is unset"]),
            (3, "tenant[0].tokens[5].file", &["\"/nowhere\", which cannot be read"]),
            (3, "tenant[0].tokens[6].sha256", &["string that is no SHA-256 (not shown)", "sha256sum"]),
            (3, "tenant[0].tokens[7].user", &["\"a b\"", "a name"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = \"hunter2\"\n",
        problems: &[(3, "tenant[0].tokens", &["found string; expected an array"])],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" } ]\n",
        problems: &[(3, "tenant[0].tokens[0].sha256", &["the SHA-256 of nothing"])],
    },
    // The second digest is that of TOKEN.
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" }, { sha256 = \"1EC1C26B50D5D3C58D9583181AF8076655FE00756BF7285940BA3670F99FCBA0\" } ]\n",
        problems: &[(3, "tenant[0].tokens[1]", &["the same token as tenant[0].tokens[0]", "a token of its own"])],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\n[[listener]]\nname = \"d\"\nbind = \"127.0.0.1:0\"\npool = \"ok\"\ntenant = \"a\"\nconnection_token = { env = \"TOKEN\" }\n",
        problems: &[(9, "listener[0].connection_token", &["the same token as tenant[0].tokens[0]"])],
    },
];

#[test]
fn tokens() {
    refuses(TOKENS, SHARED);
}

#[test]
fn a_pasted_token_is_never_told() {
    for case in TOKENS.iter().chain(TENANTS) {
        let told = super::read(&format!("{}{SHARED}", case.text)).unwrap_err().to_string();
        assert!(!told.contains("hunter2") && !told.contains("s3cret"), "{told}");
    }
}

const SHARES: &[Case] = &[
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\nshare = [ { session = \"a b\", with = [\"zoe\"] }, { with = [\"a/b/c\"] }, { session = \"x\", wiht = [] } ]\n",
        problems: &[
            (4, "tenant[0].share[0].session", &["\"a b\"", "a session id"]),
            (4, "tenant[0].share[1].session", &["found nothing"]),
            (4, "tenant[0].share[1].with[0]", &["\"a/b/c\"", "\"TENANT/USER\""]),
            (4, "tenant[0].share[2].with", &["found nothing"]),
            (4, "tenant[0].share[2].wiht", &["did you mean `with`?"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\n[[tenant.share]]\nsession = \"a--x\"\nwith = [ \"zo\", \"zoe/ann\" ]\n[[tenant.share]]\nsession = \"a--x\"\nwith = [ \"zoe\" ]\n[[tenant.share]]\nsession = \"zoe--x\"\nwith = [ \"zoe\" ]\n",
        problems: &[
            (6, "tenant[0].share[0].with[0]", &["\"zo\", which is no tenant", "did you mean `zoe`?"]),
            (8, "tenant[0].share[1].session", &["which is in share[0] too", "add to `with` of share[0]"]),
            (11, "tenant[0].share[2].session", &["a session of \"zoe\" in the pool ok", "a session of this tenant"]),
        ],
    },
];

#[test]
fn shares() {
    refuses(SHARES, SHARED);
}
