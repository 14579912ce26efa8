//! Files that are no TOML in places.

use super::{Case, refuses};

const CASES: &[Case] = &[
    Case {
        text: "[[listener]]\nname = sdk\nbind = \"x\"\npool = \"p\n[pool.p]\npolicy = \"round\"\nbackends = [ 5 ]\n",
        problems: &[
            (2, "", &["bad TOML, string values must be quoted"]),
            (3, "listener[0].bind", &["\"x\""]),
            (4, "", &["bad TOML, invalid basic string"]),
            (6, "pool.p.policy", &["\"round\""]),
            (7, "pool.p.backends[0]", &["integer 5"]),
        ],
    },
    Case {
        text: "[admin]\nbind = \"127.0.0.1:1\"\nbind = \"127.0.0.1:2\"\n[log\nformat = 5\n[shutdown]\ndrain_timeout = 5\n",
        problems: &[
            (3, "", &["duplicate key"]),
            (4, "", &["unclosed table"]),
            (7, "shutdown.drain_timeout", &["with a unit"]),
        ],
    },
    Case { text: "= 1\n", problems: &[(1, "", &["bad TOML"])] },
    Case { text: "{ \"listener\": [] }\n", problems: &[(1, "", &["bad TOML"])] },
    Case { text: "a = \"\\q\"\n", problems: &[(1, "", &["bad TOML, missing escaped value"])] },
];

#[test]
fn mistakes_of_syntax_do_not_hide_the_others() {
    refuses(CASES, "");
}
