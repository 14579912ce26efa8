//! Pools in which each tenant or user has a CLI of its own.

use super::{Case, read, refuses};

const TENANT: &str = "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\n[[tenant]]\nname = \"alice\"\ntokens = [ { env = \"LONG\" } ]\n";

#[test]
fn what_is_right() {
    let text = "[pool.own]\nisolation = \"user\"\n[pool.own.supervise]\nhome = \"/var/lib/x/{tenant}/{user}\"\n[pool.own.instances]\nmax_instances = 2\nwarm_spares = 1\ntoken_env = { alice = \"A\", \"alice/ann\" = \"B\" }\nuid_range = \"20000-20001\"\ngid = 5\n[pool.own.instances.limits]\nmemory = \"1GiB\"\ncpu = 0.5\n";
    let config = read(&format!("{text}{TENANT}")).unwrap();
    let pool = &config.pools["own"];
    assert!(pool.is_isolated());
    assert_eq!(config.posture(pool), crate::config::Posture::Dedicated);
    assert_eq!(config.tenants_of("own").len(), 1, "all tenants may use it");
    let set = &pool.instances;
    assert_eq!((set.max_instances, set.warm_spares, set.uid_range.unwrap().last), (2, 1, 20_001));
    assert_eq!(set.token_env["alice/ann"], "B");
    assert_eq!(set.limits.memory, Some(1 << 30));
}

#[test]
fn what_does_not_go_together() {
    refuses(
        &[
            Case {
                text: "[pool.own]\nisolation = \"tenant\"\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n",
                problems: &[(2, "pool.own.isolation", &["without supervise", "add [pool.own.supervise]"])],
            },
            Case {
                text: "[pool.own]\nisolation = \"tenant\"\nposture = \"open\"\ntenant = \"alice\"\n[pool.own.supervise]\ncount = 3\nclear_env = false\nhome = \"/x/{tenant}/{user}\"\n",
                problems: &[
                    (3, "pool.own.posture", &["\"open\" beside `isolation`"]),
                    (4, "pool.own.tenant", &["one tenant for a pool"]),
                    (4, "pool.own.tenant", &["would be ignored"]),
                    (6, "pool.own.supervise.count", &["beside `isolation`", "max_instances"]),
                    (7, "pool.own.supervise.clear_env", &["only `env`"]),
                    (8, "pool.own.supervise.home", &["not each one's own", "/var/lib/pilotfish/{tenant}"]),
                ],
            },
            Case {
                text: "[pool.own]\nisolation = \"user\"\n[pool.own.supervise]\nhome = \"/x/{tenant}\"\n[pool.own.instances]\nmax_instances = 2\nwarm_spares = 2\ntoken_file = \"t/{tenant}\"\ntoken_command = [\"t\"]\nuid_range = \"7-7\"\n[pool.own.recycle]\nmax_age = \"1d\"\n",
                problems: &[
                    (4, "pool.own.supervise.home", &["{tenant} and {user}"]),
                    (7, "pool.own.instances.warm_spares", &["2 spares of 2"]),
                    (9, "pool.own.instances.token_command", &["a second source"]),
                    (10, "pool.own.instances.uid_range", &["1 user ids for up to 2"]),
                    (12, "pool.own.recycle.max_age", &["not recycled"]),
                ],
            },
            Case {
                text: "[pool.own]\nbackends = [ { name = \"a\", address = \"a:1\" } ]\n[pool.own.instances]\nmax_instances = 2\n",
                problems: &[(4, "pool.own.instances.max_instances", &["goes with `isolation`"])],
            },
            Case {
                text: "[pool.own.supervise]\ncount = 1\nhome = \"/x/{tenant}\"\n",
                problems: &[(3, "pool.own.supervise.home", &["without `isolation`"])],
            },
            Case {
                text: "[pool.a]\nisolation = \"tenant\"\n[pool.a.supervise]\nhome = \"/x/{tenant}\"\nport_range = \"4500-4599\"\n[pool.a.instances]\nuid_range = \"100-199\"\ntoken_file = \"/t/{tenant}/{user}\"\n[pool.own]\nisolation = \"tenant\"\n[pool.own.supervise]\nhome = \"/y/{tenant}\"\n[pool.own.instances]\nuid_range = \"199-300\"\ntoken_command = [\"t\", \"{user}\"]\n",
                problems: &[
                    (8, "pool.a.instances.token_file", &["{user}", "only {tenant}"]),
                    (14, "pool.own.instances.uid_range", &["overlaps pool.a.instances.uid_range"]),
                    (15, "pool.own.instances.token_command", &["only {tenant}"]),
                ],
            },
            Case {
                text: "[pool.own]\nisolation = \"tenant\"\n[pool.own.supervise]\n[pool.own.instances]\ntoken_required = true\ngid = 9\n",
                problems: &[
                    (3, "pool.own.supervise.home", &["found nothing", "{tenant}"]),
                    (5, "pool.own.instances.token_required", &["without a source"]),
                    (6, "pool.own.instances.gid", &["without `uid_range`"]),
                ],
            },
        ],
        TENANT,
    );
}

#[test]
fn it_needs_tenants_and_sessions() {
    refuses(
        &[
            Case {
                text: "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\n[pool.own]\nisolation = \"tenant\"\nsupervise = { home = \"/x/{tenant}\" }\n",
                problems: &[(6, "pool.own.isolation", &["without tenants", "add [[tenant]]"])],
            },
            Case {
                text: "[[tenant]]\nname = \"alice\"\ntokens = [ { env = \"LONG\" } ]\n[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\nmode = \"connection\"\n[[listener]]\nname = \"m\"\nbind = \"127.0.0.1:0\"\npool = \"own\"\ntenant = \"alice\"\n[pool.own]\nisolation = \"user\"\nsupervise = { home = \"/x/{tenant}/{user}\" }\n",
                problems: &[
                    (8, "listener[0].mode", &["bytes do not say"]),
                    (13, "listener[1].tenant", &["no such key", "is no user"]),
                ],
            },
        ],
        "",
    );
}
