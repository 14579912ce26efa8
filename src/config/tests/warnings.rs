//! Files that are taken, with advice.

use super::{Case, REST, compare, read};

const CASES: &[Case] = &[
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
