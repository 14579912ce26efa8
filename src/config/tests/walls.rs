//! Pools and the wall: what does not go with a posture, and names that cannot begin session ids.

use super::{Case, REST, refuses};

/// Tenants of the pools that a case has.
const TENANTS: &str = r#"
[[tenant]]
name = "alice"
tokens = [ { env = "TOKEN" } ]
[[listener]]
name = "ok"
bind = "127.0.0.1:0"
pool = "x"
"#;

const ALONE: &[Case] = &[
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\ntenant = \"alice\"\nsession_ids = \"registry\"\nsession_id_template = \"{tenant}-\"\nfree_ids = \"refuse\"\n[pool.x.methods]\nallow = [ \"session.shell.exec\" ]\ndeny = [ \"session.send\" ]\n[pool.x.guards]\nprovider_urls = [ \"https://a\" ]\nmcp_urls = [ \"https://a\" ]\nstdio_mcp = true\ncommands = [ \"plan\" ]\n",
        problems: &[
            (3, "pool.x.tenant", &["would be ignored", "posture \"tenants\" or \"dedicated\"", "set `posture`"]),
            (4, "pool.x.session_ids", &["would be ignored"]),
            (5, "pool.x.session_id_template", &["would be ignored"]),
            (6, "pool.x.free_ids", &["would be ignored"]),
            (8, "pool.x.methods.allow", &["would be ignored"]),
            (9, "pool.x.methods.deny", &["would be ignored"]),
            (11, "pool.x.guards.provider_urls", &["would be ignored"]),
            (12, "pool.x.guards.mcp_urls", &["would be ignored"]),
            (13, "pool.x.guards.stdio_mcp", &["would be ignored"]),
            (14, "pool.x.guards.commands", &["would be ignored"]),
        ],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nposture = \"tenant\"\nsession_ids = \"prefx\"\nsession_id_template = \"{tenant}\"\nfree_ids = true\n[pool.x.guards]\nroots = []\n",
        problems: &[
            (3, "pool.x.posture", &["did you mean `tenants`?"]),
            (4, "pool.x.session_ids", &["did you mean `prefix`?"]),
            (5, "pool.x.session_id_template", &["a delimiter such as `--`"]),
            (6, "pool.x.free_ids", &["boolean true"]),
            (8, "pool.x.guards.roots", &["unknown key"]),
        ],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nposture = \"tenants\"\n[[listener]]\nname = \"x\"\nbind = \"127.0.0.1:0\"\npool = \"x\"\n",
        problems: &[
            (3, "pool.x.posture", &["\"tenants\" in a file without one", "add [[tenant]]"]),
            (4, "listener[0]", &["no way to log in to the pool x", "[listener.jwt]"]),
        ],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nposture = \"dedicated\"\ntenant = \"alice\"\n",
        problems: &[(4, "pool.x.tenant", &["\"alice\", which is no tenant", "add [[tenant]]"])],
    },
];

#[test]
fn without_tenants() {
    refuses(ALONE, REST);
}

const WITH_TENANTS: &[Case] = &[
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\ntenant = \"alice\"\nsession_ids = \"registry\"\nsession_id_template = \"{tenant}-\"\nfree_ids = \"refuse\"\n",
        problems: &[
            (3, "pool.x.tenant", &["would be ignored", "posture \"dedicated\""]),
            (5, "pool.x.session_id_template", &["would be ignored", "session_ids \"prefix\""]),
            (6, "pool.x.free_ids", &["would be ignored"]),
        ],
    },
    Case {
        text: "[pool.x]\nposture = \"dedicated\"\nbackends = [ { name = \"a\", address = \"a:1\" } ]\nguards = { stdio_mcp = true }\n",
        problems: &[
            (1, "pool.x.tenant", &["found nothing", "the tenant of the dedicated pool", "add `tenant = \"alice\"`"]),
            (4, "pool.x.guards.stdio_mcp", &["would be ignored", "posture \"tenants\"", "change what it goes with"]),
            (9, "listener[0]", &["no way to log in"]),
        ],
    },
    Case {
        text: "[pool.x]\nposture = \"dedicated\"\ntenant = \"alcie\"\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[
            (3, "pool.x.tenant", &["\"alcie\", which is no tenant", "did you mean `alice`?"]),
            (9, "listener[0]", &["no way to log in"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"b\"\ntokens = [ { env = \"LONG\" } ]\npools = [ \"x\", \"z\" ]\n[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n[pool.y]\nposture = \"dedicated\"\ntenant = \"b\"\nbackends = [ { name = \"a\", address = \"a:2\" } ]\n[pool.z]\nposture = \"open\"\nbackends = [ { name = \"a\", address = \"a:3\" } ]\n",
        problems: &[
            (4, "tenant[0].pools[1]", &["\"z\", which is open to everybody"]),
            (9, "pool.y.tenant", &["\"b\", whose `pools` leave this one out", "add \"y\" to them"]),
        ],
    },
];

#[test]
fn with_tenants() {
    refuses(WITH_TENANTS, TENANTS);
}

const NAMES: &[Case] = &[
    Case {
        text: "[[tenant]]\nname = \"a--b\"\n[[tenant]]\nname = \"a-\"\n[[tenant]]\nname = \"-a\"\n[[tenant]]\nname = \"a.b\"\n[[tenant]]\nname = \"a-b\"\n[[tenant]]\nname = \"_a_\"\n[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[
            (2, "tenant[0].name", &["\"a--b\"", "of the pool x", "registry"]),
            (4, "tenant[1].name", &["\"a-\"", "of the pool x"]),
            (6, "tenant[2].name", &["\"-a\""]),
            (8, "tenant[3].name", &["\"a.b\""]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a_b\"\n[[tenant]]\nname = \"a-b\"\n[pool.x]\nsession_id_template = \"{tenant}_\"\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[(2, "tenant[0].name", &["\"a_b\""])],
    },
    Case {
        text: "[[tenant]]\nname = \"b\"\nusers = \"apart\"\ntokens = [ { env = \"LONG\", user = \"ann\" } ]\n[[tenant]]\nname = \"c\"\npools = [ \"y\" ]\n[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n[pool.y]\nsession_id_template = \"{tenant}--{user}--\"\nbackends = [ { name = \"a\", address = \"a:2\" } ]\n",
        problems: &[
            (
                3,
                "tenant[0].users",
                &["\"apart\" for the pool x", "set `pool.x.session_id_template = \"{tenant}--{user}--\"`"],
            ),
            (11, "pool.y.session_id_template", &["{user}, and the users of tenant c are together"]),
            (11, "pool.y.session_id_template", &["the users of tenant alice are together"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"b\"\nusers = \"apart\"\npools = [ \"y\" ]\ntokens = [ { env = \"LONG\", user = \"ann--x\" }, { sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" } ]\n[pool.x]\nsession_ids = \"registry\"\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n[pool.y]\nsession_id_template = \"{tenant}--{user}--\"\nbackends = [ { name = \"a\", address = \"a:2\" } ]\n[[tenant]]\nname = \"a.b\"\npools = [ \"x\" ]\n",
        problems: &[
            (5, "tenant[0].tokens[0].user", &["\"ann--x\"", "of the pool y"]),
            (5, "tenant[0].tokens[1]", &["a token without a user", "users = \"apart\""]),
            (10, "pool.y.session_id_template", &["the users of tenant alice are together"]),
        ],
    },
];

#[test]
fn names_in_session_ids() {
    refuses(NAMES, TENANTS);
}
