//! Listeners whose clients could not, or need not, say who they are.

use super::{Case, REST, refuses};

/// Pools and tenants without a fault, to stand below the text of a case.
const TENANTS: &str = r#"
[pool.x]
backends = [ { name = "a", address = "a:1" } ]
[pool.own]
posture = "dedicated"
tenant = "alice"
backends = [ { name = "a", address = "a:2" } ]
[pool.apart]
session_id_template = "{tenant}--{user}--"
backends = [ { name = "a", address = "a:3" } ]
[pool.silent]
backends = [ { name = "a", address = "a:4" } ]
[[tenant]]
name = "alice"
pools = [ "x", "own" ]
tokens = [ { env = "LONG" } ]
[[tenant]]
name = "split"
users = "apart"
pools = [ "apart" ]
tokens = [ { env = "LONGER", user = "ann" } ]
[[tenant]]
name = "silent"
pools = [ "silent" ]
"#;

const LOGINS: &[Case] = &[
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\nmode = \"connection\"\n[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\nmode = \"connection\"\n",
        problems: &[
            (5, "listener[0].mode", &["\"connection\" for the pool x, which tenants share", "bytes do not tell"]),
            (6, "listener[1].tenant", &["which asks nobody, for the pool of tenant alice", "add `tenant = \"alice\"`"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\nsession = { allow_runtime_shutdown = true }\n",
        problems: &[(
            5,
            "listener[0].session.allow_runtime_shutdown",
            &["the pool own has tenants", "`methods.allow`"],
        )],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"silent\"\n",
        problems: &[(1, "listener[0]", &["no way to log in to the pool silent", "`tenant`", "add `tokens`"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\ntenant = \"alcie\"\n[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\ntenant = \"silent\"\n[[listener]]\nname = \"c\"\nbind = \"127.0.0.1:0\"\npool = \"apart\"\ntenant = \"split\"\n",
        problems: &[
            (5, "listener[0].tenant", &["\"alcie\", which is no tenant", "did you mean `alice`?"]),
            (10, "listener[1].tenant", &["\"silent\", whom the pool x does not let in"]),
            (15, "listener[2].tenant", &["\"split\", whose users are apart", "users \"together\""]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\nconnection_token = { env = \"TOKEN\" }\n[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\ntenant = \"alice\"\n[listener.jwt]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [ \"HS256\" ]\nsecret = { env = \"LONGER\" }\n",
        problems: &[
            (
                5,
                "listener[0].connection_token",
                &["does not say which tenant", "add `tenant`, or move it to the `tokens`"],
            ),
            (11, "listener[1].jwt", &["nobody is asked for", "every client is tenant alice"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\nmode = \"connection\"\ntenant = \"alice\"\njwt = { issuer = \"i\", audience = \"a\", algorithms = [ \"HS256\" ], secret = { env = \"LONGER\" } }\n",
        problems: &[(7, "listener[0].jwt", &["mode \"session\"", "leave it out"])],
    },
];

#[test]
fn logins() {
    refuses(LOGINS, TENANTS);
}

const OPEN: &[Case] = &[Case {
    text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"ok\"\ntenant = \"alice\"\n[listener.jwt]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [ \"HS256\" ]\nsecret = { env = \"LONGER\" }\n",
    problems: &[
        (5, "listener[0].tenant", &["the pool ok is open", "set the pool's `posture`"]),
        (6, "listener[0].jwt", &["the pool ok is open"]),
    ],
}];

#[test]
fn nobody_is_asked_in_an_open_pool() {
    refuses(OPEN, REST);
}

/// The beginning of a listener's table of JWTs.
macro_rules! jwt {
    ($text:literal) => {
        concat!("[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\n[listener.jwt]\n", $text)
    };
}

const JWTS: &[Case] = &[
    Case {
        text: jwt!(""),
        problems: &[
            (5, "listener[0].jwt", &["no key to check tokens with", "one of jwks, public_key, secret"]),
            (5, "listener[0].jwt.audience", &["found nothing", "add `audience = \"pilotfish\"`"]),
            (5, "listener[0].jwt.issuer", &["found nothing"]),
        ],
    },
    Case {
        text: jwt!(
            "issuer = \"\"\naudience = 5\nalgorithms = [ \"RS526\", \"none\" ]\njwks = \"hunter2\"\npublic_key = { file = \"/nowhere\" }\nsecret = \"hunter2\"\nleeway = 30\ntenant_claim = \"\"\n"
        ),
        problems: &[
            (6, "listener[0].jwt.issuer", &["\"\"", "one line"]),
            (7, "listener[0].jwt.audience", &["integer 5"]),
            (8, "listener[0].jwt.algorithms[0]", &["did you mean `RS256`?"]),
            (8, "listener[0].jwt.algorithms[1]", &["\"none\"", "\"ES256\""]),
            (9, "listener[0].jwt.jwks", &["string (not shown)", "a file of their own"]),
            (10, "listener[0].jwt.public_key.file", &["\"/nowhere\", which cannot be read"]),
            (11, "listener[0].jwt.secret", &["string (not shown)"]),
            (12, "listener[0].jwt.leeway", &["with a unit"]),
            (13, "listener[0].jwt.tenant_claim", &["\"\""]),
        ],
    },
    Case {
        text: jwt!(
            "issuer = \"i\"\naudience = \"a\"\njwks = { file = \"/proc/self/comm\" }\npublic_key = { flie = \"x\" }\nalgorithms = []\n"
        ),
        problems: &[
            (8, "listener[0].jwt.jwks.file", &["does not hold a JSON Web Key Set"]),
            (9, "listener[0].jwt.public_key.flie", &["did you mean `file`?"]),
            (10, "listener[0].jwt.algorithms", &["an empty array"]),
        ],
    },
    Case {
        text: jwt!(
            "issuer = \"i\"\naudience = \"a\"\njwks = { file = \"src/config/tests/jwks.json\" }\nsecret = { env = \"TOKEN\" }\nalgorithms = [ \"HS256\", \"ES256\" ]\n"
        ),
        problems: &[
            (5, "listener[0].jwt", &["jwks and secret together", "one of jwks"]),
            (10, "listener[0].jwt.algorithms", &["\"HS256\" with public keys", "goes with `secret`"]),
        ],
    },
    Case {
        text: jwt!("issuer = \"i\"\naudience = \"a\"\nsecret = { env = \"LONGER\" }\n"),
        problems: &[(5, "listener[0].jwt.algorithms", &["and a `secret`", "set `algorithms = [\"HS256\"]`"])],
    },
    Case {
        text: jwt!("issuer = \"i\"\naudience = \"a\"\nsecret = { env = \"TOKEN\" }\nalgorithms = [ \"HS256\" ]\n"),
        problems: &[(8, "listener[0].jwt.secret", &["the secret is shorter than 32 bytes", "openssl rand"])],
    },
    Case {
        text: jwt!(
            "issuer = \"i\"\naudience = \"a\"\njwks = { file = \"src/config/tests/jwks.json\" }\nalgorithms = [ \"RS256\" ]\n"
        ),
        problems: &[(8, "listener[0].jwt.jwks", &["keys that cannot be used: no key can be used", "(kid \"one\")"])],
    },
    Case {
        text: jwt!(
            "issuer = \"i\"\naudience = \"a\"\njwks = { file = \"src/config/tests/jwks.json\" }\ntenant_claim = \"a..b\"\n"
        ),
        problems: &[(9, "listener[0].jwt.tenant_claim", &["an empty part between dots"])],
    },
];

#[test]
fn jwts() {
    refuses(JWTS, TENANTS);
}
