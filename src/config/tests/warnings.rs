//! Files that are taken, with advice.

use super::{Case, REST, compare, read};

const CASES: &[Case] = &[
    Case {
        text: "[store]\nprefix = \"a:\"\nkind = \"memory\"\n",
        problems: &[(2, "store.prefix", &["not used", "kind = \"redis\""])],
    },
    Case {
        text: "[store]\nkind = \"redis\"\nmaster = \"m\"\n",
        problems: &[(3, "store.master", &["not used", "topology = \"sentinel\""])],
    },
    Case {
        text: "[pool.x]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
        problems: &[(1, "pool.x", &["warning", "no listener uses"])],
    },
    Case {
        text: "[admin]\nbind = \"0.0.0.0:4320\"\n",
        problems: &[(2, "admin.bind", &["other machines reach", "no password"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"[::]:1\"\npool = \"ok\"\n",
        problems: &[(3, "listener[0].bind", &["no connection_token", "every client can read"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"ok\"\nconnection_token = { env = \"TOKEN\" }\n",
        problems: &[],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"ok\"\nmode = \"connection\"\n[listener.session]\n",
        problems: &[],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\n[pool.x.supervise]\ncount = 1\n[pool.x.recycle]\nmax_age = \"1d\"\n",
        problems: &[(7, "pool.x.recycle", &["a pool of one", "only while another one"])],
    },
    Case {
        text: "[pool.ok.recycle]\non_recycle = [\"restart\"]\n",
        problems: &[(2, "pool.ok.recycle.on_recycle", &["a command and no limit", "never run"])],
    },
    Case {
        text: "[pool.ok.health]\ninterval = \"1s\"\ntimeout = \"1500ms\"\n",
        problems: &[(3, "pool.ok.health.timeout", &["1.5s, longer than the interval of 1s"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\nmode = \"connection\"\n[pool.x]\nhash_key = \"session\"\nbackends = [ { name = \"a\", address = \"h:1\", drain = true },\n { name = \"b\", address = \"h:1\", drain = true } ]\n",
        problems: &[
            (7, "pool.x.hash_key", &["\"client-address\""]),
            (8, "pool.x.backends", &["start in drain"]),
            (9, "pool.x.backends[1].address", &["address of backends[0]", "count twice"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\n[pool.x.supervise]\ncount = 1\n[pool.x.supervise.env]\nA = \"1\"\nMY_API_KEY = \"hunter2\"\n",
        problems: &[(9, "pool.x.supervise.env.MY_API_KEY", &["string (not shown)", "expected { env"])],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"ok\"\n[[tenant]]\nname = \"a\"\ntokens = [ { env = \"LONG\" } ]\n",
        problems: &[],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"ok\"\ntenant = \"a\"\n[[tenant]]\nname = \"a\"\ntokens = [ { env = \"TOKEN\" } ]\n",
        problems: &[
            (3, "listener[0].bind", &["no connection_token", "every client is tenant a"]),
            (8, "tenant[0].tokens[0]", &["a token of fewer than 16 bytes", "nobody can guess"]),
        ],
    },
    Case {
        text: "[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"x\"\n[pool.x]\nposture = \"open\"\nbackends = [ { name = \"a\", address = \"h:1\" } ]\n[[tenant]]\nname = \"a\"\ntokens = [ { env = \"LONG\" } ]\n[[tenant]]\nname = \"b\"\n",
        problems: &[
            (3, "listener[0].bind", &["no connection_token", "every client can read"]),
            (6, "pool.x.posture", &["\"open\" in a file with tenants", "every client can read"]),
            (11, "tenant[1].tokens", &["no tokens", "nobody can log in as this tenant"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"LONG\" } ]\nroots = [ \"/\" ]\nprovider_urls = [ \"*\" ]\nmcp_urls = [ \"https://a/b\", \"https://a\", \"https://a.b\", \"https://a\" ]\nshare = [ { session = \"a--x\", with = [ \"a/ann\" ] } ]\n",
        problems: &[
            (4, "tenant[0].roots[0]", &["every path"]),
            (5, "tenant[0].provider_urls[0]", &["every URL", "internal services"]),
            (6, "tenant[0].mcp_urls[0]", &["\"https://a/b\", which entry [1] allows already"]),
            (6, "tenant[0].mcp_urls[3]", &["\"https://a\", which entry [1] allows already"]),
            (7, "tenant[0].share[0].with[0]", &["\"a/ann\", who has the session anyway"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"LONG\" } ]\n[tenant.methods]\nallow = [ \"llmInference.setProvider\", \"runtime.shutdown\", \"session.shell.exec\", \"session.mcp.*\", \"session.send\", \"session.sned\", \"sesion.mcp.*\", \"ping\", \"$/progress\" ]\ndeny = [ \"session.fork\", \"ping\" ]\n",
        problems: &[
            (5, "tenant[0].methods.allow[0]", &["in a pool that tenants share", "prompts and keys"]),
            (5, "tenant[0].methods.allow[1]", &["ends or starts processes"]),
            (5, "tenant[0].methods.allow[2]", &["acts on the backend's host", "a dedicated pool"]),
            (
                5,
                "tenant[0].methods.allow[3]",
                &["\"session.mcp.*\" (session.mcp.setEnvValueMode and ", "backend's host"],
            ),
            (5, "tenant[0].methods.allow[5]", &["no method that pilotfish knows", "did you mean `session.send`?"]),
            (5, "tenant[0].methods.allow[6]", &["did you mean `session.mcp.*`?"]),
            (5, "tenant[0].methods.allow[7]", &["\"ping\", which `deny` has too"]),
            (6, "tenant[0].methods.deny[0]", &["no method that pilotfish knows"]),
        ],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\ntokens = [ { env = \"LONG\" } ]\npools = [ \"x\" ]\nmethods = { allow = [ \"runtime.shutdown\" ] }\n[[tenant]]\nname = \"b\"\ntokens = [ { env = \"LONGER\" } ]\n[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\npool = \"x\"\n[pool.x]\nposture = \"dedicated\"\ntenant = \"a\"\nbackends = [ { name = \"a\", address = \"h:1\" } ]\nmethods = { allow = [ \"agentRegistry.spawn\" ] }\n",
        problems: &[],
    },
    Case {
        text: "[[tenant]]\nname = \"a\"\nusers = \"apart\"\npools = [ \"x\" ]\ntokens = [ { env = \"LONG\", user = \"ann\" } ]\n[[listener]]\nname = \"a\"\nbind = \"0.0.0.0:1\"\npool = \"x\"\njwt = { issuer = \"i\", audience = \"a\", algorithms = [ \"HS256\" ], secret = { env = \"LONGER\" } }\n[pool.x]\nsession_ids = \"registry\"\nbackends = [ { name = \"a\", address = \"h:1\" } ]\n[[tenant]]\nname = \"b\"\ntokens = [ { env = \"LONGER\" } ]\n",
        problems: &[(10, "listener[0].jwt.user_claim", &["the claim that names the user", "tenant a has users apart"])],
    },
];

#[test]
fn advice() {
    for case in CASES {
        let text = format!("{}{REST}", case.text);
        let config = read(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        compare(case, &config.warnings);
        assert!(config.warnings.iter().all(|w| !w.to_string().contains("hunter2")));
    }
}
